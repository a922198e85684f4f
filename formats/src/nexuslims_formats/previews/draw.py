"""What is drawn onto a picture: scale bar, labels, a plotted line, words."""

import math
from collections.abc import Callable
from functools import cache
from io import BytesIO

import numpy as np
from noto_cjk_sans_jp_regular import FONT_PATH
from PIL import Image, ImageDraw, ImageFont

from nexuslims_contracts.datasets import Axis
from nexuslims_contracts.units import written_unit
from nexuslims_formats.model import COUNTS
from nexuslims_formats.previews.pixels import SIDE, Array

_LENGTHS = ("pm", "nm", "um", "mm", "m")
_THOUSAND = 1000.0
_BAR_SHARE = 0.25
_MARGIN = 10
_SCALE_ROWS = 41
_NAMES = {
    "energy": "Energy", "energy_loss": "Energy loss", "x": "Position", "wavelength": "Wavelength",
}  # fmt: skip
_LINE = (31, 78, 121)
_FRAME = (90, 90, 90)
_INK = (20, 20, 20)


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Return the one font of all pictures: Latin, Greek and Japanese, the same on every machine."""
    return ImageFont.truetype(str(FONT_PATH), size)


def to_png(picture: Image.Image) -> bytes:
    """Return the bytes of a PNG: no time, no software name, always the same."""
    buffer = BytesIO()
    picture.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def nice(value: float) -> float:
    """Return the largest of 1, 2, 5 times a power of ten that does not exceed a positive value."""
    power = 10.0 ** math.floor(math.log10(value))
    return max(step for step in (1.0, 2.0, 5.0, 10.0) if step * power <= value * 1.0001) * power


def add_scale_bar(picture: Image.Image, axis: Axis) -> Image.Image:
    """Draw a scale bar onto a picture, on a dark ground at the lower left.

    Parameters
    ----------
    picture
        Grey or RGB; it spans the whole axis.
    axis
        Of the columns; without a unit there is no bar.
    """
    bar = _scale_bar(picture, axis)
    if bar is None or bar.height + _MARGIN > picture.height:
        return picture
    canvas = picture if picture.mode == "RGB" else picture.convert("L")
    canvas.paste(bar, (_MARGIN, canvas.height - _MARGIN - bar.height))
    return canvas


def with_scale_below(picture: Image.Image, axis: Axis) -> Image.Image:
    """Return a picture with its scale bar in a strip below, where it covers nothing.

    A vendor's own strip of words may be the lowest part of a picture.

    Parameters
    ----------
    picture
        Grey or RGB; it spans the whole axis.
    axis
        Of the columns; without a unit there is no bar.
    """
    bar = _scale_bar(picture, axis)
    if bar is None:
        return picture
    canvas = Image.new(bar.mode, (picture.width, picture.height + _SCALE_ROWS))
    canvas.paste(picture)
    canvas.paste(bar, (_MARGIN, picture.height))
    return canvas


def height_beside_scale(axis: Axis) -> int:
    """Return how high a picture may be so that it has its scale bar below within the preview."""
    return SIDE - _SCALE_ROWS if _is_calibrated(axis) else SIDE


def _is_calibrated(axis: Axis) -> bool:
    extent = abs(axis.scale) * axis.size
    return axis.unit not in ("", "px", "pixel") and math.isfinite(extent) and extent > 0


def _scale_bar(picture: Image.Image, axis: Axis) -> Image.Image | None:
    """Return a bar of a round length with its label; None for an axis without a unit."""
    if not _is_calibrated(axis):
        return None
    unit, extent = axis.unit, abs(axis.scale) * axis.size
    length = nice(extent * _BAR_SHARE)
    pixels = max(2, round(length / extent * picture.width))
    while unit in _LENGTHS[:-1] and length >= _THOUSAND:
        length, unit = length / _THOUSAND, _LENGTHS[_LENGTHS.index(unit) + 1]
    while unit in _LENGTHS[1:] and length < 1:
        length, unit = length * _THOUSAND, _LENGTHS[_LENGTHS.index(unit) - 1]
    label = f"{length:g} {written_unit(unit)}"
    size = max(10, min(20, picture.width // 25))
    words = round(font(size).getlength(label))
    width, height = max(pixels, words) + 16, size + 20
    if width + _MARGIN > picture.width:
        return None
    bar = Image.new("RGB" if picture.mode == "RGB" else "L", (width + 1, height + 1))
    ink = (255, 255, 255) if bar.mode == "RGB" else 255
    draw = ImageDraw.Draw(bar)
    start = (width - pixels) // 2
    draw.rectangle((start, height - 8, start + pixels, height - 5), fill=ink)
    draw.text(((width - words) / 2, size + 2), label, ink, font(size), anchor="ls")
    return bar


def axis_label(axis: Axis) -> str:
    """Return the words under an axis: name and unit."""
    name = _NAMES.get(axis.name, axis.name.replace("_", " ").capitalize()) or "Channel"
    if axis.name == "x" and not axis.unit:
        name = "Channel"
    unit = written_unit(axis.unit)
    if unit in ("nm", "µm") and axis.name == "x":
        name = "Wavelength" if unit == "nm" else "Position"
    if unit in ("eV", "keV") and name in ("Channel", "Position"):
        name = "Energy"
    return f"{name} ({unit})" if unit else name


def plot_line(
    values: Array, axis: Axis, width: int = SIDE, height: int = SIDE, *, quantity: str = COUNTS
) -> Image.Image:
    """Plot a spectrum with ticks, labels and units.

    Parameters
    ----------
    values
        ``(channels,)`` counts.
    axis
        Their axis; its scale and offset count channels of the whole axis, evenly sampled here.
    quantity
        What the values are, with its unit.
    """
    picture = Image.new("RGB", (width, height), (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    left, top, right, bottom = 62, 12, width - 14, height - 46
    first = axis.offset
    last = axis.offset + axis.scale * max(1, axis.size - 1)
    low, high = float(values.min()), float(values.max())
    low = min(low, 0.0) if low < 0 or low < 0.5 * high else low
    high = high if high > low else low + 1.0

    def place_x(value: float) -> float:
        return left + (value - first) / ((last - first) or 1.0) * (right - left)

    def place_y(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - top) * 0.96

    _ticks(draw, first, last, lambda v: (place_x(v), bottom), vertical=False)
    _ticks(draw, low, high, lambda v: (left, place_y(v)), vertical=True)
    count = len(values)
    xs = np.linspace(place_x(first), place_x(last), count)
    points = _envelope(xs, np.array([place_y(v) for v in values.tolist()]))
    if len(points) > 1:
        draw.line(points, fill=_LINE, width=1)
    draw.rectangle((left, top, right, bottom), outline=_FRAME)
    label = axis_label(axis)
    draw.text(((left + right) / 2, height - 6), label, _INK, font(14), anchor="ms")
    half = max(40, min((bottom - top) // 2, round(font(14).getlength(quantity) / 2) + 4))
    words = Image.new("L", (2 * half, 18), 255)
    ImageDraw.Draw(words).text((half, 15), quantity, 20, font(14), anchor="ms")
    picture.paste(words.rotate(90, expand=True), (2, (top + bottom) // 2 - half))
    return picture


def _envelope(xs: Array, ys: Array) -> list[tuple[float, float]]:
    """Return the points of a line, at most a highest and a lowest in each column of pixels."""
    points: list[tuple[float, float]] = []
    columns = np.floor(xs).astype(int)
    edges = np.flatnonzero(np.diff(columns)) + 1
    for group_x, group_y in zip(np.split(xs, edges), np.split(ys, edges), strict=True):
        points.append((float(group_x[0]), float(group_y[0])))
        if len(group_y) > 2:  # noqa: PLR2004 - a point between the ends may stick out
            points += [(float(group_x[0]), float(group_y.min()))]
            points += [(float(group_x[0]), float(group_y.max()))]
        points.append((float(group_x[-1]), float(group_y[-1])))
    return points


def _ticks(
    draw: ImageDraw.ImageDraw,
    low: float,
    high: float,
    place: Callable[[float], tuple[float, float]],
    *,
    vertical: bool,
) -> None:
    """Draw ticks at round values, with their numbers."""
    begin, end = min(low, high), max(low, high)
    if not math.isfinite(end - begin) or end <= begin:
        return
    step = nice((end - begin) / 3)
    value = math.ceil(begin / step) * step
    while value <= end + step * 1e-6:
        x, y = place(value)
        label = f"{value:.6g}" if abs(value) > step * 1e-6 else "0"
        if vertical:
            draw.line((x - 5, y, x, y), fill=_FRAME)
            draw.text((x - 8, y), label, _INK, font(12), anchor="rm")
        else:
            draw.line((x, y, x, y + 5), fill=_FRAME)
            draw.text((x, y + 8), label, _INK, font(12), anchor="mt")
        value += step


def write_text(text: str, side: int = SIDE) -> Image.Image:
    """Return the beginning of a text as dark words on a light ground.

    Parameters
    ----------
    text
        Of any length.
    side
        Of the square picture, in pixels.
    """
    picture = Image.new("RGB", (side, side), (250, 250, 250))
    draw = ImageDraw.Draw(picture)
    letters = font(12)
    y = _MARGIN
    for line in text.splitlines():
        if y > side - 20:
            break
        printable = "".join(c if c.isprintable() else " " for c in line.expandtabs(4))[:120]
        draw.text((_MARGIN, y), printable, _INK, letters)
        y += 15
    return picture
