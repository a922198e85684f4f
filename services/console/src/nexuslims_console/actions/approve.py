"""``nexuslims approve``: the withdrawals of a calendar that wait for an operator."""

from collections.abc import Mapping

from nexuslims_console.errors import ConsoleError
from nexuslims_shared.calendar_notes import CalendarNotes
from nexuslims_shared.cli.asynchronous import run
from nexuslims_shared.cli.output import print_json, print_table, say
from nexuslims_shared.service import service_context
from nexuslims_shared.settings import read_settings


def show_waiting(*, as_json: bool) -> None:
    """Show what waits, of all calendars."""
    _show(run(_waiting()), as_json=as_json)


def approve_withdrawals(calendar: str, *, as_json: bool) -> None:
    """Approve what waits of one calendar.

    Parameters
    ----------
    calendar
        Its name.
    as_json
        How to show what was approved.

    Raises
    ------
    ConsoleError
        If nothing of it waits.
    """
    approved = run(_approve(calendar))
    _show({calendar: approved}, as_json=as_json)
    if not as_json:
        say(f"{len(approved)} sessions are withdrawn when {calendar} is asked the next time")


async def _waiting() -> dict[str, dict[str, str]]:
    async with service_context(read_settings(), "console") as context:
        return await CalendarNotes.on(context.jetstream).held()


async def _approve(calendar: str) -> dict[str, str]:
    async with service_context(read_settings(), "console") as context:
        return await approve_held(CalendarNotes.on(context.jetstream), calendar)


async def approve_held(notes: CalendarNotes, calendar: str) -> dict[str, str]:
    """Approve what waits, and return it: session -> reason.

    Parameters
    ----------
    notes
        What is kept about calendars.
    calendar
        Name of one.

    Raises
    ------
    ConsoleError
        If nothing of it waits.
    """
    waiting = await notes.held_of(calendar)
    if not waiting:
        raise ConsoleError(
            f"nothing of calendar {calendar!r} waits: `nexuslims approve` lists what does"
        )
    await notes.approve(calendar, await notes.approved(calendar) | waiting.keys())
    return waiting


def _show(waiting: Mapping[str, Mapping[str, str]], *, as_json: bool) -> None:
    rows = [
        (calendar, session, reason)
        for calendar, sessions in sorted(waiting.items())
        for session, reason in sorted(sessions.items())
    ]
    if as_json:
        keys = ("calendar", "session", "reason")
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
    else:
        print_table(("calendar", "session", "why"), rows, nothing="nothing waits for an operator")
