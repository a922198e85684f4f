"""Showing things: tables for people, JSON for programs."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from nexuslims_console.views import SessionRow

WIDE: Final = 180
"""Columns of a table that goes into a file or a pipe."""

WHOLE: Final = {"session", "status", "when", "files", "number", "event", "variable", "service"}
"""Columns that are never broken or cut: one copies from them, or goes by them."""

COLOURS: Final = {
    "COMPLETED": "green",
    "ERROR": "red",
    "BUILT_NOT_EXPORTED": "red",
    "TO_BE_BUILT": "yellow",
    "WAITING_FOR_END": "cyan",
    "ok": "green",
}


_DAY: Final = len("2026-03-02")


def say(text: str) -> None:
    """Tell the operator something, on standard error."""
    typer.echo(text, err=True)


def print_json(value: Any) -> None:
    """Print one JSON document on standard output."""
    typer.echo(json.dumps(value, default=_plain, indent=2, ensure_ascii=False))


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, nothing: str = "nothing"
) -> None:
    """Print a table on standard output, or say that there is nothing."""
    from rich.table import Table  # noqa: PLC0415 - the command line starts fast
    from rich.text import Text  # noqa: PLC0415 - the command line starts fast

    if not rows:
        typer.echo(nothing)
        return
    table = Table(show_header=any(columns))
    for column in columns:
        table.add_column(column, no_wrap=column in WHOLE, overflow="fold")
    for row in rows:
        table.add_row(*(Text(shown := _shown(cell), COLOURS.get(shown, "")) for cell in row))
    console().print(table)


def print_sessions(rows: "Sequence[SessionRow]") -> None:
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
    """Show when a session was, in local time: the end's day only where it is another one."""
    begins, ends = _shown(start), _shown(end)
    same_day = begins[:_DAY] == ends[:_DAY]
    return f"{begins} - {ends[_DAY + 1 :] if same_day else ends}" if ends else begins


def console(*, errors: bool = False) -> "Console":
    """Make a rich console; wide where nobody looks at a terminal."""
    from rich.console import Console  # noqa: PLC0415 - the command line starts fast

    stream = sys.stderr if errors else sys.stdout
    return Console(stderr=errors, width=None if stream.isatty() else WIDE, highlight=False)


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M")
    return "" if value is None else str(value)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be shown as JSON")
