"""What vendors' own trees say beyond the generic metadata that rosettasciio makes of them.

A table for each of its modules: our field, the path in the original metadata, the unit. What it
says counts more than the generic tree.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from nexuslims_formats.model import Value
from nexuslims_formats.quantities import Row, mapped
from nexuslims_formats.trees import nested

Table: TypeAlias = tuple[Row, ...]

_TABLES: Final[Mapping[str, Table]] = {
    "pantarhei": (
        ("detector_type", "scan_generator.detector", "text"),
        ("dwell_time", "scan_generator.dwell_time", "s"),
        ("flyback_time", "scan_generator.flyback_time", "s"),
        ("camera_length", "projector.camera_length", "m"),
        ("exposure_time", "camera.exposure", "s"),
    ),
    "topspin": (("frame_time", "ProcedureData/FrameTime", "s"),),
    "emd": (
        ("acceleration_voltage", "microscope/voltage", "kV"),
        ("microscope", "microscope/name", "text"),
        ("operator", "user/name", "text"),
    ),
}


def vendor_metadata(module: str, original: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    """Yield the fields that a vendor's tree tells.

    Parameters
    ----------
    module
        rosettasciio's name of the format.
    original
        The vendor's own tree.
    """
    yield from mapped(nested(original), _TABLES.get(module, ()))
