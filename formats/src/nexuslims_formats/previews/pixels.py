"""From an array of any size to a small picture: strided reading, stretching, resizing."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from nexuslims_contracts.datasets import Axis
from nexuslims_formats.errors import LimitExceededError

SIDE = 500
SAMPLES = 4 << 20
"""The most values that any one picture reads from the file."""
STRETCH = (0.5, 99.5)

Array = np.ndarray[Any, Any]
_OVERSAMPLING = 16
_HUGE = 64
_LARGEST = 1 << 36
"""Values of a plane: reading some of every row of more takes minutes."""
_COLOURS = (3, 4)
_BYTE = 255
_LONGEST = 20.0
_HALF = 0.5


def strides_within(shape: tuple[int, ...], samples: int = SAMPLES) -> tuple[slice, ...]:
    """Return even steps along every axis so that at most ``samples`` values are read.

    Parameters
    ----------
    shape
        Of the array.
    samples
        The most values to read.
    """
    step = 1
    while math.prod(math.ceil(size / step) for size in shape) > samples:
        step += 1
    return tuple(slice(None, None, min(step, max(1, size))) for size in shape)


def sampled(array: Array, samples: int = SAMPLES) -> Array:
    """Return an even sample as real numbers; complex values give their modulus.

    What is not finite is NaN.

    Parameters
    ----------
    array
        Of numbers, of any shape.
    samples
        The most values to read.
    """
    part = array[strides_within(array.shape, samples)]
    if np.iscomplexobj(part):
        part = np.abs(part)
    values = np.asarray(part, dtype=np.float32)
    there = np.isfinite(values)
    return values if there.all() else np.where(there, values, np.float32(np.nan))


def thinned(array: Array, axes: Sequence[Axis]) -> Array:
    """Return every second, third, ... row and column, so that the values can be worked on.

    Parameters
    ----------
    array
        An image, or a stack of them, with or without colours.
    axes
        Its axes; rows and columns are called ``y`` and ``x``.
    """
    step = 1
    places = [index for index, axis in enumerate(axes) if axis.name in ("y", "x")]
    while array.size / step ** len(places) > SAMPLES and places:
        step += 1
    steps = [slice(None, None, step if index in places else 1) for index in range(array.ndim)]
    return array[tuple(steps)]


def is_colour(array: Array) -> bool:
    """Whether an array is ``(rows, columns, 3 or 4)`` of bytes or words."""
    return array.ndim == 3 and array.shape[2] in _COLOURS and array.dtype.kind == "u"  # noqa: PLR2004


def fitted(rows: float, columns: int, width: int, height: int) -> tuple[int, int]:
    """Return the size with the image's aspect ratio that fills a box, at least a pixel each way.

    Parameters
    ----------
    rows, columns
        Size of the image; its rows may be fractions, for pixels that are no squares.
    width, height
        The box, in pixels.
    """
    factor = min(width / columns, height / rows)
    return max(1, round(columns * factor)), max(1, round(rows * factor))


def pixel_aspect(rows: Axis, columns: Axis) -> float:
    """Return how many times higher than wide a pixel is; 1 where the axes do not tell.

    Beyond a factor of 20 a picture would be a line: such pixels are shown as squares.

    Parameters
    ----------
    rows, columns
        The axes of an image.
    """
    if not rows.unit or rows.unit != columns.unit or not rows.scale or not columns.scale:
        return 1.0
    aspect = abs(rows.scale / columns.scale)
    return aspect if 1 / _LONGEST <= aspect <= _LONGEST else 1.0


def grey(
    array: Array,
    width: int = SIDE,
    height: int = SIDE,
    *,
    aspect: float = 1.0,
    logarithmic: bool = False,
) -> Image.Image:
    """Return a grey picture of a plane, stretched between its percentiles; gaps (NaN) are black.

    Parameters
    ----------
    array
        ``(rows, columns)`` of numbers.
    width, height
        The box to fill, in pixels.
    aspect
        How many times higher than wide a pixel of the array is.
    logarithmic
        Show the logarithm, as diffraction patterns need.

    Raises
    ------
    LimitExceededError
        The plane is larger than any detector's.
    """
    rows, columns = array.shape
    if array.size > _LARGEST:
        raise LimitExceededError(f"{columns} x {rows} values are too many for a picture")
    budget = min(SAMPLES, _OVERSAMPLING * width * height)
    if array.size > _HUGE * budget:
        # a page of the file is read for every few columns anyway: only skipping rows saves reading
        array = array[:: max(1, rows // (2 * height))]
    values = sampled(array, budget)
    there = np.isfinite(values)
    if not there.any():
        return Image.new("L", fitted(rows * aspect, columns, width, height), 0)
    size = fitted(rows * aspect, columns, width, height)
    if there.all():
        values = _resized(values, size)
        there = np.ones_like(values, dtype=bool)
    else:
        values = _resized(np.where(there, values, values[there].mean()), size)
        there = _resized(there.astype(np.float32), size) >= _HALF
    if logarithmic:
        values = np.log1p(values - values.min())
    known = values[there] if there.any() else values
    low, high = np.percentile(known, STRETCH)
    if high <= low:
        low, high = float(known.min()), float(known.max())
    if high <= low:
        return Image.new("L", size, 0)
    scaled = (np.clip(values, low, high).astype(np.float64) - low) / (high - low)
    return Image.fromarray((np.where(there, scaled, 0) * _BYTE).astype(np.uint8))


def _resized(values: Array, size: tuple[int, int]) -> Array:
    """Return values averaged or repeated to another size, ``(columns, rows)``."""
    picture = Image.fromarray(values.astype(np.float32, copy=False))
    shrinks = size[0] < picture.width or size[1] < picture.height
    return np.asarray(
        picture.resize(size, Image.Resampling.BOX if shrinks else Image.Resampling.NEAREST)
    )


def colour(array: Array, width: int = SIDE, height: int = SIDE) -> Image.Image:
    """Return a colour picture as it is; words are shown by their high byte.

    Parameters
    ----------
    array
        ``(rows, columns, 3 or 4)`` of bytes or words.
    width, height
        The box to fill, in pixels.
    """
    rows, columns, _ = array.shape
    part = array[(*strides_within((rows, columns), SAMPLES // 4), slice(0, 3))]
    if part.dtype.itemsize > 1:
        part = part >> (8 * (part.dtype.itemsize - 1))
    picture = Image.fromarray(np.ascontiguousarray(part, dtype=np.uint8))
    size = fitted(rows, columns, width, height)
    shrinks = size[0] < picture.width
    return picture.resize(size, Image.Resampling.BOX if shrinks else Image.Resampling.NEAREST)
