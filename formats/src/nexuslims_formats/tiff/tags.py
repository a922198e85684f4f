"""The directories of a TIFF or BigTIFF file, read without its pixels and without trust.

Vendors hide metadata in private tags; this reads any of them raw.
"""

import math
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from nexuslims_formats.errors import LimitExceededError, UnreadableFileError
from nexuslims_formats.locales.encodings import decode

MAX_PAGES = 1 << 16
MAX_TAGS = 4096
MAX_VALUE_BYTES = 64 << 20

SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
DESCRIPTION, MAKE, MODEL, STRIP_OFFSETS, SAMPLES = 270, 271, 272, 273, 277
ROWS_PER_STRIP, STRIP_BYTES, X_RESOLUTION, Y_RESOLUTION = 278, 279, 282, 283
PLANAR, RESOLUTION_UNIT, SOFTWARE, DATE_TIME, ARTIST, TILE_WIDTH = 284, 296, 305, 306, 315, 322
COLOUR_MAP, TILE_LENGTH, TILE_OFFSETS, TILE_BYTES, SAMPLE_FORMAT = 320, 323, 324, 325, 339
SUB_DIRECTORIES, JPEG_OFFSET, JPEG_BYTES = 330, 513, 514
EXIF, GPS, INTEROPERABILITY = 34665, 34853, 40965
_DESCRIBED_PAGES, _MARKED_BYTES = 8, 4096
_PRIVATE = 32768
_STANDARD = (EXIF, GPS, INTEROPERABILITY)
"""Of the tags from the first private one on, those that are no vendor's."""

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4,
          16: 8, 17: 8, 18: 8}  # fmt: skip
_CODES = {3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q",
          18: "Q"}  # fmt: skip
_RATIONALS = {5: "I", 10: "i"}


@dataclass(frozen=True, slots=True)
class Tag:
    """Where a tag's value lies."""

    kind: int
    count: int
    offset: int
    value: bytes = b""
    """The bytes of a value that stands in the directory itself."""


@dataclass(frozen=True, slots=True)
class Tiff:
    """The directories of a file, in order."""

    path: Path
    order: str
    pages: tuple[dict[int, Tag], ...]
    problem: str = ""
    """What of the directories the file lacks; empty where all are there."""

    def has(self, *codes: int) -> bool:
        """Whether any page has one of the tags; vendors put theirs on the second page too."""
        return any(code in page for page in self.pages for code in codes)

    def tag(self, code: int, page: int = 0) -> Tag | None:
        """Return a tag; a vendor's that the first page lacks is taken from the first that has it.

        Parameters
        ----------
        code
            Number of the tag.
        page
            Number of the directory.
        """
        found = self.pages[page].get(code)
        if found is None and page == 0 and code >= _PRIVATE and code not in _STANDARD:
            return next((other[code] for other in self.pages if code in other), None)
        return found

    def described(self, mark: bytes) -> bytes:
        """Return the first description, of any page, with a program's mark; else the first page's.

        Some programs put a colour page with a scale bar before the image that they describe.

        Parameters
        ----------
        mark
            What the program's descriptions have among their first bytes.
        """
        pages = range(min(len(self.pages), _DESCRIBED_PAGES))
        found = (self.raw(DESCRIPTION, page) for page in pages)
        marked = (raw for raw in found if mark in raw[:_MARKED_BYTES])
        return next(marked, b"") or self.raw(DESCRIPTION)

    def raw(self, code: int, page: int = 0) -> bytes:
        """Return a tag's bytes as they are; empty where it is missing.

        Parameters
        ----------
        code
            Number of the tag.
        page
            Number of the directory.
        """
        tag = self.tag(code, page)
        if tag is None:
            return b""
        size = tag.count * SIZES.get(tag.kind, 0)
        if tag.value:  # of thousands of pages, each asked for ten, no file is opened for one
            return tag.value
        if size > MAX_VALUE_BYTES:
            raise LimitExceededError(f"TIFF tag {code} claims {size} bytes")
        with self.path.open("rb") as file:
            file.seek(min(tag.offset, self.path.stat().st_size))
            return file.read(size)

    def text(self, code: int, page: int = 0) -> str:
        """Return a tag's text up to its first NUL, in the encoding that its letters speak for.

        Parameters
        ----------
        code
            Number of the tag.
        page
            Number of the directory.
        """
        return decode(self.raw(code, page).split(b"\0", 1)[0])[0].strip()

    def numbers(self, code: int, page: int = 0) -> tuple[float, ...]:
        """Return a tag's numbers; rationals are divided.

        Parameters
        ----------
        code
            Number of the tag.
        page
            Number of the directory.
        """
        tag = self.tag(code, page)
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
        order, pages, problem = read_directories(file, size)
    return Tiff(path, order, tuple(pages), problem)


def read_directories(file: BinaryIO, size: int) -> tuple[str, list[dict[int, Tag]], str]:
    """Return byte order and directories of a TIFF, and what of them is missing, in words.

    Parameters
    ----------
    file
        Open for reading, at its start.
    size
        Its bytes.

    Raises
    ------
    UnreadableFileError
        It is truncated or no TIFF.
    LimitExceededError
        A directory refers to itself, or claims more than any real file has.
    """
    head = file.read(16)
    if not is_tiff(head):
        raise UnreadableFileError("the file is named like a TIFF but does not start like one")
    order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    if len(head) < (16 if big else 8):
        raise UnreadableFileError("the file ends within its TIFF header")
    at = struct.unpack_from(f"{order}{'Q' if big else 'I'}", head, 8 if big else 4)[0]
    pages, problem = _directories(file, at, order, size=size, big=big)
    if not any(WIDTH in page for page in pages):
        raise UnreadableFileError("the TIFF file has no image directory")
    return order, pages, problem


def _directories(
    file: BinaryIO, at: int, order: str, *, size: int, big: bool
) -> tuple[list[dict[int, Tag]], str]:
    """Return the directories that are there, and what of them is missing, in words."""
    pages: list[dict[int, Tag]] = []
    seen: set[int] = set()
    while at:
        if at in seen:
            raise LimitExceededError("a TIFF directory refers back to itself")
        if len(pages) == MAX_PAGES:
            return pages, f"the file has more than {MAX_PAGES} TIFF directories"
        if at >= size:
            if not pages:
                raise UnreadableFileError("the file ends before its TIFF directory")
            return pages, f"the file ends after {len(pages)} of its TIFF directories"
        seen.add(at)
        try:
            page, at = _directory(file, at, order, big=big)
        except struct.error:
            if not pages:
                raise UnreadableFileError("the file ends within its TIFF directory") from None
            return pages, f"the file ends within its TIFF directory {len(pages) + 1}"
        pages.append(page)
    return pages, ""


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
        value = b""
        if (size := length * SIZES.get(kind, 0)) <= inline:
            at_value = (index + 1) * entry_size - inline
            offset, value = start + at_value, entries[at_value : at_value + size]
        tags.setdefault(code, Tag(kind, length, offset, value))
    tail = file.read(struct.calcsize("=" + next_code))
    following = struct.unpack(order + next_code, tail)[0] if len(tail) in (4, 8) else 0
    return tags, following
