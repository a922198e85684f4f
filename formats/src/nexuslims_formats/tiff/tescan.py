"""Tescan TIFF, with its ``.hdr`` sidecar or with tags alone."""

from datetime import UTC
from pathlib import Path
from typing import Any

from nexuslims_contracts.file_kinds import Companion
from nexuslims_formats.model import Moment, ParsedFile
from nexuslims_formats.quantities import number, pixel_size
from nexuslims_formats.tiff.camera import time_of_tag
from nexuslims_formats.tiff.tags import (
    ARTIST,
    HEIGHT,
    MAKE,
    MODEL,
    SOFTWARE,
    Tiff,
    is_tiff,
    read_tiff,
)
from nexuslims_formats.tiff.tescan_header import core_fields, header_beside, header_in_tag
from nexuslims_formats.tiff.vendor import Described, image_signals
from nexuslims_formats.times import first_moment, moment, reveal_offset
from nexuslims_formats.values import leaves

TESCAN_TAG = 50431


class TescanTiffExtractor:
    """Reads the header file beside the image, and the key=value text within its tag."""

    name = "tescan_tiff"
    version = "1.0"
    priority = 150
    extensions = ("tif", "tiff")
    companions = (Companion(ending=".hdr", of=("tif", "tiff", "png")),)

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the private tag 50431, the maker's name, or a header beside the image."""
        if not is_tiff(head):
            return False
        tiff = read_tiff(path)
        named = "tescan" in tiff.text(MAKE).lower()
        return named or tiff.has(TESCAN_TAG) or any(header_beside(path))

    def open(self, path: Path) -> ParsedFile:
        """Read the image's directory and the sidecar, if it is there."""
        tiff = read_tiff(path)
        sections, problem = header_beside(path)
        if not sections:
            sections, unknown = header_in_tag(tiff.raw(TESCAN_TAG))
            problem = problem or unknown
        metadata = core_fields(sections)
        if "operator" not in metadata and (artist := tiff.text(ARTIST)):
            metadata["operator"] = artist
        main = sections.get("MAIN", {})
        extensions: dict[str, Any] = dict(leaves(sections, "tescan"))
        if model := tiff.text(MODEL):
            metadata.setdefault("microscope", model)
        if software := tiff.text(SOFTWARE):
            metadata.setdefault("software", software)
        described = Described(
            data_type="SEM_Imaging",
            metadata=metadata,
            extensions=extensions,
            acquired=_acquired(tiff, main),
            pixel_size=pixel_size(metadata.get("pixel_height"), metadata.get("pixel_width")),
            rows=tiff.integer(HEIGHT) - int(number(main.get("ImageStripSize")) or 0) or None,
            warnings=("operator",) if "operator" in metadata else (),
        )
        return ParsedFile(
            signals=image_signals(tiff, described),
            native={"header": sections, "make": tiff.text(MAKE), "model": tiff.text(MODEL)},
            reader=f"tiff tags {self.version}",
            problems=(problem,) if problem else (),
        )


def _acquired(tiff: Tiff, main: dict[str, str]) -> Moment | None:
    """Return the local time of the TIFF tag, with its offset if the header's clock runs in UTC."""
    header = moment("header Date and Time", main.get("Date"), main.get("Time"))
    local = time_of_tag(tiff)
    if local is None or local.when is None or header.when is None or header.when.tzinfo:
        return first_moment(local, header)
    utc = header.when.replace(tzinfo=UTC)
    revealed = reveal_offset(local.when, utc)
    if not revealed.utcoffset():
        return local
    when = local.when.replace(tzinfo=revealed.tzinfo)
    return Moment(when, "TIFF DateTime, with the header's Time in UTC")
