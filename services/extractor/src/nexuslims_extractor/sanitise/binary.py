"""Where the data lies in formats that keep it in plain runs of bytes, or as text."""

import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nexuslims_extractor.errors import UnreadableFileError
from nexuslims_extractor.formats.dm_tags import ArrayRef, read_tags
from nexuslims_extractor.formats.tia_series import element_spans
from nexuslims_extractor.sanitise.plan import Plan, Put, SanitiseError, Span, zero_spans

_COLOUR_TABLE = "CLUT"
_MRC_HEADER = 1024
_MRC_EXTENDED = 92  # bytes of the extended header, https://www.ccpem.ac.uk/mrc_format/mrc2014.php
_MRC_STAMP = 212
_MRC_BIG_ENDIAN = b"\x11\x11"
_BLO_HEADER = struct.Struct("<6sHIIIHHHH")
_BLO_FRAME_HEADER = 6
_SPC_DATA_START, _SPC_FILE_HEAD = 28, 34
_COUNT_BYTES = 4
_MSA_NUMBER = re.compile(rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?")
_SAFE_EMI_BYTES = 64 << 10


def plan_dm(path: Path) -> Plan:
    """Zero every array of a DM3 or DM4 file that is not a colour table: images and thumbnails."""
    spans = (Span(array.offset, array.size) for array in _arrays(read_tags(path)))
    return zero_spans(path.stat().st_size, spans)


def _arrays(tree: Mapping[str, Any]) -> Iterator[ArrayRef]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _arrays(value)
        elif isinstance(value, ArrayRef) and name != _COLOUR_TABLE:
            yield value


def plan_series(path: Path) -> Plan:
    """Zero the elements of a TIA series; their headers, times and positions stay."""
    spans = (Span(offset, size) for offset, size in element_spans(path))
    return zero_spans(path.stat().st_size, spans)


def plan_emi(path: Path) -> Plan:
    """Zero what an ``.emi`` repeats of its series; otherwise it stays as it is.

    Its layout is not public. Data is recognised as the bytes of an element of a series beside it.

    Raises
    ------
    SanitiseError
        More is left than descriptions take: data that no series beside it has.
    """
    content = path.read_bytes()
    spans = []
    for series in sorted(path.parent.iterdir()):
        if series.suffix.lower() != ".ser" or not series.stem.startswith(path.stem):
            continue
        with series.open("rb") as file:
            for offset, size in element_spans(series):
                file.seek(offset)
                data = file.read(size)
                at = content.find(data) if data.strip(b"\0") else -1
                while at >= 0:
                    spans.append(Span(at, size))
                    at = content.find(data, at + size)
    plan = zero_spans(len(content), spans)
    left = bytearray(content)
    for span in spans:
        left[span.offset : span.end] = bytes(span.size)
    if (unknown := len(left) - left.count(0)) > _SAFE_EMI_BYTES:
        raise SanitiseError(
            f"{unknown} bytes of the .emi may be data: keep its .ser files beside it, "
            "or sanitise the .ser files alone"
        )
    return plan


def plan_mrc(path: Path) -> Plan:
    """Zero what follows the header and the extended header."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_MRC_HEADER)
    if len(head) < _MRC_HEADER:
        raise UnreadableFileError("the file ends within its MRC header")
    order = ">" if head[_MRC_STAMP : _MRC_STAMP + 2] == _MRC_BIG_ENDIAN else "<"
    (extended,) = struct.unpack_from(f"{order}i", head, _MRC_EXTENDED)
    start = _MRC_HEADER + extended
    if not _MRC_HEADER <= start <= size:
        raise UnreadableFileError(f"the MRC file claims {extended} bytes of extended header")
    return zero_spans(size, [Span(start, size - start)])


def plan_blockfile(path: Path) -> Plan:
    """Zero the virtual image and the patterns; the number before each pattern stays."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_BLO_HEADER.size)
    if len(head) < _BLO_HEADER.size or not head.startswith(b"IMGBLO"):
        raise UnreadableFileError("not a blockfile: the file does not start like one")
    _, _, image, patterns, _, side, _, columns, rows = _BLO_HEADER.unpack(head)
    step = side * side + _BLO_FRAME_HEADER
    spans = [Span(image, columns * rows)]
    spans += [
        Span(at + _BLO_FRAME_HEADER, side * side)
        for at in range(patterns, min(size, patterns + columns * rows * step), step)
    ]
    return zero_spans(size, spans)


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
