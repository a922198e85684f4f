"""The sessions that were harvested, by their events, and which ones to ask a calendar for."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from nexuslims_contracts.events import (
    ConsentDeclined,
    ReservationMatched,
    ReservationMissing,
    SessionCancelled,
    SessionEnded,
    SessionImported,
    SessionRevised,
    SessionStarted,
)
from nexuslims_harvester.calendar import Window
from nexuslims_shared.session.follow import FollowedSessions
from nexuslims_shared.session.state import SessionState
from nexuslims_shared.session.status import ended, left_as_imported
from nexuslims_shared.store.port import EventStore

OWN_EVENTS: Final = (
    SessionImported,
    SessionStarted,
    SessionEnded,
    SessionRevised,
    SessionCancelled,
    ReservationMatched,
    ConsentDeclined,
    ReservationMissing,
)
LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""No file is older; and nothing can be subtracted from a start in the year 1."""

FORGOTTEN: Final = timedelta(days=30)
"""Nobody uses a microscope for so long: the session was left open."""

PART: Final = 4000
"""Sessions of one part of a sweep."""


class HarvestedSessions(FollowedSessions):
    """All sessions that the events know, of all calendars, by what calendars say of them.

    Parameters
    ----------
    store
        Where the events are.
    """

    def __init__(self, store: EventStore) -> None:
        super().__init__(store, OWN_EVENTS)

    def of(self, calendar: str) -> dict[str, SessionState]:
        """Return the sessions of one calendar."""
        return {
            session: state
            for session, state in self.states.items()
            if (first := state.started or state.imported) and first.event.calendar == calendar
        }


def window_after(states: Iterable[SessionState], now: datetime, overlap: timedelta) -> Window:
    """Return which time to ask a calendar for, so that nothing is missed after any absence.

    Entries are stated in the order of their starts. So the latest start that is known is where the
    last harvest ended, even one that broke off; sessions that were still on are looked at again,
    unless somebody forgot to end them: those are expected, but no reason to ask for everything
    since. A start still to come, stated while a clock was wrong, hides nothing.

    Parameters
    ----------
    states
        The sessions known of one calendar.
    now
        Sessions that begin later are not asked for.
    overlap
        How far behind the latest start edits are looked for.
    """
    held = [state for state in states if _stands(state) or left_as_imported(state)]
    if not held:
        return Window(None, now)
    latest = max(map(_start, held))
    still_on = [
        _start(one)
        for one in held
        if _stands(one) and ended(one) is None and _start(one) > latest - FORGOTTEN
    ]
    since = max(min([latest, now, *still_on]), LONG_AGO) - overlap
    return Window(since, now, expected_of(one for one in held if belongs(one, since)))


def sweep_windows(
    states: Iterable[SessionState], now: datetime, overlap: timedelta
) -> list[Window]:
    """Cut all the time since the first session into parts of so many sessions, the oldest first.

    Parameters
    ----------
    states
        The sessions known of one calendar.
    now
        Sessions that begin later are not asked for.
    overlap
        How far before the first session entries are looked for that came late.
    """
    known = sorted((state for state in states if state.started is not None), key=_start)
    parts = [known[first : first + PART] for first in range(0, len(known), PART)]
    begins = [max(_start(part[0]), LONG_AGO) for part in parts]
    begins[:1] = [begin - overlap for begin in begins[:1]]
    return [
        Window(
            since,
            until,
            expected_of(one for one in part if _stands(one) and ended(one) is not None),
            sweep=True,
            oldest=part is parts[0],
        )
        for part, since, until in zip(parts, begins, [*begins[1:], now], strict=True)
    ]


def expected_of(states: Iterable[SessionState]) -> dict[str, str]:
    """Return the calendar's identifiers of sessions, with the pids of their instruments."""
    return {
        state.started.event.calendar_event: state.schedule.event.instrument.pid
        for state in states
        if state.started is not None
        and state.schedule is not None
        and not isinstance(state.schedule.event, SessionCancelled)
    }


def belongs(state: SessionState, since: datetime | None) -> bool:
    """Tell whether a calendar that was asked since then should have listed a session.

    Parameters
    ----------
    state
        The session as the events have it.
    since
        Begin of the window that was asked for; None for everything.
    """
    over = ended(state)
    return _stands(state) and (
        over is None or over.end is None or since is None or over.end > since
    )


def _stands(state: SessionState) -> bool:
    """Tell whether the calendar last had the session."""
    return state.schedule is not None and not isinstance(state.schedule.event, SessionCancelled)


def _start(state: SessionState) -> datetime:
    """Return when a session began, by the last statement that says so."""
    for register in (state.schedule, state.started, state.imported):
        if register is not None and not isinstance(register.event, SessionCancelled):
            return register.event.start
    return LONG_AGO
