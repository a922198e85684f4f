"""SerialEM's ``.mdoc``: the text that says how each image of an MRC stack was taken.

References
----------
SerialEM's manual, "Format of the .mdoc file": lines of ``name = value``, first those of the stack,
then a section ``[ZValue = n]`` for each image. Spacing of pixels is in ångström, the voltage in kV,
exposures in s, defocus in um, angles in degrees.
"""

import re
from pathlib import Path
from typing import Any

from nexuslims_formats.locales.encodings import decode
from nexuslims_formats.model import ParsedFile, Signal, Value
from nexuslims_formats.quantities import Row, mapped, number
from nexuslims_formats.times import first_moment, moment
from nexuslims_formats.trees import ini_sections
from nexuslims_formats.values import leaves, lines_of

_LARGEST = 16 << 20
_SHOWN = 16384
_NAMES = rb"PixelSpacing|Voltage|ImageFile|ImageSize|DataMode|\[ZValue"
_MARK = re.compile(rb"^\s*(?:" + _NAMES + rb")\b", re.MULTILINE)
_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "Voltage", "kV"),
    ("magnification", "Magnification", "x"),
    ("exposure_time", "ExposureTime", "s"),
    ("defocus", "Defocus", "um"),
    ("stage_alpha", "TiltAngle", "degree"),
    ("camera_length", "CameraLength", "mm"),
    ("spot_size", "SpotSize", "number"),
)


class MdocExtractor:
    """Reads the text alone: the stack that it describes is a file of its own."""

    name = "serialem_mdoc"
    version = "1.0"
    priority = 60
    extensions = ("mdoc",)

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the ending, and by names of SerialEM."""
        return path.suffix.lower() == ".mdoc" and _MARK.search(head) is not None

    def open(self, path: Path) -> ParsedFile:
        """Read all sections; what differs from image to image is told as a range."""
        with path.open("rb") as file:
            raw = file.read(_LARGEST)
        text = decode(raw)[0]
        stack, images = read_mdoc(text)
        first = images[0] if images else {}
        entries = {**first, **stack}
        metadata: dict[str, Value] = dict(mapped(entries.get, _FIELDS))
        if len({image.get("TiltAngle") for image in images}) > 1:
            metadata.pop("stage_alpha", None)
        extensions: dict[str, Any] = dict(leaves(stack, "serialem"))
        extensions |= {"serialem_images": len(images), **_ranges(images)}
        signal = Signal(
            name=path.stem,
            dataset_type="Misc",
            data_type="TEM_Description",
            metadata=metadata,
            extensions=extensions,
            acquired=first_moment(moment("mdoc DateTime", first.get("DateTime"))),
            text=text[:_SHOWN],
        )
        return ParsedFile(signals=[signal], native={**stack, "images": images}, reader="mdoc")


def read_mdoc(text: str) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Return what a text says of the stack, and of each image in its order."""
    sections = ini_sections("\n".join(lines_of(text)))
    stack = sections.pop("", {})
    images = [entries for name, entries in sections.items() if name.startswith("ZValue")]
    return stack, images


def _ranges(images: list[dict[str, str]]) -> dict[str, str]:
    """Return the least and the greatest value of what differs from image to image."""
    found: dict[str, str] = {}
    for name, label in (("TiltAngle", "tilt_angle_degree"), ("Defocus", "defocus_um")):
        values = [one for image in images if (one := number(image.get(name))) is not None]
        if values and min(values) < max(values):
            found[f"serialem_{label}"] = f"{min(values):g} to {max(values):g}"
    return found
