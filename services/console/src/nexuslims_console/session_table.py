"""Sessions as a table: one line for each, however narrow the terminal is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from nexuslims_console.views import SessionRow
from nexuslims_shared.cli.output import as_text, console, print_table

_DAY: Final = len("2026-03-02")
_NARROW: Final = 120
"""Columns of a terminal below which only the most important is shown; `session ID` has the rest."""
_NAME: Final = 22
_FRAME: Final = 13
"""Columns that the lines of a table of four columns take."""
_LEAST: Final = 10


@dataclass(frozen=True, slots=True)
class Line:
    """A session in a list; ``progress`` says what is going on, or what is wrong."""

    session: str
    start: datetime | None
    end: datetime | None
    instrument: str
    status: str
    progress: str
    files: int
    record: str


def print_sessions(rows: Sequence[SessionRow]) -> None:
    """Print sessions as a table."""
    lines = [
        Line(
            row.session,
            row.start,
            row.end,
            row.instrument,
            row.status,
            row.reason or row.phase,
            row.files,
            row.record_path,
        )
        for row in rows
    ]
    print_lines(lines, nothing="no sessions")


def print_lines(lines: Sequence[Line], *, nothing: str) -> None:
    """Print a list of sessions.

    Parameters
    ----------
    lines
        One for each session.
    nothing
        Printed instead if there are none.
    """
    width = console().width
    if width < _NARROW:
        _print_narrow(lines, width, nothing)
        return
    print_table(
        ("session", "when", "instrument", "status", "progress", "files", "record"),
        [
            (
                one.session,
                period(one.start, one.end),
                one.instrument,
                one.status,
                one.progress,
                one.files,
                one.record,
            )
            for one in lines
        ],
        nothing=nothing,
    )


def _print_narrow(lines: Sequence[Line], width: int, nothing: str) -> None:
    names = [_shortened(as_text(one.session), _NAME) for one in lines]
    taken = max(map(len, names), default=0) + max((len(one.status) for one in lines), default=0)
    room = width - _FRAME - _DAY - taken
    columns = ("session", "when", "status", "progress")[: 3 if room < _LEAST else 4]
    rows = [
        (name, as_text(one.start)[:_DAY], one.status, _cut(as_text(one.progress), max(room, 1)))
        for name, one in zip(names, lines, strict=True)
    ]
    print_table(columns, [row[: len(columns)] for row in rows], nothing=nothing)


def _shortened(name: str, length: int) -> str:
    """Leave out the middle of a name: its beginning says of what, its end which one."""
    half = (length - 1) // 2
    return name if len(name) <= length else f"{name[:half]}…{name[-half:]}"


def _cut(text: str, length: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def period(start: datetime | None, end: datetime | None) -> str:
    """Return when a session was, in local time; the end's day only if it is another one.

    Parameters
    ----------
    start, end
        None if not known.
    """
    begins, ends = as_text(start), as_text(end)
    same_day = begins[:_DAY] == ends[:_DAY]
    return f"{begins} - {ends[_DAY + 1 :] if same_day else ends}" if ends else begins
