"""TIFF of the camera software of Olympus Soft Imaging Solutions (analySIS, iTEM): tag 33560.

References
----------
No specification is published: what tifffile knows of the structure, and of the ini text in tag
33471, is read. Pixel sizes are in m.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from nexuslims_formats.model import Moment, ParsedFile
from nexuslims_formats.quantities import Row, pixel_size
from nexuslims_formats.tiff.camera import measured, read_structure, time_of_tag
from nexuslims_formats.tiff.tags import SOFTWARE, Tiff, is_tiff, read_tiff
from nexuslims_formats.tiff.vendor import Described, image_signals
from nexuslims_formats.values import leaves

SIS_TAG, INI_TAG = 33560, 33471
_FIELDS: tuple[Row, ...] = (
    ("magnification", "magnification", "x"),
    ("pixel_width", "pixelsizex", "m"),
    ("pixel_height", "pixelsizey", "m"),
    ("acquisition_device", "cameraname", "text"),
)


class SisTiffExtractor:
    """Reads the structure and the ini text."""

    name = "sis_tiff"
    version = "1.0"
    priority = 90
    extensions = ("tif", "tiff")

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the private tags 33560 or 33471."""
        return is_tiff(head) and read_tiff(path).has(SIS_TAG, INI_TAG)

    def open(self, path: Path) -> ParsedFile:
        """Read the structure and the directory of the image."""
        tiff = read_tiff(path)
        structure, problem = read_structure(path, "sis", SIS_TAG, INI_TAG)
        return ParsedFile(
            signals=image_signals(tiff, _described(tiff, structure)),
            native=dict(leaves(structure)),
            reader=f"tiff tags {self.version}",
            problems=(problem,) if problem else (),
        )


def _described(tiff: Tiff, structure: Mapping[str, Any]) -> Described:
    metadata = measured(structure, _FIELDS)
    if software := tiff.text(SOFTWARE):
        metadata["software"] = software
    return Described(
        data_type="TEM_Imaging",
        metadata=metadata,
        extensions=dict(leaves(structure, "sis")),
        acquired=_acquired(tiff, structure),
        pixel_size=pixel_size(metadata.get("pixel_height"), metadata.get("pixel_width")),
    )


def _acquired(tiff: Tiff, structure: Mapping[str, Any]) -> Moment | None:
    when = structure.get("datetime")
    return Moment(when, "SIS time") if isinstance(when, datetime) else time_of_tag(tiff)
