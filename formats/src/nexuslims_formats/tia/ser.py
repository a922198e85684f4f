"""The ``.ser`` files of FEI TIA: one series of images or spectra, read without its data.

Layout after C. Boothroyd, https://personal.ntu.edu.sg/cbb/info/TIAformat/.
"""

import math
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from nexuslims_contracts.datasets import Axis
from nexuslims_formats.errors import LimitExceededError, UnreadableFileError
from nexuslims_formats.quantities import readable_length
from nexuslims_formats.times import from_unix

if TYPE_CHECKING:
    import numpy as np

SERIES_HEAD = b"II\x97\x01"
_SPECTRA, _POSITIONS = 0x4120, 0x4142
_WIDE_VERSION = 0x220
_SPECTRUM_HEADER, _IMAGE_HEADER = "<ddIHI", "<ddIddIHII"
_DTYPES = {
    1: "uint8", 2: "uint16", 3: "uint32", 4: "int8", 5: "int16", 6: "int32", 7: "float32",
    8: "float64", 9: "complex64", 10: "complex128",
}  # fmt: skip
_ITEM = {"uint8": 1, "uint16": 2, "uint32": 4, "int8": 1, "int16": 2, "int32": 4, "float32": 4,
         "float64": 8, "complex64": 8, "complex128": 16}  # fmt: skip
MAX_ELEMENTS = 1 << 24
_LARGEST_COPY = 512 << 20
"""Bytes of a scan with gaps, which is copied to be shown."""
MAX_VALUES = 1 << 40
MAX_DIMENSIONS = 8


@dataclass(frozen=True, slots=True)
class Series:
    """One ``.ser`` file. ``spatial`` axes of images are in metres until the mode is known."""

    path: Path
    spectra: bool
    dtype: str
    navigation: tuple[Axis, ...]
    element: tuple[int, ...]
    """Rows and columns of each image, or channels of each spectrum."""
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    time: datetime | None
    header: dict[str, int | float | str]
    pixels: "Callable[[], np.ndarray]"
    problem: str
    """What of the data the file lacks; empty where it is whole."""
    doubt: str = ""
    """What of the tags cannot be read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Navigation axes first, then the element's."""
        return (*(axis.size for axis in self.navigation), *self.element)


class _Reader:
    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = os.fstat(file.fileno()).st_size

    def take(self, code: str, at: int | None = None) -> tuple[int | float, ...]:
        if at is not None:
            if at > self.size:
                raise UnreadableFileError("the series ends before what its header points to")
            self.file.seek(at)
        size = struct.calcsize("<" + code)
        if size > self.size:
            raise LimitExceededError(f"the series claims {size} bytes of offsets")
        try:
            return struct.unpack("<" + code, self.file.read(size))
        except struct.error:
            raise UnreadableFileError("the series ends within its header") from None

    def integer(self, code: str, at: int | None = None) -> int:
        return int(self.take(code, at)[0])


def read_series(path: Path) -> Series:
    """Read the header, the first element and the positions of a series.

    Raises
    ------
    UnreadableFileError
        The file is truncated, empty of valid elements, or no TIA series.
    LimitExceededError
        It claims more elements than any real file has.
    """
    with path.open("rb") as file:
        reader = _Reader(file)
        head = _head(reader)
        version, tag_kind, total, valid = head.version, head.tag_kind, head.total, head.valid
        dimensions, offsets, tags, spectra = head.dimensions, head.offsets, head.tags, head.spectra
        element, scale, offset, dtype, data_at = _element(reader, offsets[0], spectra=spectra)
        positions, time, doubt, cut = _tagged(reader, tags, tag_kind)
        size = reader.size
    navigation = _navigation(dimensions, positions, valid, total, spectra=spectra)
    shape = (*(axis.size for axis in navigation), *element)
    if math.prod(shape) > MAX_VALUES:
        raise LimitExceededError(f"the series claims {' x '.join(map(str, shape))} values")
    starts = [at + data_at for at in offsets]
    each = math.prod(element) * _ITEM[dtype]
    if starts[0] + each > size:
        raise UnreadableFileError("the series ends within its first element")
    there = sum(start + each <= size for start in starts)
    header: dict[str, int | float | str] = {
        "SeriesVersion": version,
        "TotalNumberElements": total,
        "ValidNumberElements": valid,
    }
    problem = cut if there == valid else f"{path.name} holds {there} of its {valid} elements"
    places = math.prod(axis.size for axis in navigation)
    if not problem and places not in (valid, total):
        problem = f"the axes of {path.name} have {places} places for its {total} elements"
    return Series(
        path, spectra, dtype, navigation, element, scale, offset, time, header,
        lambda: _map(path, starts, shape, element, dtype, flip=not spectra),
        problem, doubt,
    )  # fmt: skip


