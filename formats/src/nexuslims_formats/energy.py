"""What the readers of spectra and patterns share: the energy axis, the energy of the beam."""

import math
from collections.abc import Iterable
from typing import Final, Literal

from nexuslims_contracts.datasets import Axis
from nexuslims_formats.model import Value
from nexuslims_formats.quantities import converted, measures

_SEM_KV: Final = 30.0
"""Scanning microscopes do not go beyond it; see :mod:`nexuslims_formats.plausibility`."""
_PLANCK: Final = 6.62607015e-34
_ELEMENTARY_CHARGE: Final = 1.602176634e-19
_SPEED_OF_LIGHT: Final = 299792458.0
_ELECTRON_MASS: Final = 9.1093837015e-31
"""In SI units, as the others above."""


def energy_axis(size: int, scale: float | None, offset: float | None, unit: str) -> Axis:
    """Return the axis of channels; it counts them where the calibration is not usable.

    Parameters
    ----------
    size
        Number of channels.
    scale, offset
        Width of a channel and energy of the first, None where they are not told.
    unit
        Of both.
    """
    if not scale or offset is None or not math.isfinite(scale) or not math.isfinite(offset):
        return Axis(name="Energy", size=size)
    return Axis(name="Energy", size=size, scale=scale, offset=offset, unit=unit)


def calibration(axes: Iterable[Axis]) -> dict[str, Value]:
    """Return width and start of the channels, as the first axis that is an energy tells them."""
    axis = next((one for one in axes if measures(one.unit) == "energy"), None)
    if axis is None:
        return {}
    return {
        "channel_size": (axis.scale, axis.unit),
        "starting_energy": (axis.offset, axis.unit),
    }


def microscope_kind(voltage: object) -> Literal["SEM", "TEM"]:
    """Return the kind of microscope of a file that does not say it, by its voltage.

    Parameters
    ----------
    voltage
        ``(number, unit)``; what is none is taken as that of an SEM.
    """
    kilovolts = converted(voltage, "kV")
    return "TEM" if kilovolts is not None and kilovolts > _SEM_KV else "SEM"


def wavelength(volts: float) -> float:
    """Return the wavelength in nm of electrons that a voltage accelerated, relativistic.

    References
    ----------
    CODATA 2018: h / sqrt(2 m e V (1 + e V / (2 m c^2))).
    """
    energy = _ELEMENTARY_CHARGE * volts
    rest = _ELECTRON_MASS * _SPEED_OF_LIGHT**2
    momentum = math.sqrt(2 * _ELECTRON_MASS * energy * (1 + energy / (2 * rest)))
    return _PLANCK / momentum * 1e9
