"""Axes as rosettasciio describes them: with a step, or value by value."""

import math
import re
from collections.abc import Iterator
from typing import Any, Final

from nexuslims_contracts.datasets import Axis
from nexuslims_contracts.text import clean_text
from nexuslims_contracts.units import known_unit
from nexuslims_formats.quantities import measures, unit_of_length

_QUANTITY_AND_UNIT: Final = re.compile(r"[^()]*[^()\s]\s*\(([^()]+)\)")
_UNDEFINED: Final = ("<undefined>", "[]")
_UNEVEN: Final = 0.01
"""Of a step: what still counts as evenly spaced."""
_PLANE: Final = 2


def axes_of(given: list[dict[str, Any]], shape: tuple[int, ...]) -> Iterator[Axis]:
    """Yield the axes of an array in its order; without a place for each they count pixels.

    Parameters
    ----------
    given
        The axes as rosettasciio describes them.
    shape
        Of the array.
    """
    ordered = sorted(given, key=lambda axis: axis.get("index_in_array") or 0)
    if len(ordered) != len(shape):
        ordered = [{} for _ in shape]
    for axis, size in zip(ordered, shape, strict=True):
        scale, offset = axis.get("scale") or 1.0, axis.get("offset") or 0.0
        if size == 1 and not math.isfinite(scale):  # from one place no step is known
            scale = 1.0
        steps = axis.get("axis")
        if steps is not None:  # given value by value: a line where it is one, channels otherwise
            scale, offset = _line(steps) or (1.0, 0.0)
        yield Axis(
            name=str(axis.get("name") or ""),
            size=int(size),
            scale=float(scale),
            offset=float(offset),
            unit="" if steps is not None and _line(steps) is None else unit_of(axis.get("units")),
            navigate=bool(axis.get("navigate")),
        )


def with_positions(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    """Mark the positions of a scan where the file does not: all but energy, or a pattern's two."""
    if any(axis.navigate for axis in axes) or len(axes) < _PLANE:
        return axes
    measured = [measures(axis.unit) for axis in axes]
    patterns = len(axes) == _PLANE * 2 and measured.count("inverse length") == _PLANE
    if measured.count("energy") != 1 and not patterns:
        return axes
    return tuple(
        axis.model_copy(update={"navigate": what not in ("energy", "inverse length")})
        for axis, what in zip(axes, measured, strict=True)
    )


def uneven(given: list[dict[str, Any]]) -> Iterator[str]:
    """Yield in words which axes have no one step, as those of spectrometers with a grating."""
    for axis in given:
        steps = axis.get("axis")
        if steps is not None and len(steps) > 1 and _line(steps) is None:
            name = clean_text(str(axis.get("name") or "")) or "without a name"
            yield f"{_spanned(name, steps, axis)} is not evenly spaced: it is shown by channels"


def unevenly(name: str, steps: Any, axis: dict[str, Any]) -> str:
    """Return in words that an axis shown by its mean step has others; empty where it has not.

    Parameters
    ----------
    name
        Of the axis.
    steps
        Its values.
    axis
        The axis as rosettasciio describes it.
    """
    if len(steps) <= 1 or _line(steps) is not None:
        return ""
    instead = "its mean step is shown" if axis.get("scale") else "it is shown by points"
    return f"{_spanned(name, steps, axis)} is not evenly spaced: {instead}"


def _spanned(name: str, steps: Any, axis: dict[str, Any]) -> str:
    span = f"{float(steps[0]):g} to {float(steps[-1]):g} {unit_of(axis.get('units'))}".strip()
    return f"the axis {name}, {span},"


def unit_of(units: object) -> str:
    """Return a unit as we write it; some write the quantity before it: ``Energy Loss (eV)``."""
    text = str(units or "").strip()
    if (match := _QUANTITY_AND_UNIT.fullmatch(text)) and known_unit(match[1]):
        text = match[1]
    return "" if text in _UNDEFINED else unit_of_length(text)


def _line(steps: Any) -> tuple[float, float] | None:
    """Return scale and offset of evenly spaced values; None for others."""
    import numpy as np  # noqa: PLC0415 - few files have such axes

    values = np.asarray(steps, dtype=float)
    if values.ndim != 1 or len(values) < _PLANE or not np.isfinite(values).all():
        return None
    scale = (values[-1] - values[0]) / (len(values) - 1)
    even = values[0] + scale * np.arange(len(values))
    if not scale or np.abs(values - even).max() > _UNEVEN * abs(scale):
        return None
    return float(scale), float(values[0])
