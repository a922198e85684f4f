"""Formats that keep pictures in plain runs of bytes behind heads: Merlin's frames, bitmaps."""

import re
import struct
from pathlib import Path
from typing import Final

from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.merlin import read_frames
from nexuslims_sanitiser.plan import Plan, SanitiseError, Span, zero_spans

_MERLIN_HEAD: Final = re.compile(rb"MQ1,(?:[\w .:+/-]{0,40},){8,200}[\w .:+/-]{0,40}\s*\0*")
_BMP_HEAD: Final = struct.Struct("<2sIHHII")
_BMP_DEPTH: Final = struct.Struct("<28xHI12xI")
_BMP_PLAIN: Final = (0, 3)
"""Uncompressed, with or without masks for the colours."""
_BMP_HEADS: Final = (40, 52, 56, 108, 124)
_SMALL_TABLE: Final = 64
"""Bytes of the table of 16 colours."""
_BMP_COLOURS: Final = 8
"""Bits a pixel up to which a bitmap has a table of colours."""


def plan_mib(path: Path) -> Plan:
    """Keep the head of each frame that reads as one; zero all else."""
    size = path.stat().st_size
    frames = read_frames(path)
    spans: list[Span] = []
    with path.open("rb") as file:
        for start in range(0, size, frames.step):
            file.seek(start)
            head = file.read(frames.offset)
            kept = len(head) if _MERLIN_HEAD.fullmatch(head) else 0
            spans.append(Span(start + kept, frames.step - kept))
    return zero_spans(size, spans)


def plan_bmp(path: Path) -> Plan:
    """Keep the heads and the table of colours; zero all else.

    Raises
    ------
    SanitiseError
        It is compressed, or of a form that is not known.
    """
    with path.open("rb") as file:
        head = file.read(14 + 124)
    if len(head) < _BMP_HEAD.size + 36:
        raise UnreadableFileError("the file ends within its BMP header")
    _, _, _, _, offset, information = _BMP_HEAD.unpack_from(head)
    bits, compression, colours = _BMP_DEPTH.unpack_from(head)
    if information not in _BMP_HEADS or compression not in _BMP_PLAIN:
        raise SanitiseError("a compressed BMP, or one of a form that is not known")
    table = 4 * (colours or 1 << bits) if bits <= _BMP_COLOURS else 0
    masks = 12 if compression and information == _BMP_HEADS[0] else 0
    start = 14 + information + masks
    end = min(offset, start + table)
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(start)
        colours_of_table = file.read(max(0, end - start))
    blue, green, red, unused = (colours_of_table[at::4] for at in range(4))
    if any(unused) or (table > _SMALL_TABLE and not blue == green == red):
        raise SanitiseError("its table of colours is none of greys: it may be data")
    return zero_spans(size, [Span(end, size - end)])
