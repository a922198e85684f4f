"""The images of a TIFF file: shape and type from the directories, pixels only when asked for.

Decoding pixels stays with tifffile, except for plain uncompressed rasters, which are memory-mapped.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import ascii_lowercase
from typing import TYPE_CHECKING

from nexuslims_formats.errors import LimitExceededError, UnreadableFileError
from nexuslims_formats.tiff.display import ToDisplay, to_display
from nexuslims_formats.tiff.imagej import frames_behind
from nexuslims_formats.tiff.sparse import decoded_sparsely
from nexuslims_formats.tiff.tags import (
    BITS,
    COMPRESSION,
    HEIGHT,
    PHOTOMETRIC,
    PLANAR,
    ROWS_PER_STRIP,
    SAMPLE_FORMAT,
    SAMPLES,
    SIZES,
    STRIP_BYTES,
    STRIP_OFFSETS,
    SUB_DIRECTORIES,
    SUBFILE_TYPE,
    TILE_BYTES,
    TILE_LENGTH,
    TILE_OFFSETS,
    TILE_WIDTH,
    WIDTH,
    Tiff,
)

if TYPE_CHECKING:
    import numpy as np

MAX_PIXELS = 1 << 34
PREVIEW_PAGES, PREVIEW_SIDE = 9, 1024
_DECODED_BYTES = 64 << 20
"""What is decoded whole for a preview."""

_KINDS = {1: "u", 2: "i", 3: "f", 6: "c"}
_BITS = frozenset((*range(1, 17), 24, 32, 64, 128))
_REDUCED = 1
_LEAST_BEHIND = 1 << 16
"""Less than this may be a vendor's text behind a small image."""
_YCBCR = 6
_COLOUR_AXES = 3


@dataclass(frozen=True, slots=True)
class Raster:
    """One image of a file, or a run of pages of one shape."""

    shape: tuple[int, ...]
    """Rows, columns[, channels]; pages first where there are several."""
    dtype: str
    pages: tuple[int, ...]
    """The directory of each page; the same for all where one directory stands for many."""
    pixels: "Callable[[], np.ndarray]"
    problem: str
    """Why its pixels cannot be read; empty where they can."""
    to_display: "ToDisplay | None" = None
    """What turns its values into grey or RGB; None where they are that already."""
    warning: str = ""
    """What is missing of it although its pixels can be read."""
    doubt: str = ""
    """What the file may hold besides."""


def rasters(tiff: Tiff, series: Mapping[int, int] | None = None) -> list[Raster]:
    """Return the images of a file: pages of one shape and type make a stack; no thumbnails.

    Parameters
    ----------
    tiff
        The file.
    series
        Of which image each page is, where the file tells it: pages of two make no stack.
    """
    groups: dict[tuple[int, tuple[int, ...], str], list[int]] = {}
    for index, page in enumerate(tiff.pages):
        if WIDTH not in page or (index and tiff.integer(SUBFILE_TYPE, index) & _REDUCED):
            continue
        of = (series or {}).get(index, 0)
        groups.setdefault((of, *_layout(tiff, index)), []).append(index)
    return [_raster(tiff, pages, shape, dtype) for (_, shape, dtype), pages in groups.items()]


def _raster(tiff: Tiff, pages: list[int], shape: tuple[int, ...], dtype: str) -> Raster:
    seen = to_display(tiff, pages[0])
    frame_bytes = math.prod(shape) * _item_bytes(dtype)
    claimed, there = frames_behind(tiff, shape, frame_bytes)
    if there > 1:
        note = f"the file ends after {there} of its {claimed} frames" if there < claimed else ""
        frames = _frames(tiff, (there, *shape), dtype)
        return Raster((there, *shape), dtype, (0,) * there, frames, "", seen, note)
    full = (len(pages), *shape) if len(pages) > 1 else shape
    problem = next(filter(None, (_missing(tiff, page) for page in pages)), "")
    opener = _opener(tiff, pages, shape, dtype)
    doubt = _more_behind(tiff, frame_bytes) if len(tiff.pages) == 1 else ""
    return Raster(full, dtype, tuple(pages), opener, problem, seen, doubt=doubt)


def _more_behind(tiff: Tiff, frame_bytes: int) -> str:
    """Return in words that behind the only directory, and all it refers to, images may follow."""
    if tiff.has(SUB_DIRECTORIES) or tiff.integer(COMPRESSION, 0, 1) != 1 or not frame_bytes:
        return ""
    pieces = zip(tiff.numbers(STRIP_OFFSETS), tiff.numbers(STRIP_BYTES), strict=False)
    tags = (tag.offset + tag.count * SIZES.get(tag.kind, 0) for tag in tiff.pages[0].values())
    end = max((*(int(at + size) for at, size in pieces), *tags))
    behind = tiff.path.stat().st_size - end
    if behind < max(frame_bytes, _LEAST_BEHIND):
        return ""
    return f"behind its only image the file has {behind} bytes more, enough for another"


def _item_bytes(dtype: str) -> int:
    """Return the bytes of a value; a bit is packed with others, and has none."""
    return 0 if dtype == "bool" else int(dtype.lstrip(ascii_lowercase)) // 8


def _missing(tiff: Tiff, page: int) -> str:
    """Return what of a page's pixels is not in the file, in words; empty if all is there."""
    tiled = TILE_WIDTH in tiff.pages[page]
    codes = (TILE_OFFSETS, TILE_BYTES) if tiled else (STRIP_OFFSETS, STRIP_BYTES)
    offsets, sizes = (tiff.numbers(code, page) for code in codes)
    if (listed := len(offsets)) < (expected := _segments(tiff, page, tiled=tiled)):
        return f"the TIFF file lists {listed} of the {expected} pieces of its image"
    end = max((at + size for at, size in zip(offsets, sizes, strict=False)), default=0)
    size = tiff.path.stat().st_size
    if end > size:
        return f"the image ends at byte {end:.0f}, but the file at {size}"
    # lists of lengths are often wrong; that there is less than the image takes, never is
    wanted = _plain_bytes(tiff, page)
    return f"its image takes {wanted} bytes, but the file has {size}" if wanted > size else ""


