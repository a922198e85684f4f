"""The directories of a TIFF or BigTIFF file, read without its pixels and without trust.

Vendors hide metadata in private tags; this reads any of them raw. Decoding pixels stays with
tifffile, except for plain uncompressed rasters, which are memory-mapped.
"""

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from nexuslims_formats.errors import LimitExceededError, UnreadableFileError
from nexuslims_formats.tiff.sparse import decoded_sparsely

if TYPE_CHECKING:
    import numpy as np

MAX_PAGES = 4096
MAX_TAGS = 4096
MAX_VALUE_BYTES = 64 << 20
MAX_PIXELS = 1 << 34
PREVIEW_PAGES, PREVIEW_SIDE = 9, 1024
_DECODED_BYTES = 64 << 20
"""What is decoded whole for a preview."""

SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
DESCRIPTION, MAKE, MODEL, STRIP_OFFSETS, SAMPLES = 270, 271, 272, 273, 277
ROWS_PER_STRIP, STRIP_BYTES, X_RESOLUTION, Y_RESOLUTION = 278, 279, 282, 283
PLANAR, RESOLUTION_UNIT, SOFTWARE, DATE_TIME, ARTIST, TILE_WIDTH = 284, 296, 305, 306, 315, 322
TILE_LENGTH, TILE_OFFSETS, TILE_BYTES, SAMPLE_FORMAT = 323, 324, 325, 339
SUB_DIRECTORIES, JPEG_OFFSET, JPEG_BYTES = 330, 513, 514
EXIF, GPS, INTEROPERABILITY = 34665, 34853, 40965

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4,
          16: 8, 17: 8, 18: 8}  # fmt: skip
_CODES = {3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q",
          18: "Q"}  # fmt: skip
_RATIONALS = {5: "I", 10: "i"}
_KINDS = {1: "u", 2: "i", 3: "f", 6: "c"}
_BITS = frozenset((*range(1, 17), 24, 32, 64, 128))
_REDUCED = 1


@dataclass(frozen=True, slots=True)
class Tag:
    """Where a tag's value lies."""

    kind: int
    count: int
    offset: int


@dataclass(frozen=True, slots=True)
class Tiff:
    """The directories of a file, in order."""

    path: Path
    order: str
    pages: tuple[dict[int, Tag], ...]
    problem: str = ""
    """What of the directories the file lacks; empty where all are there."""

    def raw(self, code: int, page: int = 0) -> bytes:
        """Return a tag's bytes as they are; empty where it is missing.

        Parameters
        ----------
        code
            Number of the tag.
        page
            Number of the directory.
        """
        tag = self.pages[page].get(code)
        if tag is None:
            return b""
        size = tag.count * SIZES.get(tag.kind, 0)
        if size > MAX_VALUE_BYTES:
            raise LimitExceededError(f"TIFF tag {code} claims {size} bytes")
        with self.path.open("rb") as file:
            file.seek(min(tag.offset, self.path.stat().st_size))
            return file.read(size)

    def text(self, code: int, page: int = 0) -> str:
        """Return a tag's text up to its first NUL, as UTF-8 or else Latin-1.

        Parameters
        ----------
        code
            Number of the tag.
        page
            Number of the directory.
        """
        raw = self.raw(code, page).split(b"\0", 1)[0]
        try:
            return raw.decode("utf-8").strip()
        except UnicodeDecodeError:
            return raw.decode("latin-1").strip()

    def numbers(self, code: int, page: int = 0) -> tuple[float, ...]:
        """Return a tag's numbers; rationals are divided.

        Parameters
        ----------
        code
            Number of the tag.
        page
            Number of the directory.
        """
        tag = self.pages[page].get(code)
        if tag is None:
            return ()
        raw = self.raw(code, page)
        size = SIZES.get(tag.kind, 0)
        count = len(raw) // size if size else 0
        if tag.kind in _RATIONALS:
            values = struct.unpack_from(f"{self.order}{2 * count}{_RATIONALS[tag.kind]}", raw)
            pairs = zip(values[::2], values[1::2], strict=True)
            return tuple(top / below if below else math.nan for top, below in pairs)
        if tag.kind in _CODES:
            return struct.unpack_from(f"{self.order}{count}{_CODES[tag.kind]}", raw)
        return tuple(raw)

    def integer(self, code: int, page: int = 0, default: int = 0) -> int:
        """Return the first number of a tag.

        Parameters
        ----------
        code
            Number of the tag.
        page
            Number of the directory.
        default
            Of a tag that is missing.
        """
        values = self.numbers(code, page)
        return int(values[0]) if values and math.isfinite(values[0]) else default


def is_tiff(head: bytes) -> bool:
    """Whether a file starts as TIFF or BigTIFF, in either byte order."""
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_tiff(path: Path) -> Tiff:
    """Read the directories of a file; the last file read is kept, so asking twice is cheap.

    Raises
    ------
    UnreadableFileError
        The file is truncated or no TIFF.
    LimitExceededError
        A directory refers to itself, or claims more than any real file has.
    """
    facts = path.stat()
    return _read(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=1)
