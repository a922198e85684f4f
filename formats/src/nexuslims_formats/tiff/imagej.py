r"""What ImageJ and Fiji write: lines of ``name=value`` in the description of the first page.

References
----------
The resolution tags count pixels in ``unit``, of rows in ``yunit`` if that is another. What is
outside of ASCII is escaped (``\u00B5m``). A stack of more than 4 GB, and every stack that is saved
raw, has one directory: its ``images`` lie one after the other behind the first (ImageJ's
TiffEncoder and TiffDecoder).
"""

import math
import re
from collections.abc import Mapping

from nexuslims_contracts.datasets import Axis
from nexuslims_formats.locales.encodings import decode
from nexuslims_formats.quantities import converted, counts, number, unit_of_length
from nexuslims_formats.tiff.tags import (
    COMPRESSION,
    DESCRIPTION,
    STRIP_OFFSETS,
    X_RESOLUTION,
    Y_RESOLUTION,
    Tiff,
)
from nexuslims_formats.values import lines_of

_MARK = b"ImageJ="
_METAMORPH_PLANES = 33629
_SHAPED = re.compile(r'\{"shape": \[([\d, ]+)\]|shape=\(([\d, ]+)\)')
_SHAPED_BYTES = 256
_WHOLE_SIZES = re.compile(r"\d{1,9}")
_NAMED = re.compile(r'"axes": "([A-Z]+)"')
_LETTERS = {"T": "time", "Z": "z", "C": "c"}
_ESCAPED = re.compile(r"\\u([0-9A-Fa-f]{4})")


def imagej_entries(tiff: Tiff) -> Mapping[str, str]:
    """Return the entries of ImageJ's description; empty for the file of another program."""
    raw = tiff.described(_MARK)
    if not raw.startswith(_MARK):
        return {}
    text, _ = decode(raw.split(b"\0", 1)[0])
    pairs = (line.partition("=") for line in lines_of(text))
    return {name.strip(): _unescaped(value.strip()) for name, sign, value in pairs if sign}


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def imagej_pixel_size(
    tiff: Tiff, entries: Mapping[str, str]
) -> tuple[tuple[float, float] | None, str]:
    """Return height and width of a pixel in metres, and why a scale that is there is none.

    Parameters
    ----------
    tiff
        The file.
    entries
        Those of its description.
    """
    across = entries.get("unit", "")
    down = entries.get("yunit", across)
    sizes = (_size(tiff, Y_RESOLUTION, down), _size(tiff, X_RESOLUTION, across))
    if sizes[0] and sizes[1]:
        return (sizes[0], sizes[1]), ""
    strange = [repr(unit) for unit in dict.fromkeys((across, down)) if not _is_length(unit)]
    has_scale = bool(strange) and bool(tiff.numbers(X_RESOLUTION))
    return None, f"ImageJ's scale is in {' and '.join(strange)}, no length" if has_scale else ""


def imagej_stack_axes(entries: Mapping[str, str], size: int) -> tuple[Axis, ...]:
    """Return the axes of a stack's pages: times, depths, channels; none where they do not fit.

    Of a hyperstack the channels of a place follow each other, then its depths.

    Parameters
    ----------
    entries
        Those of the description.
    size
        How many pages there are.
    """
    times, depths, channels = (
        int(number(entries.get(name)) or 1) for name in ("frames", "slices", "channels")
    )
    per_second = number(entries.get("fps"))
    interval = number(entries.get("finterval")) or (1 / per_second if per_second else None)
    unit = unit_of_length(entries.get("zunit", entries.get("unit", "")))
    axes = (
        stack_axis("time", times, interval, "s"),
        stack_axis("z", depths, number(entries.get("spacing")), unit),
        stack_axis("c", channels),
    )
    return counting(axes, size)


def shaped_stack_axes(tiff: Tiff, size: int) -> tuple[Axis, ...]:
    """Return the axes of the pages of an array that tifffile wrote whole; none where not told.

    Parameters
    ----------
    tiff
        The file.
    size
        How many pages there are.
    """
    whole = [int(text) for text in _WHOLE_SIZES.findall(_whole_shape(tiff))]
    names = _NAMED.search(tiff.raw(DESCRIPTION)[:_SHAPED_BYTES].decode("ascii", "replace"))
    letters = names[1] if names and len(names[1]) == len(whole) else " " * len(whole)
    for above in range(len(whole), 1, -1):
        if math.prod(whole[:above]) == size:
            pairs = zip(whole[:above], letters, strict=False)
            axes = (stack_axis(_LETTERS.get(letter, "page"), count) for count, letter in pairs)
            return counting(tuple(axes), size)
    return ()


def counting(axes: tuple[Axis, ...], size: int) -> tuple[Axis, ...]:
    """Return the axes along which there is more than one page, if they count all of them.

    Parameters
    ----------
    axes
        The slowest first.
    size
        How many pages there are.
    """
    counted = tuple(axis for axis in axes if axis.size > 1)
    return counted if math.prod(axis.size for axis in counted) == size > 1 else ()


def stack_axis(name: str, size: int, step: float | None = None, unit: str = "") -> Axis:
    """Return an axis of pages; it counts them where no step is told.

    Parameters
    ----------
    name
        Of the axis.
    size
        How many pages there are.
    step, unit
        From one page to the next.
    """
    if not step or step <= 0 or not unit:
        return Axis(name=name, size=size, navigate=True)
    return Axis(name=name, size=size, scale=step, unit=unit, navigate=True)


def _is_length(unit: str) -> bool:
    """Tell a length from another unit; what is only counted has no scale to lose."""
    return counts(unit) or converted((1.0, unit_of_length(unit)), "m") is not None


def _size(tiff: Tiff, code: int, unit: str) -> float | None:
    per_unit = next(iter(tiff.numbers(code)), 0.0)
    if counts(unit) or not math.isfinite(per_unit) or per_unit <= 0:
        return None
    return converted((1 / per_unit, unit_of_length(unit)), "m")


def frames_behind(tiff: Tiff, shape: tuple[int, ...], frame_bytes: int) -> tuple[int, int]:
    """Return how many frames a file with one directory says it has, and how many are there.

    Parameters
    ----------
    tiff
        The file.
    shape
        Of one frame.
    frame_bytes
        Of one frame.
    """
    if len(tiff.pages) > 1 or tiff.integer(COMPRESSION, 0, 1) != 1 or not frame_bytes:
        return 1, 1
    claimed = _claimed(tiff, shape)
    room = tiff.path.stat().st_size - tiff.integer(STRIP_OFFSETS)
    return max(1, claimed), max(1, min(claimed, room // frame_bytes))


def _claimed(tiff: Tiff, shape: tuple[int, ...]) -> int:
    """Return the frames that ImageJ, MetaMorph or tifffile say that the one directory stands for.

    MetaMorph has an entry for each plane in its tag; tifffile writes the shape of the whole.
    """
    if planes := tiff.pages[0].get(_METAMORPH_PLANES):
        return planes.count
    if images := imagej_entries(tiff).get("images", ""):
        return int(images) if images.isdecimal() else 1
    whole = [int(size) for size in _WHOLE_SIZES.findall(_whole_shape(tiff))]
    values: int = math.prod(shape)
    return math.prod(whole) // values if whole and values else 1


def _whole_shape(tiff: Tiff) -> str:
    shaped = _SHAPED.match(tiff.raw(DESCRIPTION)[:_SHAPED_BYTES].decode("ascii", "replace"))
    return shaped[1] or shaped[2] if shaped else ""
