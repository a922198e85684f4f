"""Formats whose data are numbers in text: spectra of Bruker, maps of orientations.

The digits of data become zeros, so every byte stays where it was. What stands beside them is kept
if it is metadata, see :mod:`.proven`, and else the file is refused.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nexuslims_formats.errors import LimitExceededError
from nexuslims_sanitiser.plan import Plan, Put, SanitiseError
from nexuslims_sanitiser.proven import is_metadata

_LARGEST: Final = 512 << 20
_CHANNELS: Final = re.compile(rb"(<Channels>)([\d\s,.-]*)(</Channels>)")
_DIGIT: Final = re.compile(rb"\d")
_VALUE: Final = rb"[ -~\x80-\xff]{0,160}"
_ANG_LINE: Final = re.compile(
    rb"#\s*|#\s*[A-Za-z][\w -]{0,40}?:?(?:[ \t]" + _VALUE + rb"(?:\t" + _VALUE + rb")?)?"
)
_CTF_LINE: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?Channel Text File|[A-Za-z][\w ()!]{0,60}(?:\t" + _VALUE + rb"){1,20}"
    rb"|[\d.,;-]{1,80}\t[\d.,;-]{1,80}(?:\t" + _VALUE + rb"){1,8}|"
)
"""Names with values behind tabs; lattices of phases."""
_ROW: Final = re.compile(rb"[\s\d.,eE+-]*")
_MOST_HEAD_LINES: Final = 1000
_NAMES_OF_COLUMNS: Final = b"Phase\tX\tY"
_ANG_KEPT: Final = (3, 4)
_CTF_KEPT: Final = (1, 2)
"""Columns of X and Y: the grid that the head tells."""


def plan_spx(path: Path) -> Plan:
    """Write zeros of the same length for the counts.

    Raises
    ------
    SanitiseError
        Something else in it may be data.
    """
    content = _content(path)
    if not _CHANNELS.search(content) or not is_metadata(_CHANNELS.sub(rb"\1\3", content)):
        raise SanitiseError(
            "the spx file holds more than a spectrum and its metadata: nothing tells its data"
            " from the rest"
        )
    return Plan((Put(_CHANNELS.sub(lambda found: found[1] + _zero(found[2]) + found[3], content)),))


def plan_ang(path: Path) -> Plan:
    """Write zeros of the same length for all columns but the places of the points.

    Raises
    ------
    SanitiseError
        A line of the head is too long for one, or a line of points holds what is no number.
    """
    return _plan_rows(path, lambda line: not line.startswith(b"#"), _ANG_LINE, _ANG_KEPT)


def plan_ctf(path: Path) -> Plan:
    """Write zeros of the same length for all columns but the places of the points.

    Raises
    ------
    SanitiseError
        A line of the head is too long for one, or a line of points holds what is no number.
    """
    return _plan_rows(path, lambda line: line.startswith(_NAMES_OF_COLUMNS), _CTF_LINE, _CTF_KEPT)


def _plan_rows(
    path: Path,
    starts: Callable[[bytes], bool],
    form: re.Pattern[bytes],
    kept: tuple[int, ...],
) -> Plan:
    """Return the plan of a text with a head and rows of numbers.

    Parameters
    ----------
    path
        The file.
    starts
        Tells the line with which the rows start; if it has words it is one of the head.
    form
        Of a line of the head.
    kept
        Which columns stay.
    """
    lines = _content(path).splitlines(keepends=True)
    first = next((at for at, line in enumerate(lines) if starts(line)), len(lines))
    first += first < len(lines) and not _ROW.fullmatch(lines[first])
    head = lines[:first]
    if len(head) > _MOST_HEAD_LINES or not all(form.fullmatch(one.rstrip()) for one in head):
        raise SanitiseError("the head of the map is longer than one: it may hold data")
    if not all(map(_ROW.fullmatch, lines[first:])):
        raise SanitiseError("the points of the map are more than numbers")
    rows = [_zeroed_row(line, kept) for line in lines[first:]]
    return Plan((Put(b"".join([*head, *rows])),))


def _zeroed_row(line: bytes, kept: tuple[int, ...]) -> bytes:
    parts = re.split(rb"(\s+)", line)
    column = -1
    for at, part in enumerate(parts):
        if part and not part.isspace():
            column += 1
            parts[at] = part if column in kept else _zero(part)
    return b"".join(parts)


def _zero(text: bytes) -> bytes:
    return _DIGIT.sub(b"0", text)


def _content(path: Path) -> bytes:
    if path.stat().st_size > _LARGEST:
        raise LimitExceededError(f"a text of more than {_LARGEST >> 20} MiB")
    return path.read_bytes()
