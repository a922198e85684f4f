"""What commands print: tables for people, JSON for programs, messages on standard error.

Titles, file names and reasons are others' texts: a terminal shows what is in them, and obeys none
of it (:func:`nexuslims_contracts.text.terminal_text`).
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from nexuslims_contracts.text import terminal_json, terminal_text
from nexuslims_shared.secrets import hide

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

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


def say(text: str) -> None:
    """Print a message for the operator on standard error, without secrets."""
    typer.echo(terminal_text(hide(text)), err=True)


def show(text: str) -> None:
    """Print a line on standard output."""
    typer.echo(terminal_text(text))


def confirm(question: str, *, default: bool = False) -> bool:
    """Ask on standard error, and return whether the answer is yes.

    Parameters
    ----------
    question
        It may hold others' texts.
    default
        What an empty answer is.
    """
    return typer.confirm(terminal_text(question), default, err=True)


def print_json(value: Any) -> None:
    """Print one JSON document on standard output."""
    typer.echo(terminal_json(json.dumps(value, default=_plain, indent=2, ensure_ascii=False)))


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, nothing: str = "nothing"
) -> None:
    """Print a table on standard output.

    Parameters
    ----------
    columns
        Their titles; all empty for a table without a head.
    rows
        Values of the cells; times are printed in local time.
    nothing
        Printed instead if there are no rows.
    """
    from rich.table import Table  # noqa: PLC0415 - the command line starts fast

    if not rows:
        show(nothing)
        return
    table = Table(show_header=any(columns))
    for column in columns:
        table.add_column(column, no_wrap=column in WHOLE, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(cell) for cell in row))
    console().print(table)


def console(*, errors: bool = False) -> "Console":
    """Make a rich console on standard output or error; wide if nothing says how wide it is."""
    from rich.console import Console  # noqa: PLC0415 - the command line starts fast

    stream = sys.stderr if errors else sys.stdout
    known = stream.isatty() or "COLUMNS" in os.environ
    return Console(stderr=errors, width=None if known else WIDE, highlight=False)


def _cell(value: Any) -> "Text":
    from rich.text import Text  # noqa: PLC0415 - the command line starts fast

    text = as_text(value)
    return Text(text, COLOURS.get(text, ""))


def as_text(value: Any) -> str:
    """Return the text of a cell: a time is local, nothing is empty, no terminal obeys it."""
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M")
    return "" if value is None else terminal_text(str(value))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
