"""Helium-ion TIFF: Zeiss Orion (tag 65000) and Fibics NPVE (tag 51023), both XML."""

from pathlib import Path
from typing import Any

from nexuslims_formats.model import ParsedFile, Value
from nexuslims_formats.quantities import Row, mapped, number, pixel_size, quantity
from nexuslims_formats.tiff.camera import time_of_tag
from nexuslims_formats.tiff.tags import Tiff, is_tiff, read_tiff
from nexuslims_formats.tiff.vendor import Described, image_signals
from nexuslims_formats.times import first_moment, moment
from nexuslims_formats.trees import nested, readable_tree
from nexuslims_formats.values import leaves

ZEISS_TAG, FIBICS_TAG = 65000, 51023

_FIBICS_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "BeamInfo/AccV", "V"),
    ("beam_current", "BeamInfo/BeamI", "pA"),
    ("dwell_time", "Scan/Dwell", "ns"),
    ("horizontal_field_width", "Scan/FOV_X", "um"),
    ("vertical_field_width", "Scan/FOV_Y", "um"),
    ("scan_rotation", "Scan/ScanRot", "degree"),
    ("pixel_width", "Scan/Ux", "um"),
    ("stage_x", "Stage/X", "um"),
    ("stage_y", "Stage/Y", "um"),
    ("stage_z", "Stage/Z", "um"),
    ("stage_tilt", "Stage/Tilt", "degree"),
    ("stage_rotation", "Stage/Rot", "degree"),
    ("detector_type", "Image/Detector", "text"),
)
# each entry of the Zeiss tree has a Value and its Units
_ZEISS_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "AccelerationVoltage", "V"),
    ("extraction_voltage", "ExtractionVoltage", "V"),
    ("working_distance", "WorkingDistance", "mm"),
    ("beam_current", "BlankerCurrent", "pA"),
    ("horizontal_field_width", "Fov", "um"),
    ("scan_rotation", "ScanRotate", "degree"),
    ("chamber_pressure", "ChamberPressure", "torr"),
    ("pixel_width", "ScalingX", "m"),
    ("pixel_height", "ScalingY", "m"),
    ("magnification", "Magnification4x5", "x"),
    ("dwell_time", "DwellTime", "us"),
    ("stage_x", "StageX", "mm"),
    ("stage_y", "StageY", "mm"),
    ("stage_z", "StageZ", "mm"),
    ("stage_tilt", "StageTilt", "degree"),
    ("stage_rotation", "StageRotate", "degree"),
    ("detector_type", "DetectorName", "text"),
)


class OrionTiffExtractor:
    """Reads the XML of helium-ion microscopes."""

    name = "orion_tiff"
    version = "1.0"
    priority = 150
    extensions = ("tif", "tiff")

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the private tags 65000 or 51023, and by the XML in them."""
        if not is_tiff(head):
            return False
        tiff = read_tiff(path)
        return (
            b"<ImageTags" in tiff.raw(ZEISS_TAG)[:512] or b"<Fibics" in tiff.raw(FIBICS_TAG)[:512]
        )

    def open(self, path: Path) -> ParsedFile:
        """Read the XML and the directory of the image."""
        tiff = read_tiff(path)
        raw = tiff.raw(FIBICS_TAG)
        tree, problem = readable_tree(raw or tiff.raw(ZEISS_TAG))
        described = _fibics(tiff, tree) if raw else _zeiss(tree)
        return ParsedFile(
            signals=image_signals(tiff, described),
            native=tree,
            reader=f"tiff tags {self.version}",
            problems=(problem,) if problem else (),
        )


def _fibics(tiff: Tiff, tree: dict[str, Any]) -> Described:
    look_up = nested(tree)
    metadata: dict[str, Value] = dict(mapped(look_up, _FIBICS_FIELDS))
    if down := quantity(look_up("Scan/Vy"), "um"):  # rows run upwards: it is negative
        metadata["pixel_height"] = (abs(down[0]), down[1])
    return Described(
        data_type="HIM_Imaging",
        metadata=metadata,
        extensions=dict(leaves(tree, "fibics")),
        acquired=first_moment(
            moment("Fibics Application/Date", look_up("Application/Date")), time_of_tag(tiff)
        ),
        pixel_size=pixel_size(metadata.get("pixel_height"), metadata.get("pixel_width")),
    )


def _zeiss(tree: dict[str, Any]) -> Described:
    look_up = nested(tree)

    def value_with_unit(name: str) -> Any:
        value, unit = look_up(f"{name}/Value"), str(look_up(f"{name}/Units") or "").strip()
        return f"{value} {unit}" if unit and number(value) is not None else value

    metadata: dict[str, Value] = dict(mapped(value_with_unit, _ZEISS_FIELDS))
    stamp = str(look_up("TimeStamp/Value") or look_up("DateTime/Value") or "")
    return Described(
        data_type="HIM_Imaging",
        metadata=metadata,
        extensions=dict(leaves(tree, "zeiss")),
        acquired=moment("ImageTags TimeStamp", stamp),
        pixel_size=pixel_size(metadata.get("pixel_height"), metadata.get("pixel_width")),
    )
