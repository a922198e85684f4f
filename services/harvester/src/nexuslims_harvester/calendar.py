"""The port to calendars: what each kind of calendar gives of a session."""

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone, tzinfo
from typing import Any, Protocol, TypeAlias

from nexuslims_contracts.calendars import BookingTier
from nexuslims_contracts.datasets import ArtifactRef
from nexuslims_contracts.events import Project, Sample
from nexuslims_contracts.identifiers import session_token
from nexuslims_shared.instruments import InstrumentEntry
from nexuslims_shared.people import Person

CALENDARS = "nexuslims.calendars"
"""Entry point group: kind of calendar -> class, called with a name, settings and instruments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarEntry:
    """A session as a calendar has it.

    ``end`` is None while it lasts. ``consent`` is True only if the user agreed to a record; None
    is no answer, which is no consent. ``answer`` is what was answered instead of a consent, for an
    operator to look at. ``booked`` is False where no reservation was found that
    could tell what the session was for; ``booked_from`` and ``booked_until`` say when it was meant
    to be, where that is not when it was. ``payload`` is what the calendar gave, as far as it was
    used: plain values only, and no names of people. ``complete`` is set by the harvest alone.
    Times have an offset from UTC, a fixed one: in a zone's repeated hour, Python finds no two
    times of different zones equal.
    """

    id: str
    instrument: InstrumentEntry
    start: datetime
    end: datetime | None = None
    user: Person | None = None
    title: str = ""
    purpose: str = ""
    samples: tuple[Sample, ...] = ()
    projects: tuple[Project, ...] = ()
    collaborators: tuple[Person, ...] = ()
    consent: bool | None = None
    answer: str = ""
    booked: bool = True
    booked_from: datetime | None = None
    booked_until: datetime | None = None
    tier: BookingTier = "calendar"
    reservation: str = ""
    url: str = ""
    payload: Mapping[str, Any] | None = None
    cancelled: bool = False
    complete: ArtifactRef | None = None

    def session(self, calendar: str) -> str:
        """Token of the session."""
        return session_token(calendar, self.id)


@dataclass(frozen=True, slots=True)
class EntryProblem:
    """An entry that cannot be used: which, why, and the remedy."""

    entry: str
    problem: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.entry}: {self.problem}"


@dataclass(frozen=True, slots=True)
class DeletedEntry:
    """A session that was stated, and that the calendar is sure to have no more; and why."""

    id: str
    reason: str = "it is not in the calendar any more"

    def session(self, calendar: str) -> str:
        """Token of the session."""
        return session_token(calendar, self.id)


@dataclass(frozen=True, slots=True)
class Window:
    """What a harvest asks for: the sessions that began before ``until`` and end after ``since``.

    A calendar for which it is no work to give more may give more.

    Parameters
    ----------
    since
        None is as far back as the calendar was set to begin.
    until
        Sessions that begin later belong to another harvest.
    expected
        Sessions that are known and belong to the window: the calendar's identifier -> the pid of
        the instrument. A calendar that can tell what became of one that is missing says so.
    sweep
        A part of a sweep: nothing that was asked before is trusted, and sessions that are still on
        are left out, because every other harvest has them. Otherwise they belong to the window
        whenever they began.
    oldest
        No session is known that is older: a calendar that was set to begin earlier does so.
    """

    since: datetime | None
    until: datetime
    expected: Mapping[str, str] = field(default_factory=dict)
    sweep: bool = False
    oldest: bool = False


Entries: TypeAlias = list[CalendarEntry | EntryProblem | DeletedEntry]


def placed(moment: datetime, zone: tzinfo) -> datetime:
    """Give a time a fixed offset: that of a zone, if it has none of its own.

    Parameters
    ----------
    moment
        With or without an offset.
    zone
        Where a time without an offset is.
    """
    aware = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    offset = aware.utcoffset()
    return aware.replace(tzinfo=timezone(offset)) if offset is not None else aware


class Calendar(Protocol):
    """A calendar. ``name`` becomes part of the names of its sessions."""

    @property
    def name(self) -> str:
        """As instruments refer to it."""
        ...

    def entries(self, window: Window) -> Coroutine[Any, Any, Entries]:
        """Return the sessions of a window, the unusable ones as problems.

        Raises
        ------
        CalendarUnavailableError
            If it cannot be read at all now; the message names it and the remedy.
        """
        ...

    async def changed(self) -> None:
        """Return when it may have changed; a calendar that cannot tell never returns."""
        ...
