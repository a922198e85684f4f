"""JEOL TEM TIFF: the TemReporter XML of the SightX and TEM Center software, in the description."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nexuslims_formats.energy import wavelength
from nexuslims_formats.model import ParsedFile, Value
from nexuslims_formats.quantities import NUMBER, Row, converted, mapped, measures, number, quantity
from nexuslims_formats.tiff.tags import (
    RESOLUTION_UNIT,
    X_RESOLUTION,
    Y_RESOLUTION,
    Tiff,
    is_tiff,
    read_tiff,
)
from nexuslims_formats.tiff.vendor import Described, image_signals
from nexuslims_formats.times import moment
from nexuslims_formats.trees import nested, readable_tree
from nexuslims_formats.values import leaves

_MARK = b"<TemReporter"
_CAMERA = "Camera"
_ANY_CAMERA = re.compile(r"Jem\w*Camera")  # JemBaumerCamera, measured; others by their pattern
_RESOLUTION = f"{_CAMERA}/Parameter/ImageDataInformation/PixelsPerMeter"
_BY_CAMERA = "camera"
_UNSCALED = "it has no scale: the magnification is that of the scan, which no camera records"
_TAG_UNITS = {2: 0.0254, 3: 0.01}
"""Metres of TIFF's inch and centimetre, which the tags count pixels of the camera in."""

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
        mode, per_metre = _mode(tree), _resolution(tiff, look_up)
        by_camera = _BY_CAMERA in str(look_up("ImageSourceDetector")).lower()
        if unscaled := mode == "STEM" and by_camera:  # such as a Ronchigram
            per_metre = None
        described = Described(
            data_type=f"{mode}_{'Diffraction' if diffraction else 'Imaging'}",
            dataset_type="Diffraction" if diffraction else "Image",
            metadata=metadata,
            extensions=dict(leaves(tree, "jeol")),
            acquired=moment("TemReporter DateTime", look_up("DateTime")),
            pixel_size=_pattern_pixel(per_metre, metadata)
            if diffraction
            else _pixel_size(per_metre, magnification),
            pixel_unit="1/nm" if diffraction else "m",
            warnings=("operator",) if "operator" in metadata else (),
            doubts=(_UNSCALED,) if unscaled else (),
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


def _resolution(tiff: Tiff, look_up: Any) -> tuple[float, float] | None:
    """Return the camera's pixels per metre, down and across: the XML's, else those of the tags."""
    down, across = (number(look_up(f"{_RESOLUTION}/{way}")) for way in ("Vertical", "Horizontal"))
    if down and across:
        return down, across
    unit = _TAG_UNITS.get(tiff.integer(RESOLUTION_UNIT))
    tags = [tiff.numbers(code) for code in (Y_RESOLUTION, X_RESOLUTION)]
    if unit is None or not all(one and one[0] > 0 for one in tags):
        return None
    return tags[0][0] / unit, tags[1][0] / unit


def _pixel_size(
    per_metre: tuple[float, float] | None, magnification: Value | None
) -> tuple[float, float] | None:
    """Return the size on the specimen from that on the camera, in metres."""
    times = converted(magnification, "x")
    if not per_metre or not times:
        return None
    return 1 / (per_metre[0] * times), 1 / (per_metre[1] * times)


def _pattern_pixel(
    per_metre: tuple[float, float] | None, metadata: Mapping[str, Value]
) -> tuple[float, float] | None:
    """Return the size in 1/nm of a pixel of the camera, by the camera length and the wavelength."""
    metres = converted(metadata.get("camera_length"), "m")
    volts = converted(metadata.get("acceleration_voltage"), "V")
    if not (per_metre and metres and volts and min(metres, volts) > 0):
        return None
    length = metres * wavelength(volts)
    return 1 / (per_metre[0] * length), 1 / (per_metre[1] * length)