def _plain_bytes(tiff: Tiff, page: int) -> int:
    """Return how many bytes an image takes that is not compressed; 0 for one that is."""
    if tiff.integer(COMPRESSION, page, 1) != 1 or tiff.integer(PHOTOMETRIC, page) == _YCBCR:
        return 0
    bits = tiff.integer(BITS, page, 1) * tiff.integer(SAMPLES, page, 1)
    return tiff.integer(HEIGHT, page) * math.ceil(tiff.integer(WIDTH, page) * bits / 8)


def _segments(tiff: Tiff, page: int, *, tiled: bool) -> int:
    """Return how many strips or tiles a page is cut into."""
    rows, columns = tiff.integer(HEIGHT, page), tiff.integer(WIDTH, page)
    high = tiff.integer(TILE_LENGTH if tiled else ROWS_PER_STRIP, page, rows)
    wide = tiff.integer(TILE_WIDTH, page) if tiled else columns
    if high < 1 or wide < 1:
        return 1
    planes = tiff.integer(SAMPLES, page, 1) if tiff.integer(PLANAR, page, 1) != 1 else 1
    return math.ceil(rows / high) * math.ceil(columns / wide) * planes


def _layout(tiff: Tiff, page: int) -> tuple[tuple[int, ...], str]:
    rows, columns = tiff.integer(HEIGHT, page), tiff.integer(WIDTH, page)
    if rows * columns > MAX_PIXELS or rows < 0 or columns < 0:
        raise LimitExceededError(f"the TIFF file claims {columns} x {rows} pixels")
    samples = tiff.integer(SAMPLES, page, 1)
    bits = tiff.integer(BITS, page, 1)
    kind = _KINDS.get(tiff.integer(SAMPLE_FORMAT, page, 1), "u")
    names = {"u": "uint", "i": "int", "f": "float", "c": "complex"}
    if bits not in _BITS:
        raise UnreadableFileError(f"the TIFF file claims {bits} bits per sample")
    dtype = "bool" if bits == 1 else f"{names[kind]}{max(8, bits)}"
    return ((rows, columns, samples) if samples > 1 else (rows, columns)), dtype


def _opener(
    tiff: Tiff, pages: list[int], shape: tuple[int, ...], dtype: str
) -> "Callable[[], np.ndarray]":
    def open_pixels() -> "np.ndarray":
        import numpy as np  # noqa: PLC0415 - previews only

        if math.prod(shape) == 0:
            raise UnreadableFileError("the TIFF file says that its image has no pixels")
        # a few evenly spaced pages stand for a long stack in a preview
        chosen = pages[:: max(1, math.ceil(len(pages) / PREVIEW_PAGES))]
        maps = [_mapped(tiff, page, shape, dtype) for page in chosen]
        mapped = [part for part in maps if part is not None]
        if len(mapped) == len(chosen):
            step = max(1, min(shape[:2]) // PREVIEW_SIDE)
            return mapped[0] if len(mapped) == 1 else np.stack([p[::step, ::step] for p in mapped])
        if math.prod(shape) * np.dtype(dtype).itemsize * len(chosen) > _DECODED_BYTES:
            some = [decoded_sparsely(tiff.path, page, shape, PREVIEW_SIDE) for page in chosen]
            return some[0] if len(some) == 1 else np.stack(some)
        from tifffile import imread  # noqa: PLC0415 - compressed images only

        decoded: np.ndarray = np.asarray(imread(tiff.path, key=chosen))
        planes_first = len(shape) == _COLOUR_AXES and tiff.integer(PLANAR, pages[0], 1) != 1
        return np.moveaxis(decoded, -3, -1) if planes_first else decoded

    return open_pixels


def _frames(tiff: Tiff, shape: tuple[int, ...], dtype: str) -> "Callable[[], np.ndarray]":
    """Map frames that lie one after the other behind the only directory."""

    def open_pixels() -> "np.ndarray":
        import numpy as np  # noqa: PLC0415 - previews only

        order = np.dtype(dtype).newbyteorder("<" if tiff.order == "<" else ">")
        at = tiff.integer(STRIP_OFFSETS)
        return np.memmap(tiff.path, dtype=order, mode="r", offset=at, shape=shape)

    return open_pixels


def _mapped(tiff: Tiff, page: int, shape: tuple[int, ...], dtype: str) -> "np.ndarray | None":
    """Return a page as a memory map, if it lies uncompressed and in one piece."""
    import numpy as np  # noqa: PLC0415 - previews only

    contiguous = tiff.integer(COMPRESSION, page, 1) == 1 and tiff.integer(PLANAR, page, 1) == 1
    if not contiguous or TILE_WIDTH in tiff.pages[page] or dtype == "bool":
        return None
    order = np.dtype(dtype).newbyteorder("<" if tiff.order == "<" else ">")
    offsets = [int(value) for value in tiff.numbers(STRIP_OFFSETS, page)]
    sizes = [int(value) for value in tiff.numbers(STRIP_BYTES, page)]
    if not offsets or len(offsets) != len(sizes) or sum(sizes) < math.prod(shape) * order.itemsize:
        return None
    follows = (offset + size for offset, size in zip(offsets, sizes, strict=True))
    if any(end != start for end, start in zip(follows, offsets[1:], strict=False)):
        return None
    return np.memmap(tiff.path, dtype=order, mode="r", offset=offsets[0], shape=shape)
