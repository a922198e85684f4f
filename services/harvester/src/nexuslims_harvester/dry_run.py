"""What the calendars hold, without stating it."""

import asyncio
from collections.abc import Container
from datetime import UTC, datetime, timedelta

from nexuslims_harvester.app import calendars
from nexuslims_harvester.calendar import (
    Calendar,
    CalendarEntry,
    DeletedEntry,
    Entries,
    EntryProblem,
    Window,
)
from nexuslims_harvester.errors import CalendarUnavailableError
from nexuslims_harvester.harvested import HarvestedSessions, window_after
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.memory import MemoryEventStore
from nexuslims_shared.store.port import EventStore


async def sessions(
    settings: Settings, store: EventStore | None = None
) -> list[dict[str, str | datetime | None]]:
    """Return each session that a harvest would ask for, the unusable ones with their problem.

    A calendar that cannot be read is a problem of its own; the others are listed.

    Parameters
    ----------
    settings
        The facility's.
    store
        The events, which tell where the last harvest ended; without them, this is the first one.
    """
    known = HarvestedSessions(MemoryEventStore() if store is None else store)
    await known.catch_up()
    overlap, now = timedelta(days=settings.harvest_overlap_days), datetime.now(UTC)
    asked = calendars(settings)
    windows = [window_after(known.of(one.name).values(), now, overlap) for one in asked]
    found = await asyncio.gather(*map(_entries, asked, windows))
    return [
        _row(calendar.name, _usable(calendar.name, entry, known.unreadable))
        for calendar, entries in zip(asked, found, strict=True)
        for entry in entries
        if not isinstance(entry, DeletedEntry) and not getattr(entry, "cancelled", False)
    ]


async def _entries(calendar: Calendar, window: Window) -> Entries:
    try:
        return await calendar.entries(window)
    except CalendarUnavailableError as error:
        return [EntryProblem(f"calendar {calendar.name}", str(error))]


def _usable(
    calendar: str, entry: CalendarEntry | EntryProblem, unreadable: Container[str]
) -> CalendarEntry | EntryProblem:
    """Replace an entry that no harvest will state by the reason: nobody is to wait for it."""
    if isinstance(entry, EntryProblem) or entry.session(calendar) not in unreadable:
        return entry
    reason = "an event of its session cannot be read: see the harvester's log"
    return EntryProblem(entry.session(calendar), reason)


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
