"""The header of an MRC file, read without its pixels.

References
----------
MRC2014, https://www.ccpem.ac.uk/mrc_format/mrc2014.php; IMOD's stamp and flags in words 39 and 40,
https://bio3d.colorado.edu/imod/doc/mrc_format.txt.
"""

import gzip
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from nexuslims_formats.errors import (
    LimitExceededError,
    UnreadableFileError,
)

HEADER_BYTES: Final = 1024
_MAP: Final = slice(208, 211)
_IMOD: Final = 1146047817
_SIGNED: Final = 1
_RGB: Final = 16
_MODES: Final = {1: "int16", 2: "float32", 4: "complex64", 6: "uint16", 12: "float16"}
_BYTES: Final = 0
_ODD: Final = {3: ("complex64", 32), 16: ("uint8", 24), 101: ("uint8", 4)}
"""Complex of two 16-bit numbers, RGB, and half bytes: type as read, and bits a pixel."""
_BITS: Final = {"int8": 8, "uint8": 8, "int16": 16, "uint16": 16, "float16": 16, "float32": 32,
                "complex64": 64}  # fmt: skip
_MOST_VALUES: Final = 1 << 40
_MOST_EXTENDED: Final = 64 << 20
_LARGEST_SIDE: Final = 1 << 20
_MAX_SIGNED: Final = 127.0
_STACKS: Final = (0, 401)
"""Space groups of stacks: of images, and of volumes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MrcHeader:
    """What the header says; ``voxel`` is the size along x, y and z in nm, 0 where unknown."""

    order: str
    shape: tuple[int, int, int]
    """Sections, rows, columns."""
    mode: int
    dtype: str
    data_bytes: int
    voxel: tuple[float, float, float]
    is_volume: bool
    kind: str
    """Of the extended header: ``FEI1``, ``FEI2``, ``SERI``, ..."""
    extended: bytes
    counts: tuple[int, int]
    """Bytes a section, and flags, of the extended header of SerialEM."""
    data_offset: int
    labels: tuple[str, ...]

    @property
    def is_colour(self) -> bool:
        """Whether each pixel is red, green and blue."""
        return self.mode == _RGB

    @property
    def is_packed(self) -> bool:
        """Whether its numbers are of no type that can be mapped into memory."""
        return self.mode in _ODD and not self.is_colour


def is_mrc(head: bytes) -> bool:
    """Tell by the word MAP, or an older file by a sane header alone: its mode, sizes and angles."""
    return may_be_mrc(head) and (head[_MAP] == b"MAP" or _is_old(head))


def _order_of(head: bytes) -> str:
    """Return the byte order in which the mode and the sizes are sane numbers."""
    for order in "<>":
        columns, rows, sections, mode = struct.unpack_from(f"{order}4i", head)
        sizes_fit = all(0 < size <= _LARGEST_SIDE for size in (columns, rows, sections))
        if sizes_fit and (mode in _MODES or mode in _ODD or mode == _BYTES):
            return order
    return ""


def may_be_mrc(head: bytes) -> bool:
    """Tell whether the first bytes may be an MRC header: its sizes and its mode are sane."""
    return len(head) >= HEADER_BYTES and bool(_order_of(head))


def _is_old(head: bytes) -> bool:
    """Tell a file from before the word MAP by its grid and angles, which are always there."""
    order = _order_of(head)
    if not order:
        return False
    grid = struct.unpack_from(f"{order}3i", head, 28)
    angles = struct.unpack_from(f"{order}3f", head, 52)
    axes = struct.unpack_from(f"{order}3i", head, 64)
    return (
        all(0 < size <= _LARGEST_SIDE for size in grid)
        and all(angle == 90.0 for angle in angles)  # noqa: PLR2004 - of a cell that is no crystal's
        and sorted(axes) == [1, 2, 3]
    )


def open_plain(path: Path) -> BinaryIO:
    """Open a file, or what is compressed in it."""
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def read_header(path: Path) -> MrcHeader:
    """Read the header and the extended one.

    Raises
    ------
    UnreadableFileError
        The file ends within them, or is no MRC file.
    LimitExceededError
        It claims more than any real file holds.
    """
    with open_plain(path) as file:
        head = file.read(HEADER_BYTES)
        if not may_be_mrc(head):
            raise UnreadableFileError("the file does not start with the header of an MRC file")
        order = _order_of(head)
        (size,) = struct.unpack_from(f"{order}i", head, 92)
        if not 0 <= size <= _MOST_EXTENDED:
            raise LimitExceededError(f"the extended MRC header claims {size} bytes")
        extended = file.read(size)
    if len(extended) < size:
        raise UnreadableFileError("the file ends within its extended MRC header")
    columns, rows, sections, mode = struct.unpack_from(f"{order}4i", head)
    if columns * rows * sections > _MOST_VALUES:
        raise LimitExceededError(f"the MRC file claims {columns} x {rows} x {sections} values")
    (group,) = struct.unpack_from(f"{order}i", head, 88)
    dtype = _MODES.get(mode) or _byte_type(head, order)
    dtype, bits = _ODD.get(mode) or (dtype, _BITS[dtype])
    return MrcHeader(
        order=order,
        shape=(sections, rows, columns),
        mode=mode,
        dtype=dtype,
        data_bytes=sections * rows * math.ceil(columns * bits / 8),
        voxel=_voxel(head, order),
        is_volume=group not in _STACKS,
        kind=head[104:108].decode("ascii", "replace").strip("\0 "),
        extended=extended,
        counts=struct.unpack_from(f"{order}2h", head, 128),
        data_offset=HEADER_BYTES + size,
        labels=_labels(head, order),
    )


def _byte_type(head: bytes, order: str) -> str:
    """Return int8, unless IMOD wrote unsigned bytes, or the greatest value tells that they are."""
    stamp, flags = struct.unpack_from(f"{order}2i", head, 152)
    if stamp == _IMOD:
        return "int8" if flags & _SIGNED else "uint8"
    (greatest,) = struct.unpack_from(f"{order}f", head, 80)
    return "uint8" if math.isfinite(greatest) and greatest > _MAX_SIGNED else "int8"


def _voxel(head: bytes, order: str) -> tuple[float, float, float]:
    cell = struct.unpack_from(f"{order}3f", head, 40)
    grid = struct.unpack_from(f"{order}3i", head, 28)
    sizes = [
        length / count / 10 if count > 0 and math.isfinite(length) and length > 0 else 0.0
        for length, count in zip(cell, grid, strict=True)
    ]
    return sizes[0], sizes[1], sizes[2]


def _labels(head: bytes, order: str) -> tuple[str, ...]:
    (count,) = struct.unpack_from(f"{order}i", head, 220)
    texts = (head[224 + 80 * index : 304 + 80 * index] for index in range(min(max(count, 0), 10)))
    words = (text.decode("latin-1").strip("\0 ") for text in texts)
    return tuple(word for word in words if word)
