"""Sessions as a table."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from nexuslims_console.views import SessionRow
from nexuslims_shared.cli.output import as_text, print_table

_DAY: Final = len("2026-03-02")


def print_sessions(rows: Sequence[SessionRow]) -> None:
    """Print sessions as a table."""
    print_table(
        ("session", "when", "instrument", "status", "progress", "files", "record"),
        [
            (
                row.session,
                period(row.start, row.end),
                row.instrument,
                row.status,
                row.reason or row.phase,
                row.files,
                row.record_path,
            )
            for row in rows
        ],
        nothing="no sessions",
    )


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
