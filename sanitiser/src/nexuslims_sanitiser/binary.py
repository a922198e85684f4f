"""Where the data lies in formats that keep it in plain runs of bytes, or as text."""

import math
import mmap
import re
import string
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from nexuslims_formats.digitalmicrograph.tags import ArrayRef, read_tags
from nexuslims_formats.errors import LimitExceededError, UnreadableFileError
from nexuslims_formats.tia.ser import element_spans
from nexuslims_sanitiser.plan import (
    Keep,
    Plan,
    Put,
    SanitiseError,
    Span,
    zero_spans,
)
from nexuslims_sanitiser.proven import is_metadata

_NO_DATA = ("CLUT", "PageSetup")  # colour tables, and what a printer driver wants
_MRC_HEADER = 1024
_MRC_EXTENDED = 92  # bytes of the extended header, https://www.ccpem.ac.uk/mrc_format/mrc2014.php
_MRC_STAMP = 212
_MRC_MOST_PIXELS = 64  # for each byte there is: files are cut short, but not so much
_MRC_BIG_ENDIAN = b"\x11\x11"
_BLO_HEADER = struct.Struct("<6sHIIIHHHH")
_BLO_HEADER_END = 64
_BLO_CENTRES = struct.Struct("<22d")  # where patterns have their centre, and their distortion
_BLO_NUMBER = struct.Struct("<HI")  # before each pattern
_BLO_MARK = 0x55AA
_BLO_SMALLEST, _BLO_LARGEST = 1e-6, 1e6  # a centre in parts of the pattern, or in its pixels
_BLO_LONGEST_NOTE = 1 << 16
_SPC_DATA_START, _SPC_FILE_HEAD = 28, 34
_COUNT_BYTES = 4
_MSA_NUMBER = re.compile(rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?")
_DESCRIPTION = re.compile(rb"<ObjectInfo>[^\0]*?</ObjectInfo>")
_EMI_TAIL = re.compile(rb"\r\n`\0[^\0]{0,24}(?:\0+[^\0]{1,24})*\0*")
_EMI_LONGEST_TAIL = 1024
_LETTERS = string.ascii_letters.encode() + b" '.,\n"
_STRANGE_PART = 0.05


def plan_dm(path: Path) -> Plan:
    """Zero the arrays of a DM3 or DM4 file: images, thumbnails, and maps among their tags."""
    spans = (Span(array.offset, array.size) for array in _arrays(read_tags(path)))
    return zero_spans(path.stat().st_size, spans)


def _arrays(tree: Mapping[str, Any]) -> Iterator[ArrayRef]:
    for name, value in tree.items():
        if name in _NO_DATA:
            continue
        if isinstance(value, Mapping):
            yield from _arrays(value)
        elif isinstance(value, ArrayRef):
            yield value


def plan_series(path: Path) -> Plan:
    """Zero the elements of a TIA series; their headers, times and positions stay."""
    spans = (Span(offset, size) for offset, size in element_spans(path))
    return zero_spans(path.stat().st_size, spans)


def plan_emi(path: Path) -> Plan:
    """Keep the descriptions in an ``.emi`` and zero the copies of the data between them.

    Its layout is not public, but for the XML. What follows the last description are small numbers
    and words: without a zero among 25 bytes they are something else, and zeroed too.

    Raises
    ------
    SanitiseError
        It has no description, and what it holds instead does not read as words.
    """
    size = path.stat().st_size
    if not size:
        raise UnreadableFileError("the file is empty")
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        found = list(_DESCRIPTION.finditer(content))
        if not found:
            return _words_only(content)
        tail = content[found[-1].end() :]
        kept = [
            Span(match.start(), len(match[0]) + 1)
            for match in found
            if is_metadata(bytes(match[0]))
        ]
    if len(tail) <= _EMI_LONGEST_TAIL and _EMI_TAIL.fullmatch(tail):
        kept.append(Span(size - len(tail), len(tail)))
    return _zero_all_but(size, kept)


def _zero_all_but(size: int, kept: Sequence[Span]) -> Plan:
    """Return the plan of a copy that keeps nothing but some spans, in the order of the file."""
    starts = [0, *(span.end for span in kept)]
    ends = [*(span.offset for span in kept), size]
    gaps = (Span(start, end - start) for start, end in zip(starts, ends, strict=True))
    return zero_spans(size, (gap for gap in gaps if gap.size > 0))


def plan_unreadable(path: Path) -> Plan:
    """Keep a file whose structure is lost, but which holds nothing but words and zeros.

    Raises
    ------
    SanitiseError
        It holds more: nothing tells its data from the rest.
    """
    return _words_only(path.read_bytes())


def _words_only(content: "bytes | mmap.mmap") -> Plan:
    held = content[:].translate(None, b"\0")
    if len(held.translate(None, _LETTERS)) > len(held) * _STRANGE_PART:
        raise SanitiseError("the file is damaged: nothing tells its data from the rest")
    return Plan((Keep(0, len(content)),))


def plan_mrc(path: Path) -> Plan:
    """Zero what follows the header and the extended header."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_MRC_HEADER)
    if len(head) < _MRC_HEADER:
        raise UnreadableFileError("the file ends within its MRC header")
    order = ">" if head[_MRC_STAMP : _MRC_STAMP + 2] == _MRC_BIG_ENDIAN else "<"
    (extended,) = struct.unpack_from(f"{order}i", head, _MRC_EXTENDED)
    claimed = math.prod(struct.unpack_from(f"{order}3i", head))
    if not 0 < claimed <= size * _MRC_MOST_PIXELS:
        raise LimitExceededError(f"the MRC file claims {claimed} pixels")
    start = _MRC_HEADER + extended
    if not _MRC_HEADER <= start <= size:
        raise UnreadableFileError(f"the MRC file claims {extended} bytes of extended header")
    return zero_spans(size, [Span(start, size - start)])


def plan_blockfile(path: Path) -> Plan:
    """Keep the headers, the note and the number before each pattern; zero all else."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_BLO_HEADER.size)
        if len(head) < _BLO_HEADER.size or not head.startswith(b"IMGBLO"):
            raise UnreadableFileError("not a blockfile: the file does not start like one")
        _, _, image, patterns, _, side, _, columns, rows = _BLO_HEADER.unpack(head)
        kept = [Span(0, min(size, _BLO_HEADER_END)), *_kept_notes(file, min(image, patterns, size))]
        step = side * side + _BLO_NUMBER.size
        first = max(patterns, kept[-1].end)
        for at in range(first, min(size, first + columns * rows * step), step):
            file.seek(at)
            number = file.read(_BLO_NUMBER.size)
            if number == _BLO_NUMBER.pack(_BLO_MARK, (at - first) // step):
                kept.append(Span(at, len(number)))
    return _zero_all_but(size, kept)


def _kept_notes(file: BinaryIO, end: int) -> Iterator[Span]:
    """Yield where centres and the note are, if that is what they are, before the data of a scan."""
    file.seek(_BLO_HEADER_END)
    centres = file.read(_BLO_CENTRES.size)
    start = _BLO_HEADER_END + _BLO_CENTRES.size
    if start > end:
        return
    values = map(abs, _BLO_CENTRES.unpack(centres))
    if all(value == 0 or _BLO_SMALLEST < value < _BLO_LARGEST for value in values):
        yield Span(_BLO_HEADER_END, len(centres))
    note = file.read(min(end - start, _BLO_LONGEST_NOTE))
    if is_metadata(note):
        yield Span(start, len(note))


def plan_spc(path: Path) -> Plan:
    """Zero the counts of an EDAX spectrum, at the place and of the number that its head tells."""
    with path.open("rb") as file:
        head = file.read(_SPC_FILE_HEAD)
    if len(head) < _SPC_FILE_HEAD:
        raise UnreadableFileError("the file ends within its SPC header")
    start, points = struct.unpack_from("<ih", head, _SPC_DATA_START)
    size = path.stat().st_size
    if not _SPC_FILE_HEAD <= start < size or points <= 0:
        raise UnreadableFileError(f"the SPC file places {points} counts at byte {start}")
    return zero_spans(size, [Span(start, points * _COUNT_BYTES)])


def plan_msa(path: Path) -> Plan:
    """Write zeros of the same length for the counts; energies beside them stay."""
    lines = path.read_bytes().splitlines(keepends=True)
    pairs = any(re.match(rb"#DATATYPE\s*:\s*XY", line, re.IGNORECASE) for line in lines)
    out, inside = [], False
    for line in lines:
        if line.startswith(b"#"):
            inside = line.upper().startswith(b"#SPECTRUM")
        elif inside:
            line = _zeroed(line, first=1 if pairs else 0)  # noqa: PLW2901 - the line as it will be
        out.append(line)
    return Plan((Put(b"".join(out)),))


def _zeroed(line: bytes, *, first: int) -> bytes:
    """Return a line with the digits of its numbers zero, from the one at position ``first``."""
    out, at = b"", 0
    for index, match in enumerate(_MSA_NUMBER.finditer(line)):
        digits = re.sub(rb"\d", b"0", match[0]) if index >= first else match[0]
        out += line[at : match.start()] + digits
        at = match.end()
    return out + line[at:]