def metadata_spans(path: Path) -> Iterator[tuple[int, int]]:
    """Yield the first byte and the number of bytes of what is no data: heads, places, times.

    Raises
    ------
    UnreadableFileError, LimitExceededError
        As :func:`read_series` does.
    """
    with path.open("rb") as file:
        reader = _Reader(file)
        head = _head(reader)
    wide = 8 if head.version >= _WIDE_VERSION else 4
    yield 0, head.end
    places = min(head.valid + 1, head.total) * wide  # of a series cut short also of the next one
    yield head.table, places
    yield head.table + head.total * wide, places
    of_element = struct.calcsize(_SPECTRUM_HEADER if head.spectra else _IMAGE_HEADER)
    yield from ((at, of_element) for at in head.offsets)
    of_tag = 8 + (2 * 8 if head.tag_kind == _POSITIONS else 0)
    yield from ((at, of_tag) for at in head.tags if at)


@dataclass(frozen=True, slots=True)
class _Head:
    version: int
    tag_kind: int
    total: int
    valid: int
    spectra: bool
    table: int
    dimensions: list[Axis]
    offsets: list[int]
    tags: list[int]
    end: int
    """The first byte behind the dimensions."""


def _head(reader: _Reader) -> _Head:
    if reader.file.read(4) != SERIES_HEAD:
        raise UnreadableFileError("not a TIA series: the file does not start like one")
    version, kind, tag_kind, total, valid = (int(v) for v in reader.take("HIIII"))
    wide = "Q" if version >= _WIDE_VERSION else "I"
    table = reader.integer(wide)
    dimensions = [_dimension(reader) for _ in range(_bounded(reader.integer("I")))]
    end = reader.file.tell()
    if not 0 < valid <= MAX_ELEMENTS:
        raise UnreadableFileError(f"the series holds {valid} valid elements of {total}")
    offsets = [int(v) for v in reader.take(f"{valid}{wide}", table)]
    tags = [int(v) for v in reader.take(f"{valid}{wide}", table + total * struct.calcsize(wide))]
    return _Head(
        version, tag_kind, total, valid, kind == _SPECTRA, table, dimensions, offsets, tags, end
    )


def _bounded(count: int) -> int:
    if count > MAX_DIMENSIONS:
        raise LimitExceededError(f"the series claims {count} dimensions")
    return count


def _dimension(reader: _Reader) -> Axis:
    size, offset, delta, _ = reader.take("IddI")
    description = reader.file.read(min(reader.integer("I"), 1 << 16)).decode("latin-1")
    unit = reader.file.read(min(reader.integer("I"), 1 << 16)).decode("latin-1")
    delta, offset = float(delta), float(offset)
    if unit == "meters" and delta:
        scale, unit = readable_length(delta)
        offset = offset / delta * scale
        delta = scale
    return Axis(
        name=description, size=int(size), scale=delta, offset=offset, unit=unit, navigate=True
    )


def _element(
    reader: _Reader, at: int, *, spectra: bool
) -> tuple[tuple[int, ...], tuple[float, ...], tuple[float, ...], str, int]:
    if spectra:
        offset, scale, reference, code, length = reader.take(_SPECTRUM_HEADER[1:], at)
        sizes: tuple[int, ...] = (int(length),)
        scales: tuple[float, ...] = (float(scale),)
        offsets: tuple[float, ...] = (float(offset) - float(reference) * float(scale),)
        header = struct.calcsize(_SPECTRUM_HEADER)
    else:
        x0, dx, xr, y0, dy, yr, code, width, height = reader.take(_IMAGE_HEADER[1:], at)
        sizes = (int(height), int(width))
        scales = (float(dy), float(dx))
        offsets = (float(y0) - float(yr) * float(dy), float(x0) - float(xr) * float(dx))
        header = struct.calcsize(_IMAGE_HEADER)
    dtype = _DTYPES.get(int(code))
    if dtype is None:
        raise UnreadableFileError(f"the series holds data of the unknown type {code}")
    return sizes, scales, offsets, dtype, header


