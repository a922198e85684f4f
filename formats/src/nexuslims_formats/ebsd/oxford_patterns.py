"""Patterns of Oxford Instruments: ``.ebsp``.

References
----------
kikuchipy (``oxford_binary``), told by Oxford. A release as a negative 64-bit integer (the oldest
files have none), from release 4 on a byte, then the place of each pattern of the map, 0 for one
that is not stored. A pattern has a head of four 32-bit integers (packed, height, width, bytes) and
behind it where the beam was, in um: two doubles, from release 2 on each after a byte.
"""

import math
import struct
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from nexuslims_formats.ebsd.grid import Grid
from nexuslims_formats.ebsd.patterns import LARGEST_SIDE, pattern_file
from nexuslims_formats.errors import LimitExceededError, UnreadableFileError, UnsupportedFileError
from nexuslims_formats.model import ParsedFile

if TYPE_CHECKING:
    import numpy as np

_PLACE, _HEAD = struct.Struct("<q"), struct.Struct("<4i")
_OLDEST_FOOT, _FOOT = struct.Struct("<2d"), struct.Struct("<?d?d")
_RELEASES = range(-16, 0)
_WITH_BYTE = 4
_MOST_PLACES = 8 << 20
_OPENED = 1024
"""So many patterns are opened for a preview; they lie anywhere in the file."""


class OxfordPatternsExtractor:
    """Reads the places of the patterns, the head of one, and where the beam was."""

    name = "oxford_patterns"
    version = "1.0"
    priority = 100
    extensions = ("ebsp",)

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the ending, and by the release, which is negative."""
        is_named = path.suffix.lower().removeprefix(".") in self.extensions
        return is_named and len(head) >= _PLACE.size and _PLACE.unpack_from(head)[0] in _RELEASES

    def open(self, path: Path) -> ParsedFile:
        """Read the table of places, which ends where the first pattern starts."""
        size = path.stat().st_size
        with path.open("rb") as file:
            release = -_PLACE.unpack(file.read(_PLACE.size))[0]
            places = _places(file, _PLACE.size + (release >= _WITH_BYTE), size)
            stored = [place for place in places if place]
            if not stored or min(stored) + _HEAD.size > size:
                raise UnreadableFileError("the file ends before its first pattern")
            height, width, length = _layout(file, stored[0])
            whole = [place for place in stored if place + _HEAD.size + length <= size]
            grid = _grid(file, release, places, length) if len(whole) == len(places) else None
        dtype = "uint8" if length == height * width else "uint16"
        lost = len(stored) - len(whole)
        problem = f"{lost} of its {len(stored)} patterns are not in the file" if lost else ""
        points = grid.shape if grid else (len(whole),)

        def open_pixels() -> "np.ndarray":
            return _opened(path, whole, (height, width), dtype)

        shape = (*points, height, width)
        return pattern_file(path, shape, dtype, open_pixels, grid=grid, problem=problem)


def _places(file: BinaryIO, start: int, size: int) -> list[int]:
    """Return the place of each pattern of the map; 0 for those that are not stored."""
    file.seek(start)
    table = file.read(min(size - start, _MOST_PLACES * _PLACE.size))
    found: list[int] = []
    end = size
    for (place,) in _PLACE.iter_unpack(table[: len(table) // _PLACE.size * _PLACE.size]):
        if start + len(found) * _PLACE.size >= end:
            break
        if place < 0:
            raise UnreadableFileError("its table of patterns is damaged")
        found.append(place)
        end = min(end, place or end)
    return found


def _layout(file: BinaryIO, place: int) -> tuple[int, int, int]:
    """Return height, width and bytes of a pattern."""
    file.seek(place)
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise UnreadableFileError("the file ends before its first pattern")
    packed, height, width, length = _HEAD.unpack(head)
    if packed:
        raise UnsupportedFileError("its patterns are packed: export them unpacked")
    if not (0 < height <= LARGEST_SIDE and 0 < width <= LARGEST_SIDE):
        raise LimitExceededError(f"the file claims patterns of {width} x {height} pixels")
    if length not in (height * width, 2 * height * width):
        raise UnreadableFileError(f"the file claims {length} bytes for {width} x {height} pixels")
    return height, width, length


def _grid(file: BinaryIO, release: int, places: list[int], length: int) -> Grid | None:
    """Return the grid that the beam's first two and last positions tell; None if they do not."""
    if len(places) < 2:  # noqa: PLR2004 - a step needs two
        return None
    foot = _HEAD.size + length
    telling = (places[0], places[1], places[-1])
    first, second, last = (_beam(file, release, place + foot) for place in telling)
    if first is None or second is None or last is None:
        return None
    step = second[0] - first[0]
    if not math.isfinite(step) or step <= 0:
        return None
    columns, rows = (round(abs(last[axis] - first[axis]) / step) + 1 for axis in (0, 1))
    return Grid(rows, columns, step, step) if rows * columns == len(places) else None


def _beam(file: BinaryIO, release: int, at: int) -> tuple[float, float] | None:
    """Return where the beam was for a pattern, x and y in um; None if that is not told."""
    foot = _OLDEST_FOOT if release == 1 else _FOOT
    file.seek(at)
    raw = file.read(foot.size)
    if len(raw) < foot.size:
        return None
    values = foot.unpack(raw)
    if release > 1:
        if not (values[0] and values[2]):
            return None
        values = values[1::2]
    return (values[0], values[1]) if all(map(math.isfinite, values)) else None


def _opened(path: Path, places: list[int], sides: tuple[int, int], dtype: str) -> "np.ndarray":
    import numpy as np  # noqa: PLC0415 - previews only

    kind = np.dtype(dtype).newbyteorder("<")
    length = math.prod(sides) * kind.itemsize
    found = []
    with path.open("rb") as file:
        for place in places[:: max(1, math.ceil(len(places) / _OPENED))]:
            file.seek(place + _HEAD.size)
            found.append(np.frombuffer(file.read(length), kind).reshape(sides))
    return np.stack(found)
