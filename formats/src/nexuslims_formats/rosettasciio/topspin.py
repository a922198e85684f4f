"""What TopSpin says of its calibrations and its microscope beyond what rosettasciio makes of it."""

import math
from collections.abc import Mapping
from typing import Any, Final

from nexuslims_formats.quantities import Row

FIELDS: Final[tuple[Row, ...]] = (
    ("frame_time", "ProcedureData/FrameTime", "s"),
    ("acceleration_voltage", "HardwareSettings/GunHighVoltage", "V"),
    ("camera_length", "HardwareSettings/DiffractionCameraLength", "m"),
    ("detector_type", "ProcedureData/Camera", "text"),
    ("microscope", "SystemName", "text"),
    ("specimen", "Specimen", "text"),
    ("operator", "CreatedBy", "text"),
)
"""Lengths are in metres, angles in radians, as in all of TopSpin's XML."""
_ANGLE: Final = "Angle"
_NANOMETRES: Final = 1e9
_PLANE: Final = 2


def with_angles(part: dict[str, Any]) -> dict[str, Any]:
    """Return a dataset with its angles in radians.

    The library takes TopSpin's word for a quantity, ``Angle``, as a unit, and the calibration of
    every image for a length in nm: that of a pattern is an angle.

    Parameters
    ----------
    part
        A dataset as rosettasciio gives it.
    """
    axes = [
        {**axis, "units": "rad"} if axis.get("units") == _ANGLE else axis
        for axis in part.get("axes") or []
    ]
    original = part.get("original_metadata") or {}
    if str((original.get("HardwareSettings") or {}).get("StemEnabled")).lower() == "true":
        part = scanned(part)
    if len(axes) == _PLANE and _is_pattern(original, axes):
        metadata = part.get("metadata") or {}
        signal = {**(metadata.get("Signal") or {}), "signal_type": "diffraction"}
        part = {**part, "metadata": {**metadata, "Signal": signal}}
        axes = [_as_angle(axis, name) for axis, name in zip(axes, ("ky", "kx"), strict=True)]
    return {**part, "axes": axes}


def scanned(part: dict[str, Any]) -> dict[str, Any]:
    """Return a dataset marked as one of a scanned beam in a transmission microscope."""
    instrument = {"TEM": {"acquisition_mode": "STEM"}}
    metadata = part.get("metadata") or {}
    return {**part, "metadata": {"Acquisition_instrument": instrument, **metadata}}


def _is_pattern(original: Mapping[str, Any], axes: list[dict[str, Any]]) -> bool:
    """Whether the calibration with an image's scale and offset is that of an angle."""
    found = [
        given.get("Text") == _ANGLE
        for given in (original.get("ProcedureData") or {}).values()
        if isinstance(given, Mapping)
        and all(
            isinstance(given.get(key), int | float)
            and math.isclose(given[key] * _NANOMETRES, axes[0].get(name) or 0.0, rel_tol=1e-6)
            for key, name in (("Scale", "scale"), ("Offset", "offset"))
        )
    ]
    return bool(found) and all(found)


def _as_angle(axis: dict[str, Any], name: str) -> dict[str, Any]:
    return {
        **axis,
        "name": name,
        "units": "rad",
        "scale": axis["scale"] / _NANOMETRES,
        "offset": axis["offset"] / _NANOMETRES,
    }
