"""TIFF of TVIPS' camera software (EM-MENU): the structure TemData, which tag 37706 points to.

References
----------
Names and units of the structure as in tifffile: pixel sizes in nm, the high tension in V, exposures
in ms, stage positions in m. The date packs year, month and day, the time counts seconds. What the
first version counts voltage and exposure in is not known: they are kept as they are.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from nexuslims_formats.model import Moment, ParsedFile, Value
from nexuslims_formats.quantities import Row, number, pixel_size
from nexuslims_formats.tiff.camera import measured, read_structure, time_of_tag
from nexuslims_formats.tiff.tags import Tiff, is_tiff, read_tiff
from nexuslims_formats.tiff.vendor import Described, image_signals
from nexuslims_formats.values import leaves

TVIPS_TAG = 37706
_DIFFRACTION = 3
_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "TemHighTension", "V"),
    ("exposure_time", "ExposureTime", "ms"),
    ("pixel_width", "PixelSizeX", "nm"),
    ("pixel_height", "PixelSizeY", "nm"),
    ("acquisition_device", "CameraType", "text"),
    ("microscope", "TemType", "text"),
)
_STAGE = (
    ("stage_x", "m"),
    ("stage_y", "m"),
    ("stage_z", "m"),
    ("stage_alpha", "degree"),
    ("stage_beta", "degree"),
)


class TvipsTiffExtractor:
    """Reads TemData."""

    name = "tvips_tiff"
    version = "1.0"
    priority = 100
    extensions = ("tif", "tiff")

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the private tag 37706."""
        return is_tiff(head) and read_tiff(path).has(TVIPS_TAG)

    def open(self, path: Path) -> ParsedFile:
        """Read the structure and the directory of the image."""
        tiff = read_tiff(path)
        structure, problem = read_structure(path, "tvips", TVIPS_TAG)
        return ParsedFile(
            signals=image_signals(tiff, _described(tiff, structure)),
            native=structure,
            reader=f"tiff tags {self.version}",
            problems=(problem,) if problem else (),
        )


def _described(tiff: Tiff, structure: Mapping[str, Any]) -> Described:
    diffraction = structure.get("TemMode") == _DIFFRACTION
    metadata = measured(structure, _FIELDS)
    if diffraction:  # the sizes are angles, and the camera length is in mm or cm: not told which
        metadata.pop("pixel_width", None)
        metadata.pop("pixel_height", None)
    elif magnification := number(structure.get("TemMagnification", structure.get("Magnification"))):
        metadata["magnification"] = (magnification, "x")
    metadata |= _stage(structure)
    if binning := _binning(structure):
        metadata["binning"] = binning
    when = _acquired(structure)
    return Described(
        data_type="TEM_Diffraction" if diffraction else "TEM_Imaging",
        dataset_type="Diffraction" if diffraction else "Image",
        metadata=metadata,
        extensions=dict(leaves(structure, "tvips")),
        acquired=Moment(when, "TVIPS Date and Time") if when else time_of_tag(tiff),
        pixel_size=pixel_size(metadata.get("pixel_height"), metadata.get("pixel_width")),
    )


def _stage(structure: Mapping[str, Any]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for (field, unit), place in zip(_STAGE, structure.get("TemStagePosition", ()), strict=False):
        if (amount := number(place)) is not None:
            found[field] = (amount, unit)
    return found


def _binning(structure: Mapping[str, Any]) -> str:
    down, across = (
        int(number(structure.get(f"Binning{axis}", structure.get("Binning"))) or 0) for axis in "YX"
    )
    return f"{across} x {down}" if down > 0 and across > 0 else ""


def _acquired(structure: Mapping[str, Any]) -> datetime | None:
    """Return the local time of ``2016 << 16 | 9 << 8 | 21`` and the seconds of the day."""
    date, seconds = (int(number(structure.get(name)) or 0) for name in ("Date", "Time"))
    if not 0 <= seconds < timedelta(days=1).total_seconds():
        return None
    try:
        day = datetime(date >> 16, date >> 8 & 0xFF, date & 0xFF)  # noqa: DTZ001 - local
    except ValueError:
        return None
    return day + timedelta(seconds=seconds)