def _read(path: Path, size: int, _mtime: int) -> Tiff:
    with path.open("rb") as file:
        head = file.read(16)
        if not is_tiff(head):
            raise UnreadableFileError("the file is named like a TIFF but does not start like one")
        order = "<" if head[:2] == b"II" else ">"
        big = head[2:4] in (b"+\0", b"\0+")
        if len(head) < (16 if big else 8):
            raise UnreadableFileError("the file ends within its TIFF header")
        at = struct.unpack_from(f"{order}{'Q' if big else 'I'}", head, 8 if big else 4)[0]
        pages: list[dict[int, Tag]] = []
        problem = ""
        seen: set[int] = set()
        while at and len(pages) < MAX_PAGES:
            if at in seen:
                raise LimitExceededError("a TIFF directory refers back to itself")
            if at >= size:
                if pages:  # the directories that are there are worth reading
                    problem = f"the file ends after {len(pages)} of its TIFF directories"
                    break
                raise UnreadableFileError("the file ends before its TIFF directory")
            seen.add(at)
            try:
                page, at = _directory(file, at, order, big=big)
            except struct.error:
                if pages:
                    problem = f"the file ends within its TIFF directory {len(pages) + 1}"
                    break
                raise UnreadableFileError("the file ends within its TIFF directory") from None
            pages.append(page)
    if not pages or not any(WIDTH in page for page in pages):
        raise UnreadableFileError("the TIFF file has no image directory")
    return Tiff(path, order, tuple(pages), problem)


def _directory(file: BinaryIO, at: int, order: str, *, big: bool) -> tuple[dict[int, Tag], int]:
    file.seek(at)
    count_code, entry_code, next_code = ("Q", "HHQQ", "Q") if big else ("H", "HHII", "I")
    (count,) = struct.unpack(order + count_code, file.read(struct.calcsize("=" + count_code)))
    if count > MAX_TAGS:
        raise LimitExceededError(f"a TIFF directory claims {count} tags")
    entry_size = struct.calcsize("=" + entry_code)
    start = file.tell()
    entries = file.read(count * entry_size)
    inline = 8 if big else 4
    tags: dict[int, Tag] = {}
    for index in range(count):
        code, kind, length, offset = struct.unpack_from(
            order + entry_code, entries, index * entry_size
        )
        if length * SIZES.get(kind, 0) <= inline:
            offset = start + (index + 1) * entry_size - inline
        tags.setdefault(code, Tag(kind, length, offset))
    tail = file.read(struct.calcsize("=" + next_code))
    following = struct.unpack(order + next_code, tail)[0] if len(tail) in (4, 8) else 0
    return tags, following


@dataclass(frozen=True, slots=True)
class Raster:
    """One image of a file, or a run of pages of one shape."""

    shape: tuple[int, ...]
    """Rows, columns[, channels]; pages first where there are several."""
    dtype: str
    pages: tuple[int, ...]
    pixels: "Callable[[], np.ndarray]"
    problem: str
    """Why its pixels cannot be read; empty where they can."""


def rasters(tiff: Tiff) -> list[Raster]:
    """Return the images of a file: pages of one shape and type make a stack; no thumbnails."""
    groups: dict[tuple[tuple[int, ...], str], list[int]] = {}
    for index, page in enumerate(tiff.pages):
        if WIDTH not in page or (index and tiff.integer(SUBFILE_TYPE, index) & _REDUCED):
            continue
        groups.setdefault(_layout(tiff, index), []).append(index)
    found = []
    for (shape, dtype), pages in groups.items():
        full = (len(pages), *shape) if len(pages) > 1 else shape
        problem = next(filter(None, (_missing(tiff, page) for page in pages)), "")
        opener = _opener(tiff, pages, shape, dtype)
        found.append(Raster(full, dtype, tuple(pages), opener, problem))
    return found


def _missing(tiff: Tiff, page: int) -> str:
    """Return what of a page's pixels is not in the file, in words; empty if all is there."""
    tiled = TILE_WIDTH in tiff.pages[page]
    codes = (TILE_OFFSETS, TILE_BYTES) if tiled else (STRIP_OFFSETS, STRIP_BYTES)
    offsets, sizes = (tiff.numbers(code, page) for code in codes)
    if (listed := len(offsets)) < (expected := _segments(tiff, page, tiled=tiled)):
        return f"the TIFF file lists {listed} of the {expected} pieces of its image"
    end = max((at + size for at, size in zip(offsets, sizes, strict=False)), default=0)
    size = tiff.path.stat().st_size
    return f"the image ends at byte {end:.0f}, but the file at {size}" if end > size else ""


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
        return decoded

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
