"""What the calendars hold, without stating it."""

import asyncio
from datetime import UTC, datetime

from nexuslims_harvester.app import calendars
from nexuslims_harvester.calendar import (
    Calendar,
    CalendarEntry,
    Entries,
    EntryProblem,
    Window,
    Withdrawn,
)
from nexuslims_harvester.errors import CalendarUnavailableError
from nexuslims_shared.settings import Settings


def sessions(settings: Settings) -> list[dict[str, str | datetime | None]]:
    """Return each session of the calendars, the unusable ones with their problem.

    A calendar that cannot be read is a problem of its own; the others are listed.
    """
    return [
        _row(calendar.name, entry)
        for calendar in calendars(settings)
        for entry in _entries(calendar)
        if not isinstance(entry, Withdrawn)
    ]


def _entries(calendar: Calendar) -> Entries:
    try:
        return asyncio.run(calendar.entries(Window(since=None, until=datetime.now(UTC))))
    except CalendarUnavailableError as error:
        return [EntryProblem(f"calendar {calendar.name}", str(error))]


def _row(calendar: str, entry: CalendarEntry | EntryProblem) -> dict[str, str | datetime | None]:
    if isinstance(entry, EntryProblem):
        return {
            "session": entry.entry,
            "instrument": "",
            "start": None,
            "end": None,
            "title": "",
            "problem": entry.problem,
        }
    return {
        "session": entry.session(calendar),
        "instrument": entry.instrument.pid,
        "start": entry.start,
        "end": entry.end,
        "title": entry.title,
        "problem": "" if entry.consent else "no consent",
    }
