"""JEOL TEM TIFF: the TemReporter XML of the SightX and TEM Center software, in the description."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nexuslims_formats.energy import wavelength
from nexuslims_formats.model import ParsedFile, Value
from nexuslims_formats.quantities import NUMBER, Row, converted, mapped, measures, number, quantity
from nexuslims_formats.tiff.tags import is_tiff, read_tiff
from nexuslims_formats.tiff.vendor import Described, image_signals
from nexuslims_formats.times import moment
from nexuslims_formats.trees import nested, readable_tree
from nexuslims_formats.values import leaves

_MARK = b"<TemReporter"
_CAMERA = "Camera"
_ANY_CAMERA = re.compile(r"Jem\w*Camera")  # JemBaumerCamera, measured; others by their pattern
_RESOLUTION = f"{_CAMERA}/Parameter/ImageDataInformation/PixelsPerMeter"

# the beam's current is in pA
_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "ElectronGun/AccelerationVoltage", "V"),
    ("emission_current", "ElectronGun/EmissionCurrent", "uA"),
    ("beam_current", "ElectronGun/BeamCurrent", "pA"),
    ("spot_size", "IlluminationSystem/SpotSizeString", NUMBER),
    ("stage_alpha", "GonioStage/StagePosition/TX", "degree"),
    ("stage_beta", "GonioStage/StagePosition/TY", "degree"),
    ("exposure_time", f"{_CAMERA}/Parameter/ExposureTimeValue", "us"),
    ("frames", f"{_CAMERA}/Parameter/FrameIntegration", NUMBER),
    ("acquisition_device", f"{_CAMERA}/Modelname", "text"),
    ("detector_type", "ImageSourceDetector", "text"),
    ("electron_source", "ElectronGun/FilamentType", "text"),
    ("microscope", "Instruments", "text"),
    ("operator", "Operator", "text"),
    ("specimen", "Specimen", "text"),
)


class JeolTiffExtractor:
    """Reads TemReporter."""

    name = "jeol_tiff"
    version = "1.0"
    priority = 100
    extensions = ("tif", "tiff")

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the XML in the description."""
        return is_tiff(head) and _MARK in read_tiff(path).described(_MARK)[:4096]

    def open(self, path: Path) -> ParsedFile:
        """Read the XML and the directory of the image."""
        tiff = read_tiff(path)
        tree, problem = readable_tree(tiff.described(_MARK))
        tree.pop("Measurement", None)  # what was drawn on the image, by far the longest part
        camera: Any = next((tree[name] for name in tree if _ANY_CAMERA.fullmatch(name)), {})
        look_up = nested({**tree, _CAMERA: camera})
        metadata: dict[str, Value] = dict(mapped(look_up, [*_FIELDS, *_stage_rows(look_up)]))
        metadata.update(_projection(tree))
        magnification = metadata.get("magnification")
        diffraction = "camera_length" in metadata
        described = Described(
            data_type=f"{_mode(tree)}_{'Diffraction' if diffraction else 'Imaging'}",
            dataset_type="Diffraction" if diffraction else "Image",
            metadata=metadata,
            extensions=dict(leaves(tree, "jeol")),
            acquired=moment("TemReporter DateTime", look_up("DateTime")),
            pixel_size=_pattern_pixel(look_up, metadata)
            if diffraction
            else _pixel_size(look_up, magnification),
            pixel_unit="1/nm" if diffraction else "m",
            warnings=("operator",) if "operator" in metadata else (),
        )
        return ParsedFile(
            signals=image_signals(tiff, described),
            native=tree,
            reader=f"tiff tags {self.version}",
            problems=(problem,) if problem else (),
        )


def _stage_rows(look_up: Any) -> list[Row]:
    """Return the stage's rows: in um as its limits, unless a position lies beyond these: in nm."""
    holder, place = "GonioStage/HolderInformation/LimitShift", "GonioStage/StagePosition/M"
    unit = "um"
    for axis in "XYZ":
        limit, position = number(look_up(f"{holder}{axis}/Plus")), number(look_up(place + axis))
        if limit and position and abs(position) > limit:
            unit = "nm"
    return [(f"stage_{axis.lower()}", place + axis, unit) for axis in "XYZ"]


def _mode(tree: Mapping[str, Any]) -> str:
    """Return TEM, or STEM where the scanning attachment (ASID) is in use."""
    return "STEM" if "ASID" in str(nested(tree)("Eos/EosMode")).upper() else "TEM"


def _projection(tree: Mapping[str, Any]) -> dict[str, Value]:
    """Return the magnification or, where the selector counts a length, the camera length."""
    look_up = nested(tree)
    unit = str(look_up("ImageFormingSystem/SelectorUnitString") or "X").strip()
    selected = quantity(look_up("ImageFormingSystem/SelectorValue"), unit)
    if selected is None:
        return {}
    field = "camera_length" if measures(selected[1]) == "length" else "magnification"
    return {field: selected}


def _pixel_size(look_up: Any, magnification: Value | None) -> tuple[float, float] | None:
    """Return the size on the specimen from that on the camera, in metres."""
    down, across = (number(look_up(f"{_RESOLUTION}/{way}")) for way in ("Vertical", "Horizontal"))
    times = converted(magnification, "x")
    if not down or not across or not times:
        return None
    return 1 / (down * times), 1 / (across * times)


def _pattern_pixel(look_up: Any, metadata: Mapping[str, Value]) -> tuple[float, float] | None:
    """Return the size in 1/nm of a pixel of the camera, by the camera length and the wavelength."""
    down, across = (number(look_up(f"{_RESOLUTION}/{way}")) for way in ("Vertical", "Horizontal"))
    metres = converted(metadata.get("camera_length"), "m")
    volts = converted(metadata.get("acceleration_voltage"), "V")
    if not (down and across and metres and volts and min(metres, volts) > 0):
        return None
    per_metre = metres * wavelength(volts)
    return 1 / (down * per_metre), 1 / (across * per_metre)
