"""Progress of sessions, on standard error."""

import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from nexuslims_shared.cli.output import console, say

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from nexuslims_console.views import SessionRow

_MOST_BARS: Final = 8
"""Sessions with a line of their own at one time."""


class Update(Protocol):
    """Takes the present state of the sessions."""

    def __call__(self, rows: "Sequence[SessionRow]", unsettled: Collection[str]) -> None:
        """Display sessions; ``unsettled`` names those that are waited for."""
        ...


def _show_nothing(rows: "Sequence[SessionRow]", unsettled: Collection[str]) -> None:
    del rows, unsettled


@contextmanager
def progress_display(*, quiet: bool = False) -> Iterator[Update]:
    """Draw bars on a terminal; elsewhere print a line whenever a session's status changes.

    Parameters
    ----------
    quiet
        Show nothing.
    """
    if quiet:
        yield _show_nothing
        return
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


def _lines() -> Update:
    printed: dict[str, str] = {}

    def update(rows: "Sequence[SessionRow]", unsettled: Collection[str]) -> None:
        del unsettled
        for row in rows:
            step = row.phase.split(" ")[0]
            if printed.get(row.session) != step:
                printed[row.session] = step
                say(f"{row.session}: {row.status}, {row.reason or row.phase}")

    return update


def _bars(bars: "Progress") -> Update:
    overall = bars.add_task("sessions", phase="")
    own: dict[str, TaskID] = {}

    def update(rows: "Sequence[SessionRow]", unsettled: Collection[str]) -> None:
        total = len({row.session for row in rows} | set(unsettled))
        bars.update(overall, total=total, completed=total - len(unsettled))
        active = [row for row in rows if row.session in unsettled][:_MOST_BARS]
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

    return update
