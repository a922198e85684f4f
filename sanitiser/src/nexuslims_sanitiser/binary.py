"""Where the data lies in formats that keep it in plain runs of bytes, or as text."""

import mmap
import re
import string
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

from nexuslims_formats.digitalmicrograph.tags import ArrayRef, end_of_tags, read_tags
from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.locales.encodings import decode
from nexuslims_formats.tia.ser import metadata_spans
from nexuslims_sanitiser.opaque import is_opaque, is_written
from nexuslims_sanitiser.plan import (
    Keep,
    Plan,
    Put,
    SanitiseError,
    Span,
    zero_all_but,
    zero_spans,
)
from nexuslims_sanitiser.proven import is_metadata

_NO_DATA = {"CLUT": (1536, 8), "PageSetup": (8192, 1)}
"""Colour tables, and what a printer driver wants: the most bytes of one, and of different ones."""
_DM_NUMBERS = 2048
"""In small arrays that differ; a scan has its times in some of 100."""
_DM_LETTERS = 1024
"""Beyond Latin, Greek and Cyrillic, in all texts together."""
_BLO_HEADER = struct.Struct("<6sHIIIHHHH")
_BLO_HEADER_END = 64
_BLO_CENTRES = struct.Struct("<22d")  # where patterns have their centre, and their distortion
_BLO_NUMBER = struct.Struct("<HI")  # before each pattern
_BLO_MARK = 0x55AA
_BLO_SMALLEST, _BLO_LARGEST = 1e-6, 1e6  # a centre in parts of the pattern, or in its pixels
_BLO_LONGEST_NOTE = 1 << 16
_SER_HEAD = 1024
"""Bytes of a series' head with all its dimensions."""
_SPC_DATA_START, _SPC_FILE_HEAD = 28, 34
_SPC_LONGEST_HEAD = 3840
_MSA_NUMBER = re.compile(rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?")
_MSA_ROW = re.compile(rb"[\d\s,;.eEdD+-]*")
_MSA_HEAD = 64 << 10
_DESCRIPTION = re.compile(rb"<ObjectInfo>[^\0]*?</ObjectInfo>")
_EMI_TAIL = re.compile(rb"\r\n`\0[^\0]{0,24}(?:\0+[^\0]{1,24})*\0*")
_EMI_LONGEST_TAIL = 1024
_LETTERS = string.ascii_letters.encode() + b" '.,\n"
_STRANGE_PART = 0.05


def plan_dm(path: Path) -> Plan:
    """Zero the arrays of a DM3 or DM4 file, and what lies behind its tags.

    Those are images, thumbnails, and maps among the tags.

    Raises
    ------
    SanitiseError
        Small arrays or texts among the tags are so many that they may be an image.
    """
    tree = read_tags(path)
    _refuse_pieces(path, tree)
    size, end = path.stat().st_size, end_of_tags(path)
    spans = (Span(array.offset, array.size) for array in _arrays(tree))
    return zero_spans(size, [*spans, Span(end, size - end)])


def _arrays(tree: Mapping[str, Any]) -> Iterator[ArrayRef]:
    for name, value in _leaves(tree):
        if isinstance(value, ArrayRef) and value.size > _NO_DATA.get(name, (0, 0))[0]:
            yield value


def _leaves(tree: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of a tree, and their names, or the group's that is known to be no data."""
    for name, value in tree.items():
        named = within or (name if name in _NO_DATA else "")
        if isinstance(value, Mapping):
            yield from _leaves(value, named)
        else:
            yield named or name, value


def _refuse_pieces(path: Path, tree: Mapping[str, Any]) -> None:
    """Refuse tags that hold an image in many small arrays, or as letters."""
    found = list(_leaves(tree))
    arrays = {str(value) for _, value in found if isinstance(value, list)}
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        tables = {
            (name, content[value.offset : value.offset + value.size])
            for name, value in found
            if isinstance(value, ArrayRef) and value.size <= _NO_DATA.get(name, (0, 0))[0]
        }
    kinds = Counter(name for name, _ in tables)
    numbers = sum(text.count(",") + 1 for text in arrays)
    if numbers > _DM_NUMBERS or any(kinds[name] > most for name, (_, most) in _NO_DATA.items()):
        raise SanitiseError(
            f"its tags hold {numbers} numbers in small arrays, which cannot be told from an image:"
            " delete those tags in DigitalMicrograph first"
        )
    texts = "\n".join(sorted({value for _, value in found if isinstance(value, str)}))
    if is_opaque(texts) or sum(map(_is_odd, texts)) > _DM_LETTERS:
        raise SanitiseError(
            "its tags hold texts that cannot be told from an image:"
            " delete those tags in DigitalMicrograph first"
        )


def _is_odd(letter: str) -> bool:
    """Tell a letter of no alphabet, or none at all: pixels read as letters are such."""
    return not letter.isascii() and not ("\xa0" <= letter <= "\u04ff")


def plan_series(path: Path) -> Plan:
    """Keep the headers, times and positions of a TIA series, and zero all else.

    Raises
    ------
    SanitiseError
        Its dimensions are described by more than the few words that TIA writes.
    """
    size = path.stat().st_size
    kept: list[Span] = []
    at = 0
    for start, length in sorted(set(metadata_spans(path))):
        if not start and length > _SER_HEAD:
            raise SanitiseError("the words on its dimensions are so many that they may be data")
        end = min(start + length, size)
        if end > max(start, at):
            kept.append(Span(max(start, at), end - max(start, at)))
            at = end
    return zero_all_but(size, kept)


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
    return zero_all_but(size, kept)


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
    return zero_all_but(size, kept)


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
    """Keep the numbers and the label of an EDAX spectrum that its head is known to have.

    The counts lie at the place and are of the number that the head tells.
    """
    with path.open("rb") as file:
        head = file.read(_SPC_FILE_HEAD)
        if len(head) < _SPC_FILE_HEAD:
            raise UnreadableFileError("the file ends within its SPC header")
        start, points = struct.unpack_from("<ih", head, _SPC_DATA_START)
        size = path.stat().st_size
        if not _SPC_FILE_HEAD <= start < size or points <= 0:
            raise UnreadableFileError(f"the SPC file places {points} counts at byte {start}")
        if start > _SPC_LONGEST_HEAD:
            raise SanitiseError(f"its head has {start} bytes, and may hold data: EDAX's has 3,840")
    return zero_spans(size, [Span(start, size - start)])


def plan_msa(path: Path) -> Plan:
    """Write zeros of the same length for the counts; energies beside them stay if they rise.

    Raises
    ------
    SanitiseError
        What stands among the counts or behind them is more than numbers, or what stands before
        them more than a head.
    """
    lines = path.read_bytes().splitlines(keepends=True)
    pairs = any(re.match(rb"#DATATYPE\s*:\s*XY", line, re.IGNORECASE) for line in lines)
    head = [line for line in lines if line.startswith(b"#")]
    words = decode(b"".join(head))[0]
    if not is_written(words) or is_opaque(words) or len(words) > _MSA_HEAD:
        raise SanitiseError("its head is longer than one, or no words: it may hold data")
    first = 1 if pairs and _rise(line for line in lines if not line.startswith(b"#")) else 0
    out = []
    for line in lines:
        if not line.startswith(b"#"):
            if not _MSA_ROW.fullmatch(line):
                raise SanitiseError("its spectrum is more than numbers")
            line = _zeroed(line, first=first)  # noqa: PLW2901 - the line as it will be
        out.append(line)
    return Plan((Put(b"".join(out)),))


def _rise(lines: Iterable[bytes]) -> bool:
    """Tell whether the first numbers of all lines rise, as energies do."""
    found = [float(match[0].upper().replace(b"D", b"E")) for line in lines
             if (match := _MSA_NUMBER.search(line))]  # fmt: skip
    return all(before < after for before, after in pairwise(found))


def _zeroed(line: bytes, *, first: int) -> bytes:
    """Return a line with the digits of its numbers zero, from the one at position ``first``."""
    out, at = b"", 0
    for index, match in enumerate(_MSA_NUMBER.finditer(line)):
        digits = re.sub(rb"\d", b"0", match[0]) if index >= first else match[0]
        out += line[at : match.start()] + digits
        at = match.end()
    return out + line[at:]
