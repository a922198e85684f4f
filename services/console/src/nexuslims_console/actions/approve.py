"""``nexuslims approve``: what a calendar would take from records, and an operator decides."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nexuslims_console.errors import ConsoleError
from nexuslims_shared.calendar_notes import CalendarNotes
from nexuslims_shared.cli.asynchronous import run
from nexuslims_shared.cli.output import print_json, print_table, say
from nexuslims_shared.context import service_context
from nexuslims_shared.errors import TopologyError
from nexuslims_shared.facility import command_context
from nexuslims_shared.settings import Settings, read_settings

if TYPE_CHECKING:
    from nexuslims_shared.doctor import Finding

EVERYTHING = ""
"""Approves what waits of all calendars."""


def show_waiting(*, as_json: bool) -> None:
    """Show what waits, of all calendars."""
    _show(run(_held(read_settings())), as_json=as_json)


def approve(what: str, *, as_json: bool) -> None:
    """Approve what waits.

    Parameters
    ----------
    what
        A calendar, a session, or :data:`EVERYTHING`.
    as_json
        How to show what was approved.

    Raises
    ------
    ConsoleError
        If nothing of it waits.
    """
    approved = run(_approve(what))
    _show(approved, as_json=as_json)
    if not as_json:
        count = sum(map(len, approved.values()))
        say(f"approved: {count}; it is done at the next look of {', '.join(approved)}")


async def check_waiting(settings: Settings) -> "list[Finding]":
    """Say in ``nexuslims doctor`` what waits for an operator."""
    from nexuslims_shared.doctor import Finding  # noqa: PLC0415 - heavy: `sessions` starts fast

    try:
        async with service_context(settings, "console") as context:
            waiting = await CalendarNotes.on(context.jetstream).held()
    except TopologyError:  # reported by the check of the broker
        return []
    return [Finding("approval", describe_waiting(waiting))]


def describe_waiting(waiting: Mapping[str, Mapping[str, str]]) -> str:
    """Say how many sessions wait for an operator; empty if none does."""
    counts = [f"{len(sessions)} of {calendar}" for calendar, sessions in sorted(waiting.items())]
    if not counts:
        return ""
    return (
        f"sessions would lose their record or most of it, and wait: {', '.join(counts)};"
        " `nexuslims approve` lists them"
    )


async def _held(settings: Settings) -> dict[str, dict[str, str]]:
    async with command_context(settings, "console") as context:
        return await CalendarNotes.on(context.jetstream).held()


async def _approve(what: str) -> dict[str, dict[str, str]]:
    async with command_context(read_settings(), "console") as context:
        return await approve_held(CalendarNotes.on(context.jetstream), what)


async def approve_held(notes: CalendarNotes, what: str) -> dict[str, dict[str, str]]:
    """Approve what waits, and return it: by calendar, session -> reason.

    Parameters
    ----------
    notes
        What is kept about calendars.
    what
        A calendar, a session, or :data:`EVERYTHING`.

    Raises
    ------
    ConsoleError
        If nothing of it waits.
    """
    approved = {
        calendar: chosen
        for calendar, sessions in (await notes.held()).items()
        if (chosen := {one: why for one, why in sessions.items() if what in ("", calendar, one)})
    }
    if not approved:
        about = f"of {what!r} " if what else ""
        raise ConsoleError(f"nothing {about}waits: `nexuslims approve` lists what does")
    for calendar, sessions in approved.items():
        await notes.approve(calendar, sessions)
    return approved


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
