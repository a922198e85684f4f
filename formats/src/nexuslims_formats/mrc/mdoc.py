"""SerialEM's ``.mdoc`` as a file of its own: where its stack is elsewhere, or is a frame stack."""

import re
from pathlib import Path

from nexuslims_formats.locales.encodings import decode
from nexuslims_formats.model import ParsedFile, Signal
from nexuslims_formats.mrc.extended import read_mdoc

_LARGEST, _PREVIEWED = 16 << 20, 16384
_NAMES = rb"PixelSpacing|Voltage|ImageFile|ImageSize|DataMode|\[ZValue"
_MARK = re.compile(rb"^\s*(?:" + _NAMES + rb")\b", re.MULTILINE)
_SECTION = re.compile(r"^\s*\[ZValue", re.MULTILINE)


class MdocExtractor:
    """Reads what the text says of all images, and the range of their tilts."""

    name = "serialem_mdoc"
    version = "1.0"
    priority = 60
    extensions = ("mdoc",)

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the ending, and by names of SerialEM."""
        return path.suffix.lower() == ".mdoc" and _MARK.search(head) is not None

    def open(self, path: Path) -> ParsedFile:
        """Read the text; the stack that it describes is a file of its own."""
        with path.open("rb") as file:
            text = decode(file.read(_LARGEST))[0]
        sections = len(_SECTION.findall(text))
        described = read_mdoc(text, sections)
        extensions = {**described.extensions, "serialem_images": sections}
        if described.tilts:
            extensions["serialem_tilts_degree"] = (
                f"{min(described.tilts):g} to {max(described.tilts):g}"
            )
        signal = Signal(
            name=path.stem,
            dataset_type="Misc",
            data_type="TEM_Description",
            metadata=described.metadata,
            extensions=extensions,
            acquired=described.acquired,
            text=text[:_PREVIEWED],
        )
        return ParsedFile(signals=[signal], native=extensions, reader=f"mdoc {self.version}")
