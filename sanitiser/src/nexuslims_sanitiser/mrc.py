"""What of an MRC file is metadata: its header, and of the extended one what can be parsed.

An extended header may be as long as a program likes, and of any content.
"""

import math
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from nexuslims_formats.errors import LimitExceededError, UnreadableFileError
from nexuslims_formats.mrc.extended import FEI_BLOCK
from nexuslims_formats.mrc.older import OLD_FEI_BYTES, OLD_FEI_NAMES
from nexuslims_sanitiser.plan import Plan, Span, zero_all_but
from nexuslims_sanitiser.proven import is_metadata

_HEADER: Final = 1024
_EXTENDED: Final = (
    92  # bytes of the extended header, https://www.ccpem.ac.uk/mrc_format/mrc2014.php
)
_KIND: Final = slice(104, 108)
_COUNTS: Final = 128
_STAMP: Final = 212
_TITLES: Final = slice(224, _HEADER)
_MOST_PIXELS: Final = 64  # for each byte there is: files are cut short, but not so much
_BIG_ENDIAN: Final = b"\x11\x11"
_FEI: Final = (b"FEI1", b"FEI2")
_FEI_HEAD: Final = 12
"""Bytes of a block's own length, and of flags."""
_MOST_INTEGER: Final = 1 << 20
_SMALLEST, _LARGEST = 1e-15, 1e24  # a dose is in electrons per square metre
_MOST_BINNING: Final = 64
_SECTION_BYTES, _SECTIONS_BYTES = 64, 4096
"""Short numbers of SerialEM: the most for a section, and for all."""
_SYMMETRY: Final = re.compile(rb"(?:[XYZHKL0-9 ,;+*/.-]{80})+", re.IGNORECASE)
_MOST_SYMMETRY: Final = 80 * 192


def plan_mrc(path: Path) -> Plan:
    """Keep the header, and what of the extended header is that of a known program."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEADER)
        if len(head) < _HEADER:
            raise UnreadableFileError("the file ends within its MRC header")
        order = ">" if head[_STAMP : _STAMP + 2] == _BIG_ENDIAN else "<"
        (extended,) = struct.unpack_from(f"{order}i", head, _EXTENDED)
        columns, rows, sections = struct.unpack_from(f"{order}3i", head)
        claimed = columns * rows * sections
        if not 0 < claimed <= size * _MOST_PIXELS:
            raise LimitExceededError(f"the MRC file claims {claimed} pixels")
        if not 0 <= extended <= size - _HEADER:
            raise UnreadableFileError(f"the MRC file claims {extended} bytes of extended header")
        kept = [Span(0, _HEADER), *_kept(head, file.read(extended), order, sections)]
    return zero_all_but(size, kept)


def _kept(head: bytes, extended: bytes, order: str, sections: int) -> Iterator[Span]:
    """Yield where the extended header is what a program writes there."""
    kind = head[_KIND]
    if kind in _FEI:
        yield from _fei_spans(extended, order, sections)
    elif kind == b"SERI" or (not kind.strip(b"\0 ") and b"SerialEM" in head[_TITLES]):
        each = struct.unpack_from(f"{order}h", head, _COUNTS)[0]
        if 0 < each <= _SECTION_BYTES and each * sections <= min(len(extended), _SECTIONS_BYTES):
            yield Span(_HEADER, each * sections)
    elif is_metadata(extended) or (
        len(extended) <= _MOST_SYMMETRY and _SYMMETRY.fullmatch(extended)
    ):
        yield Span(_HEADER, len(extended))
    else:
        yield from _old_fei_spans(extended, order, sections)


def _fei_spans(extended: bytes, order: str, sections: int) -> Iterator[Span]:
    """Yield the known fields of FEI's blocks; not those of a block with one that cannot be."""
    if len(extended) < _FEI_HEAD:
        return
    (length,) = struct.unpack_from(f"{order}i", extended)
    _, last, code = FEI_BLOCK[-1]
    if not last + struct.calcsize(code) <= length <= len(extended):
        return
    for at in range(0, min(len(extended) - length + 1, sections * length), length):
        (own,) = struct.unpack_from(f"{order}i", extended, at)
        if own == length and all(
            _is_plausible(struct.unpack_from(order + code, extended, at + place)[0])
            for _, place, code in FEI_BLOCK
        ):
            yield Span(_HEADER + at, _FEI_HEAD)
            for _, place, code in FEI_BLOCK:
                yield Span(_HEADER + at + place, struct.calcsize(code))


def _is_plausible(value: float | bytes) -> bool:
    if isinstance(value, bytes):
        text = value.rstrip(b"\0")
        return not text or (text.isascii() and text.decode().isprintable())
    if isinstance(value, int):
        return abs(value) <= _MOST_INTEGER
    return value == 0 or _SMALLEST < abs(value) < _LARGEST


def _old_fei_spans(extended: bytes, order: str, sections: int) -> Iterator[Span]:
    """Yield the named numbers of FEI's blocks of old; a binning is a small whole number."""
    code = f"{order}{len(OLD_FEI_NAMES)}f"
    for at in range(
        0, min(len(extended) // OLD_FEI_BYTES, sections) * OLD_FEI_BYTES, OLD_FEI_BYTES
    ):
        values = dict(zip(OLD_FEI_NAMES, struct.unpack_from(code, extended, at), strict=True))
        binning = values["binning"]
        if (
            all(math.isfinite(value) and abs(value) < _LARGEST for value in values.values())
            and 0 <= binning <= _MOST_BINNING
            and binning == int(binning)
        ):
            yield Span(_HEADER + at, struct.calcsize(code))
