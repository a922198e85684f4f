"""The port to calendars: what one knows of a session, whatever kind of calendar it is."""

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol, TypeAlias

from nexuslims_contracts.events import BookingTier, Project, Sample
from nexuslims_contracts.identifiers import session_token
from nexuslims_shared.instruments import InstrumentEntry
from nexuslims_shared.people import Person

CALENDARS = "nexuslims.calendars"
"""Entry point group: kind of calendar -> class, called with settings, instruments by pid and the
name that instruments give: the kind's own, or one with a number where there are several.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarEntry:
    """A session as a calendar has it.

    ``end`` is None while it lasts. ``consent`` is True only if the user agreed to a record; None
    is nothing said, which is no consent. ``booked`` is False where no reservation was found that
    could tell what the session was for; ``booked_from`` and ``booked_until`` say when it was meant
    to be, where that is not when it was.
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
    booked: bool = True
    booked_from: datetime | None = None
    booked_until: datetime | None = None
    tier: BookingTier = "calendar"
    reservation: str = ""
    url: str = ""
    cancelled: bool = False

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
class Withdrawn:
    """A session that was stated, and that the calendar has no more."""

    id: str

    def session(self, calendar: str) -> str:
        """Token of the session."""
        return session_token(calendar, self.id)


@dataclass(frozen=True, slots=True)
class Window:
    """What a harvest asks for; a calendar that gives all it has at once need not heed it.

    Parameters
    ----------
    since
        By pid: all sessions of the instrument that ended before are stated.
    everywhere
        The same for all instruments, also those that had no session yet.
    expected
        Ids of the sessions that are stated and in the window: those that are gone are withdrawn.
    """

    since: Mapping[str, datetime] = field(default_factory=dict)
    everywhere: datetime | None = None
    expected: frozenset[str] = frozenset()


EVERYTHING: Final = Window()

Entries: TypeAlias = list[CalendarEntry | EntryProblem | Withdrawn]


class Calendar(Protocol):
    """A calendar. ``name`` becomes part of the names of its sessions."""

    name: str

    def entries(self, window: Window = EVERYTHING) -> Coroutine[Any, Any, Entries]:
        """Return the sessions it has, in the order they began, the unusable ones as problems.

        Parameters
        ----------
        window
            What is asked for; more does no harm.

        Raises
        ------
        CalendarUnavailableError
            If it cannot be read at all now; the message names it and the remedy.
        """
        ...

    async def changed(self) -> None:
        """Return when it may have changed; a calendar that cannot tell never returns."""
        ...
