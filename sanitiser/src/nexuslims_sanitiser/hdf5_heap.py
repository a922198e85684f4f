"""Rows of uneven length in HDF5: the dataset refers to them, the file's global heaps hold them.

Layout after the HDF5 File Format Specification, III.E (Disk Format: Level 1E - Global Heap).
"""

import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from nexuslims_formats.errors import UnreadableFileError
from nexuslims_sanitiser.plan import Span

REFERENCE = struct.Struct("<IQI")
"""Numbers in the row, address of the heap, and the row's index in it."""

_HEAP_HEAD = struct.Struct("<4sB3xQ")
_ROW_HEAD = struct.Struct("<HH4xQ")
_MAX_HEAP = 1 << 30


def row_spans(path: Path, references: Iterable[Span], base: int) -> Iterator[Span]:
    """Yield where the rows lie that references lead to.

    Parameters
    ----------
    path
        The file.
    references
        Where the dataset keeps its references.
    base
        What addresses count from: the size of the user block.

    Raises
    ------
    UnreadableFileError
        A reference leads to no heap.
    """
    with path.open("rb") as file:

        @lru_cache(maxsize=8)
        def heap(address: int) -> dict[int, Span]:
            file.seek(address)
            head = file.read(_HEAP_HEAD.size)
            if len(head) < _HEAP_HEAD.size or not head.startswith(b"GCOL"):
                raise UnreadableFileError(f"there is no HDF5 heap at byte {address}")
            size = min(_HEAP_HEAD.unpack(head)[2], _MAX_HEAP)
            return dict(_rows(file.read(size - _HEAP_HEAD.size), address + _HEAP_HEAD.size))

        for span in references:
            file.seek(span.offset)
            raw = file.read(span.size - span.size % REFERENCE.size)
            for length, address, index in REFERENCE.iter_unpack(raw):
                if length and index in (rows := heap(base + address)):
                    yield rows[index]


def _rows(content: bytes, start: int) -> Iterator[tuple[int, Span]]:
    at = 0
    while at + _ROW_HEAD.size <= len(content):
        index, _, size = _ROW_HEAD.unpack_from(content, at)
        if index == 0:  # what is free
            return
        at += _ROW_HEAD.size
        yield index, Span(start + at, size)
        at += size + -size % 8
