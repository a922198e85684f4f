"""Showing how sessions come along, on standard error."""

import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from nexuslims_shared.cli.output import console, say

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from nexuslims_console.views import SessionRow

_SHOWN: Final = 8
"""Sessions with a line of their own at one time."""


class Show(Protocol):
    """Takes how things are now."""

    def __call__(self, rows: "Sequence[SessionRow]", unsettled: Collection[str]) -> None:
        """Show sessions; ``unsettled`` names those that are waited for."""
        ...


@contextmanager
def shown_progress() -> Iterator[Show]:
    """Show bars on a terminal, and elsewhere a line whenever a session's status changes."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.progress import (  # noqa: PLC0415 - the command line starts fast
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[phase]}"),
        TimeElapsedColumn(),
        console=console(errors=True),
        transient=True,
    ) as bars:
        yield _bars(bars)


def _lines() -> Show:
    told: dict[str, str] = {}

    def show(rows: "Sequence[SessionRow]", unsettled: Collection[str]) -> None:
        del unsettled
        for row in rows:
            step = row.phase.split(" ")[0]
            if told.get(row.session) != step:
                told[row.session] = step
                say(f"{row.session}: {row.status}, {row.reason or row.phase}")

    return show


def _bars(bars: "Progress") -> Show:
    overall = bars.add_task("sessions", phase="")
    own: dict[str, TaskID] = {}

    def show(rows: "Sequence[SessionRow]", unsettled: Collection[str]) -> None:
        total = len({row.session for row in rows} | set(unsettled))
        bars.update(overall, total=total, completed=total - len(unsettled))
        active = [row for row in rows if row.session in unsettled][:_SHOWN]
        for session in own.keys() - {row.session for row in active}:
            bars.remove_task(own.pop(session))
        for row in active:
            if row.session not in own:
                own[row.session] = bars.add_task(f"  {row.session}", phase="")
            bars.update(
                own[row.session],
                total=row.files or None,
                completed=row.settled,
                phase=row.phase,
            )

    return show
