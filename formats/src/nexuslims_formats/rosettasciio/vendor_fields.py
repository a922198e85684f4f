"""What vendors' own trees say beyond the generic metadata that rosettasciio makes of them.

A table for each of its modules: our field, the path in the original metadata, the unit. What it
says counts more than the generic tree.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from nexuslims_formats.emsa import FIELDS as EMSA_FIELDS
from nexuslims_formats.model import Value
from nexuslims_formats.quantities import NUMBER, Row, mapped
from nexuslims_formats.rosettasciio.topspin import FIELDS as TOPSPIN_FIELDS
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
    "topspin": TOPSPIN_FIELDS,
    "emd": (
        ("acceleration_voltage", "microscope/voltage", "kV"),
        ("acceleration_voltage", "microscope/high tension", "V"),
        ("magnification", "microscope/magnification", "x"),
        ("camera_length", "microscope/camera length", "m"),
        ("dwell_time", "microscope/dwell time", "s"),
        ("convergence_angle", "microscope/convergence angle", "mrad"),
        ("spot_size", "microscope/spot size", NUMBER),
        ("microscope", "microscope/name", "text"),
        ("microscope", "microscope/microscope name", "text"),
        ("specimen", "sample/name", "text"),
        ("specimen", "sample/sample name", "text"),
        ("specimen", "sample/material", "text"),
        ("operator", "user/name", "text"),
    ),
    "hspy": EMSA_FIELDS,
    "zspy": EMSA_FIELDS,
    "delmic": (
        ("dwell_time", "ExtraSettings/*/dwellTime", "s"),
        ("acceleration_voltage", "ExtraSettings/*/accelVoltage", "V"),
        ("beam_current", "ExtraSettings/*/probeCurrent", "A"),
        ("horizontal_field_width", "ExtraSettings/*/horizontalFoV", "m"),
        ("exposure_time", "IntegrationTime", "s"),
        ("detector_type", "HardwareName", "text"),
        ("microscope", "ExtraSettings/Microscope/Name", "text"),
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
    look_up = nested(original)

    def with_unit(path: str) -> Any:
        before, star, name = path.partition("/*/")
        value = plain(_of_any(original.get(before), name) if star else look_up(path))
        if isinstance(value, list | tuple) and len(value) == 2:  # noqa: PLR2004 - Delmic's pairs
            value, unit = value
        else:
            unit = plain(look_up(f"{path}_units"))  # NCEM's
        return f"{value!r} {unit}" if unit and isinstance(value, int | float) else value

    yield from mapped(with_unit, _TABLES.get(module, ()))


def _of_any(devices: Any, name: str) -> Any:
    """Return a value of the first device that has it: facilities name their devices."""
    trees = devices.values() if isinstance(devices, Mapping) else ()
    return next((tree[name] for tree in trees if isinstance(tree, Mapping) and name in tree), None)


def plain(value: Any) -> Any:
    """Return what HDF5 has as an attribute as a text, number or list."""
    value = value.tolist() if hasattr(value, "tolist") else value
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
