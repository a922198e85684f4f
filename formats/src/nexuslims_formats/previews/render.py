"""Which picture shows which kind of signal."""

import math

import numpy as np
from numpy.lib.recfunctions import structured_to_unstructured
from PIL import Image, ImageDraw

from nexuslims_contracts.datasets import CHANNEL, Axis
from nexuslims_formats.errors import ExtractorError
from nexuslims_formats.model import COUNTS, QUANTITY, Signal
from nexuslims_formats.previews.draw import (
    add_scale_bar,
    font,
    height_beside_scale,
    plot_line,
    to_png,
    with_scale_below,
    write_text,
)
from nexuslims_formats.previews.pixels import (
    SAMPLES,
    SIDE,
    Array,
    colour,
    grey,
    is_colour,
    pixel_aspect,
    sampled,
    strides_within,
    thinned,
)
from nexuslims_formats.quantities import measures

_NO_PHOTOGRAPHS = ("Spectrum", "SpectrumImage", "Diffraction")
"""Kinds of data whose third axis is no colour, of whatever length."""
_FRAMES = 9
_PLANE = 2
"""The axis of colours, as readers call it."""


def render_preview(signal: Signal) -> bytes | None:
    """Return a signal's preview as PNG; None where there is nothing to show.

    Raises
    ------
    ExtractorError
        The data has no values, or not the shape that its header claims.
    """
    if signal.text is not None:
        return to_png(write_text(signal.text))
    if signal.pixels is None:
        return None
    array = signal.pixels()
    if array.dtype.names:  # a structure of red, green and blue
        array = structured_to_unstructured(np.asarray(array))
    if array.size == 0:
        raise ExtractorError(f"signal {signal.name!r} holds no values")
    axes = list(signal.axes) or [Axis(size=size) for size in array.shape]
    if signal.dataset_type == "Image":
        array, axes = _in_a_row(array, axes)
    return to_png(_picture(signal, array, axes))


def _picture(signal: Signal, array: Array, axes: list[Axis]) -> Image.Image:
    if signal.to_display is not None:
        array = signal.to_display(thinned(array, axes))
        if array.ndim > len(axes):  # a palette gives each pixel its colours
            axes.append(Axis(name=CHANNEL, size=array.shape[-1]))
    if signal.dataset_type not in _NO_PHOTOGRAPHS:
        if is_colour(array):
            height = height_beside_scale(axes[1])
            return with_scale_below(colour(array, height=height), axes[1])
        if array.ndim > _PLANE and axes[-1].name == CHANNEL:
            array, axes = _pages(array, axes)
            if is_colour(array[0]):
                return _contact_sheet(array, axes, logarithmic=False)
            array, axes = array[..., 0], axes[:-1]
    array, axes = _squeezed(array, axes)
    if signal.dataset_type in ("Spectrum", "SpectrumImage") or array.ndim < _PLANE:
        return _spectral(array, axes, str(signal.extensions.get(QUANTITY) or COUNTS))
    logarithmic = signal.dataset_type == "Diffraction" or np.iscomplexobj(array)
    if array.ndim == _PLANE:
        columns = _in_space(*axes)
        height, aspect = height_beside_scale(columns), pixel_aspect(*axes)
        picture = grey(array, height=height, aspect=aspect, logarithmic=logarithmic)
        return with_scale_below(picture, columns)
    if array.ndim == _PLANE + 1:
        return _contact_sheet(array, axes, logarithmic=logarithmic)
    return _scanned_patterns(array, axes)


def _in_space(rows: Axis, columns: Axis) -> Axis:
    """Return the columns, without their unit where rows are of another kind: time, for example."""
    is_plane = measures(rows.unit) == measures(columns.unit)
    return columns if is_plane else columns.model_copy(update={"unit": ""})


def _in_a_row(array: Array, axes: list[Axis]) -> tuple[Array, list[Axis]]:
    """Return images along several axes, such as depth and time, as one run of pages."""
    planes = _PLANE + (axes[-1].name == CHANNEL)
    above = axes[:-planes]
    if len(above) < 2:  # noqa: PLR2004 - a run of pages already
        return array, axes
    pages = Axis(name="page", size=math.prod(axis.size for axis in above), navigate=True)
    return array.reshape(-1, *array.shape[-planes:]), [pages, *axes[-planes:]]


def _pages(array: Array, axes: list[Axis]) -> tuple[Array, list[Axis]]:
    """Return pages of several channels; a single one becomes a stack of one."""
    if array.ndim == _PLANE + 1:
        return array[np.newaxis], [Axis(name="page", size=1), *axes]
    return array.reshape(-1, *array.shape[-3:]), axes[-4:]


def _squeezed(array: Array, axes: list[Axis]) -> tuple[Array, list[Axis]]:
    keep = [index for index, size in enumerate(array.shape) if size > 1] or [array.ndim - 1]
    index = tuple(slice(None) if axis in keep else 0 for axis in range(array.ndim))
    return array[index], [axes[axis] for axis in keep if axis < len(axes)]


