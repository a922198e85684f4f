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

    from nexuslims_console.rows import SessionRow

WIDE: Final = 180
"""Columns of a table that goes into a file or a pipe."""

COLOURS: Final = {
    "COMPLETED": "green",
    "ERROR": "red",
    "BUILT_NOT_EXPORTED": "red",
    "TO_BE_BUILT": "yellow",
    "WAITING_FOR_END": "cyan",
    "ok": "green",
}


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
    table = Table(*columns, show_header=any(columns))
    for row in rows:
        table.add_row(*(Text(shown := _shown(cell), COLOURS.get(shown, "")) for cell in row))
    console().print(table)


def print_sessions(rows: "Sequence[SessionRow]") -> None:
    """Print sessions as a table."""
    print_table(
        ("session", "instrument", "start", "end", "status", "progress", "files", "record"),
        [
            (
                row.session,
                row.instrument,
                row.start,
                row.end,
                row.status,
                row.reason or row.phase,
                row.files,
                row.record_path,
            )
            for row in rows
        ],
        nothing="no sessions",
    )


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