def _tagged(
    reader: _Reader, tags: list[int], kind: int
) -> tuple[list[tuple[float, float]], datetime | None, str, str]:
    """Return the first two positions, the time of the first element, what is odd and what lacks.

    Some files say of all tags that they are where others, or none, are: each begins with its kind,
    or is zero throughout in a file that was zeroed.

    Parameters
    ----------
    reader
        Of the file.
    tags
        Where they are.
    kind
        Of each: a time, and a position with it.
    """
    try:
        if not tags[0]:
            return [], None, "", ""
        if any(reader.integer("H", at) not in (0, kind) for at in tags[:2]):
            return (
                [],
                None,
                "the times and places of its elements are not where its header says",
                "",
            )
        time = from_unix(reader.integer("I", tags[0] + 4))
        places = [reader.take("dd", at + 8) for at in tags[:2]] if kind == _POSITIONS else []
    except UnreadableFileError:
        return [], None, "", "the series ends before the times and places of its elements"
    return [(float(x), float(y)) for x, y in places], time, "", ""


def _navigation(
    dimensions: list[Axis],
    positions: list[tuple[float, float]],
    valid: int,
    total: int,
    *,
    spectra: bool,
) -> tuple[Axis, ...]:
    """Return the navigation axes, slowest first; those of a scan cut short count what is there."""
    # x runs first where the second position has the same y: TIA then stores (x, y)
    if len(positions) > 1 and positions[0][1] == positions[1][1]:
        dimensions.reverse()
    axes = [axis for axis in dimensions if axis.size != 1 or (spectra and len(dimensions) > 1)]
    if len(axes) == 1 and total != valid:
        axes = [axes[0].model_copy(update={"size": valid})] if valid > 1 else []
    if not axes and valid > 1:
        axes = [Axis(name="element", size=valid, navigate=True)]
    return tuple(axis for axis in axes if axis.size > 1)


def _map(
    path: Path,
    starts: list[int],
    shape: tuple[int, ...],
    element: tuple[int, ...],
    dtype: str,
    *,
    flip: bool,
) -> "np.ndarray":
    """Return the elements as one strided memory map; those a cut scan lacks read as nothing."""
    import numpy as np  # noqa: PLC0415 - previews only

    kind = np.dtype(dtype).newbyteorder("<")
    whole = np.memmap(path, dtype=np.uint8, mode="r")
    step = starts[1] - starts[0] if len(starts) > 1 else 0
    size = math.prod(element) * kind.itemsize
    steady = all(after - before == step for before, after in pairwise(starts))
    count = math.prod(shape) // max(1, math.prod(element))
    inner = tuple(math.prod(element[axis + 1 :]) * kind.itemsize for axis in range(len(element)))
    if steady and count <= len(starts) and starts[count - 1] + size <= len(whole):
        raw: np.ndarray = np.ndarray((count, *element), kind, whole.data, starts[0], (step, *inner))
        pixels = raw if count == len(raw) else raw[:count]
        pixels = _unravel(pixels, shape, element, step, inner)
    else:
        if count * size > _LARGEST_COPY:
            raise LimitExceededError(f"the series claims {count} elements, and holds {len(starts)}")
        parts = np.zeros((count, *element), kind)
        for index, at in enumerate(starts[:count]):
            parts[index] = np.ndarray(element, kind, whole.data, at)
        pixels = parts.reshape(shape)
    return pixels[..., ::-1, :] if flip else pixels  # TIA's rows run from the bottom


def _unravel(
    pixels: "np.ndarray",
    shape: tuple[int, ...],
    element: tuple[int, ...],
    step: int,
    inner: tuple[int, ...],
) -> "np.ndarray":
    """Give evenly spaced elements their navigation axes without touching them."""
    from numpy.lib.stride_tricks import as_strided  # noqa: PLC0415 - previews only

    navigation = shape[: len(shape) - len(element)]
    outer = tuple(step * math.prod(navigation[axis + 1 :]) for axis in range(len(navigation)))
    view: np.ndarray = as_strided(pixels, shape, (*outer, *inner), writeable=False)
    return view