def _spectral(array: Array, axes: list[Axis], quantity: str) -> Image.Image:
    """Return a spectrum, or the summed map of a spectrum image above its summed spectrum."""
    energy = next((i for i, axis in enumerate(axes) if not axis.navigate), array.ndim - 1)
    if array.ndim == 1:
        return plot_line(np.nan_to_num(sampled(array)), axes[0], quantity=quantity)
    if energy != array.ndim - 1:  # what is no array, but sliced like one, has its channels last
        array = np.moveaxis(array, energy, -1)
        axes = [*axes[:energy], *axes[energy + 1 :], axes[energy]]
    spectrum = _summed(array)
    picture = Image.new("RGB", (SIDE, SIDE), (255, 255, 255))
    half = SIDE // 2
    if array.ndim == _PLANE:
        tile = grey(array, SIDE, SIDE)  # a line scan: position downwards, energy across
        tile = tile.resize((SIDE - 76, half - 12))
        picture.paste(tile, (62, 6))
    else:
        aspect = pixel_aspect(axes[-3], axes[-2])
        tile = add_scale_bar(
            grey(_map(array, int(spectrum.argmax())), SIDE - 20, half - 10, aspect=aspect), axes[-2]
        )
        picture.paste(tile, ((SIDE - tile.width) // 2, 6))
    picture.paste(plot_line(spectrum, axes[-1], SIDE, half, quantity=quantity), (0, half))
    return picture


def _summed(array: Array) -> Array:
    """Return the spectrum summed over evenly sampled positions."""
    positions = strides_within(array.shape[:-1], max(1, SAMPLES // array.shape[-1]))
    total: Array = np.asarray(array[positions]).sum(
        axis=tuple(range(array.ndim - 1)), dtype=np.float64
    )
    return np.nan_to_num(total, nan=0.0, posinf=0.0, neginf=0.0)


def _map(array: Array, strongest: int) -> Array:
    """Return the map summed over evenly sampled channels, the strongest one among them.

    What is above rows and columns, such as depth, is summed too.
    """
    step = max(1, math.ceil(array.size / (2 * SAMPLES)))
    positions = strides_within(array.shape[:-1], SAMPLES)
    plane: Array = np.asarray(array[(*positions, slice(strongest % step, None, step))]).sum(
        axis=-1, dtype=np.float64
    )
    summed: Array = plane.sum(axis=tuple(range(plane.ndim - _PLANE)))
    return summed


def _contact_sheet(array: Array, axes: list[Axis], *, logarithmic: bool) -> Image.Image:
    """Return up to nine evenly spaced frames of a stack, grey or in colours, numbered as there."""
    frames = frames_to_draw(array.shape[0], axes[0].size)
    across = math.ceil(math.sqrt(len(frames)))
    down = math.ceil(len(frames) / across)
    cell = SIDE // across
    rows, columns = axes[1:3]
    aspect = pixel_aspect(rows, columns)
    coloured = array.ndim > _PLANE + 1
    sheet = Image.new("RGB" if coloured else "L", (cell * across, cell * down), 0)
    for position, (frame, number) in enumerate(frames):
        if coloured:
            tile = colour(array[frame], cell - 4, cell - 4)
        else:
            tile = grey(array[frame], cell - 4, cell - 4, aspect=aspect, logarithmic=logarithmic)
        if position == 0:
            tile = add_scale_bar(tile, columns)
        ink, edge = ((255, 255, 255), (0, 0, 0)) if coloured else (255, 0)
        draw = ImageDraw.Draw(tile)
        draw.text((4, 2), str(number), ink, font(12), stroke_width=1, stroke_fill=edge)
        column, row = position % across, position // across
        sheet.paste(tile, (column * cell + 2, row * cell + 2))
    return sheet


def frames_to_draw(frames: int, in_file: int) -> list[tuple[int, int]]:
    """Return which frames of an array to show, and what to call them, from 1.

    Where the array has fewer frames than the file, it holds every second, third, ... of them.

    Parameters
    ----------
    frames
        How many the array has.
    in_file
        How many the file has.
    """
    every = math.ceil(in_file / frames)
    places = np.linspace(0, frames - 1, min(frames, _FRAMES)).tolist()
    return [(place, place * every + 1) for place in sorted({round(place) for place in places})]


def _scanned_patterns(array: Array, axes: list[Axis]) -> Image.Image:
    """Return a virtual image of a scan of patterns beside their mean pattern."""
    flat = array.reshape(-1, *array.shape[-3:]) if array.ndim > _PLANE + 2 else array
    scan, pattern = flat.shape[:2], flat.shape[2:]
    positions = strides_within(scan, max(1, SAMPLES // math.prod(pattern)))
    detail = strides_within(pattern, max(1, SAMPLES // math.prod(scan)))
    mean = np.asarray(flat[positions]).mean(axis=(0, 1))
    virtual = np.asarray(flat[(slice(None), slice(None), *detail)]).sum(
        axis=(2, 3), dtype=np.float64
    )
    half = SIDE // 2 - 4
    picture = Image.new("L", (SIDE, half + 8), 0)
    picture.paste(add_scale_bar(grey(virtual, half, half), axes[-3]), (2, 4))
    picture.paste(add_scale_bar(grey(mean, half, half, logarithmic=True), axes[-1]), (half + 6, 4))
    return picture
