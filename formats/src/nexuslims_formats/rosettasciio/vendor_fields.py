"""What vendors' own trees say beyond the generic metadata that rosettasciio makes of them.

A table for each of its modules: our field, the path in the original metadata, the unit. What it
says counts more than the generic tree.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from nexuslims_formats.model import Value
from nexuslims_formats.quantities import NUMBER, OWN_UNIT, TEXT, Row, mapped, number, quantity
from nexuslims_formats.trees import nested

Table: TypeAlias = tuple[Row, ...]

_TABLES: Final[Mapping[str, Table]] = {
    "quantumdetector": (
        ("exposure_time", "mib_properties/exposure", "ms"),
        ("dwell_time", "mib_properties/exposure", "ms"),
        ("acquisition_device", "hdr_file/Readout System", "text"),
        ("software", "hdr_file/Software Version", "text"),
    ),
    "pantarhei": (
        ("detector_type", "scan_generator.detector", "text"),
        ("dwell_time", "scan_generator.dwell_time", "s"),
        ("flyback_time", "scan_generator.flyback_time", "s"),
        ("camera_length", "projector.camera_length", "m"),
        ("exposure_time", "camera.exposure", "s"),
    ),
    "bruker": (
        ("magnification", "Analysis/Magnification", "x"),
        ("working_distance", "Analysis/WorkingDistance", "mm"),
        ("working_distance", "Microscope/WD", "mm"),
    ),
    "phenom": (
        ("detector_type", "acquisition/scan/detectors/EDS/detector_type", "text"),
        ("detector_type", "acquisition/scan/detector", "text"),
        ("dwell_time", "acquisition/scan/dwellTime/value", OWN_UNIT),
        ("emission_current", "acquisition/scan/emissionCurrent/value", OWN_UNIT),
        ("spot_size", "acquisition/scan/spotSize", NUMBER),
        ("horizontal_field_width", "acquisition/scan/fieldSize", "m"),
    ),
    "topspin": (("frame_time", "ProcedureData/FrameTime", "s"),),
    "jeol": (
        ("real_time", "Header/real time", "s"),
        ("working_distance", "Footer/Parameters/WorkD", "mm"),
        ("working_distance", "Instrument/WorkD", "mm"),
        ("working_distance", "PTTD Param/Params/PARAMPAGE0_SEM/WorkD", "mm"),
    ),
    "emd": (
        ("acceleration_voltage", "microscope/voltage", "kV"),
        ("microscope", "microscope/name", "text"),
        ("operator", "user/name", "text"),
        ("defocus", "Optics/Defocus", "m"),
        # Velox writes SI units throughout
        ("extraction_voltage", "Optics/ExtractorVoltage", "V"),
        ("spot_size", "Optics/SpotIndex", NUMBER),
        ("stage_x", "Stage/Position/x", "m"),
        ("stage_y", "Stage/Position/y", "m"),
        ("stage_z", "Stage/Position/z", "m"),
        ("stage_alpha", "Stage/AlphaTilt", "rad"),
        ("stage_beta", "Stage/BetaTilt", "rad"),
        ("dwell_time", "Scan/DwellTime", "s"),
        ("frame_time", "Scan/FrameTime", "s"),
        ("scan_rotation", "Scan/ScanRotation", "rad"),
        ("detector_type", "BinaryResult/Detector", TEXT),
    ),
}


_VELOX_MODES: Final = {"1": "TEM", "2": "STEM"}


def velox_mode(original: Mapping[str, Any]) -> str:
    """Return TEM or STEM, as a Velox file says; empty for another file."""
    return _VELOX_MODES.get(str(nested(original)("Optics/OperatingMode") or ""), "")


def _velox_fields(original: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    """Yield the mode, and in STEM the convergence, which has no meaning with a broad beam."""
    mode = velox_mode(original)
    if mode:
        yield "illumination_mode", mode
    angle = quantity(nested(original)("Optics/BeamConvergence"), "rad")
    if mode == "STEM" and angle and angle[0] > 0:
        yield "convergence_angle", angle


def vendor_metadata(module: str, original: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    """Yield the fields that a vendor's tree tells.

    Parameters
    ----------
    module
        rosettasciio's name of the format.
    original
        The vendor's own tree.
    """
    look_up = nested(original)

    def with_unit(path: str) -> Any:
        """Return a value with the unit beside it, as in ``{"value": 200, "unit": "ns"}``."""
        value = look_up(path)
        unit = look_up(f"{path.removesuffix('/value')}/unit") if path.endswith("/value") else None
        return f"{value} {unit}" if unit and number(value) is not None else value

    yield from mapped(with_unit, _TABLES.get(module, ()))
    if module == "emd":
        yield from _velox_fields(original)
