"""How every calendar behaves, as tests to inherit.

A calendar's tests inherit :class:`CalendarBehaviour` and give it two fixtures: ``source``, a
:class:`Source` that holds sessions as that kind of calendar does, and ``calendar``, the calendar
that reads it. ``source.instrument`` is the instrument that all of them are on.
"""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import ClassVar, Final, Protocol

from nexuslims_contracts.identifiers import is_token
from nexuslims_harvester.calendar import (
    Calendar,
    CalendarEntry,
    DeletedEntry,
    Entries,
    EntryProblem,
    Window,
)
from nexuslims_harvester.errors import CalendarUnavailableError

START: Final = datetime(2026, 3, 2, 16, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
WINDOW: Final = Window(START - timedelta(days=7), START + timedelta(days=7))

ANSWERS: Final[Mapping[str, bool | None]] = {
    "Agree": True,
    " YES ": True,
    "": None,
    "  ": None,
    "Disagree": False,
    "Do not agree": False,
    "Yes, I agree": False,
    "\u2610 Agree": False,
    "Nein": False,
}
"""Answers to the question for consent, and whether they are consent."""


@dataclass(frozen=True, slots=True)
class GivenSession:
    """A session as a person enters it; ``answer`` is to the question for consent."""

    number: int
    start: datetime = START
    end: datetime | None = START + 3 * HOUR
    answer: str = "Agree"
    title: str = "Gold on carbon"
    user: str = "ned"


class MemoryCalendar:
    """A calendar that gives what it holds, for tests of what uses calendars.

    Parameters
    ----------
    entries
        What it holds at first; ``held`` is what it holds now.
    name
        Its name.
    """

    def __init__(
        self, *entries: CalendarEntry | EntryProblem | DeletedEntry, name: str = "book"
    ) -> None:
        self.name = name
        self.held: Entries = list(entries)
        self.windows: list[Window] = []
        self.failure: BaseException | None = None
        self.asked = asyncio.Event()

    async def entries(self, window: Window) -> Entries:
        """Return what is held, or fail; remember the window."""
        self.windows.append(window)
        self.asked.set()
        if self.failure is not None:
            raise self.failure
        return list(self.held)

    async def changed(self) -> None:
        """Never return."""
        await asyncio.Event().wait()


class Source(Protocol):
    """Where a calendar under test reads."""

    instrument: str
    """Pid of the instrument of all sessions."""

    def hold(self, sessions: Sequence[GivenSession]) -> None:
        """Hold these sessions, and no others."""
        ...

    def disappear(self) -> None:
        """Be away until sessions are given again."""
        ...


class CalendarBehaviour:
    """Inherit, give the fixtures ``source`` and ``calendar``, and pass."""

    lasting: ClassVar[bool] = True
    """Whether the calendar can hold a session whose end is not known."""

    async def test_an_empty_calendar_has_no_entries(
        self, source: Source, calendar: Calendar
    ) -> None:
        """Not even a problem."""
        source.hold([])
        assert await calendar.entries(WINDOW) == []

    async def test_a_session_is_an_entry(self, source: Source, calendar: Calendar) -> None:
        """When, on which instrument, by whom, for what; as an instant with a fixed offset."""
        source.hold([GivenSession(1)])
        (entry,) = await calendar.entries(WINDOW)
        assert isinstance(entry, CalendarEntry), entry
        assert is_token(entry.session(calendar.name))
        assert (entry.start, entry.end) == (START, START + 3 * HOUR)
        assert isinstance(entry.start.tzinfo, timezone)
        assert entry.instrument.pid == source.instrument
        assert entry.title == "Gold on carbon"
        assert entry.user is not None
        assert "ned" in entry.user.display

    async def test_reading_twice_gives_the_same(self, source: Source, calendar: Calendar) -> None:
        """Otherwise each poll would state everything again; a sweep is no exception."""
        source.hold([GivenSession(1), GivenSession(2, START + 4 * HOUR, START + 5 * HOUR)])
        first = await calendar.entries(WINDOW)
        assert len({one.id for one in first if isinstance(one, CalendarEntry)}) == 2
        assert await calendar.entries(WINDOW) == first
        assert await calendar.entries(replace(WINDOW, sweep=True, oldest=True)) == first

    async def test_a_session_that_changes_keeps_its_identifier(
        self, source: Source, calendar: Calendar
    ) -> None:
        """It is the same session at another time, for another purpose."""
        source.hold([GivenSession(1)])
        (before,) = await calendar.entries(WINDOW)
        source.hold([GivenSession(1, START + HOUR, START + 2 * HOUR, title="Silver")])
        (after,) = await calendar.entries(WINDOW)
        assert isinstance(before, CalendarEntry)
        assert isinstance(after, CalendarEntry)
        assert (after.id, after.title, after.start) == (before.id, "Silver", START + HOUR)

    async def test_consent_is_read_by_the_one_rule(
        self, source: Source, calendar: Calendar
    ) -> None:
        """And what was answered instead of a consent is there to be looked at."""
        for answer, consent in ANSWERS.items():
            source.hold([GivenSession(1, answer=answer)])
            (entry,) = await calendar.entries(WINDOW)
            assert isinstance(entry, CalendarEntry)
            assert entry.consent is consent, answer
            assert entry.answer == (answer if consent is False else "")

    async def test_a_wrong_session_stops_no_other(self, source: Source, calendar: Calendar) -> None:
        """It is a problem that names it and the remedy."""
        source.hold([GivenSession(1, START, START - HOUR), GivenSession(2)])
        found = await calendar.entries(WINDOW)
        (problem,) = (one for one in found if isinstance(one, EntryProblem))
        (entry,) = (one for one in found if isinstance(one, CalendarEntry))
        assert "1" in problem.entry
        assert re.search("swap|correct", problem.problem)  # the remedy
        assert entry.consent is True

    async def test_a_session_that_lasts_has_no_end(
        self, source: Source, calendar: Calendar
    ) -> None:
        """Until it has one."""
        if not self.lasting:
            return
        source.hold([GivenSession(1, end=None)])
        (entry,) = await calendar.entries(WINDOW)
        assert isinstance(entry, CalendarEntry)
        assert entry.end is None

    async def test_what_is_kept_is_plain_and_names_nobody(
        self, source: Source, calendar: Calendar
    ) -> None:
        """It goes into the log, which forgets nothing."""
        source.hold([GivenSession(1, user="nemo.captain")])
        (entry,) = await calendar.entries(WINDOW)
        assert isinstance(entry, CalendarEntry)
        assert "captain" not in json.dumps(entry.payload)

    async def test_a_source_that_is_away_is_one_error_and_comes_back(
        self, source: Source, calendar: Calendar
    ) -> None:
        """The message is for an operator; nothing is taken for deleted."""
        source.disappear()
        unavailable = False
        try:
            await calendar.entries(replace(WINDOW, expected={"1": source.instrument}))
        except CalendarUnavailableError:
            unavailable = True
        assert unavailable
        source.hold([GivenSession(1)])
        assert len(await calendar.entries(WINDOW)) == 1
