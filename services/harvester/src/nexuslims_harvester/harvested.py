"""What the events tell of the sessions of calendars, and so what is to be asked."""

import logging
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.events import (
    ConsentDeclined,
    ReservationMatched,
    ReservationMissing,
    SessionCancelled,
    SessionEnded,
    SessionRevised,
    SessionStarted,
)
from nexuslims_harvester.calendar import Window
from nexuslims_shared.session.state import INITIAL, SessionState, evolve
from nexuslims_shared.session.status import ended
from nexuslims_shared.store.port import EventStore

log = logging.getLogger(__name__)

OWN_EVENTS: Final = tuple(
    model.filter()
    for model in (
        SessionStarted,
        SessionEnded,
        SessionRevised,
        SessionCancelled,
        ReservationMatched,
        ConsentDeclined,
        ReservationMissing,
    )
)
LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Nobody used a microscope that writes files before; and the year 1 has no week before it."""

FORGOTTEN: Final = timedelta(days=30)
"""Nobody uses a microscope for so long: the session was left open."""


class HarvestedSessions:
    """The sessions that are stated, folded as the log grows."""

    def __init__(self) -> None:
        self.states: dict[str, SessionState] = {}
        self.unreadable: set[str] = set()
        self._position = 0

    async def catch_up(self, store: EventStore) -> None:
        """Fold what was stated since the last time, by this or another harvester."""
        async for item in store.read(filters=OWN_EVENTS, after=self._position):
            if isinstance(item, Recorded):
                session = item.event.session
                self.states[session] = evolve(self.states.get(session, INITIAL), item)
            else:
                session = item.subject.split(".")[2]
                self.unreadable.add(session)
                log.error(
                    "session %s is left alone: its event %d cannot be read: %s",
                    session,
                    item.sequence,
                    item.reason,
                )
            self._position = item.sequence

    def of(self, calendar: str) -> dict[str, SessionState]:
        """Return the sessions of one calendar."""
        return {
            session: state
            for session, state in self.states.items()
            if state.started is not None and state.started.event.calendar == calendar
        }


def window_after(states: Iterable[SessionState], now: datetime, overlap: timedelta) -> Window:
    """Return what to ask for, so that nothing is missed however long nobody asked.

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
    held = [
        (state, state.schedule.event.start)
        for state in states
        if state.schedule and not isinstance(state.schedule.event, SessionCancelled)
    ]
    if not held:
        return Window(None, now)
    latest = max(start for _, start in held)
    still_on = [
        start for state, start in held if ended(state) is None and start > latest - FORGOTTEN
    ]
    since = max(min([latest, now, *still_on]), LONG_AGO) - overlap
    return Window(since, now, frozenset(_expected((state for state, _ in held), since)))


def belongs(state: SessionState, since: datetime | None) -> bool:
    """Tell whether a calendar that was asked since then should have listed a session."""
    if state.schedule is None or isinstance(state.schedule.event, SessionCancelled):
        return False
    over = ended(state)
    return over is None or over.end is None or since is None or over.end > since


def _expected(states: Iterable[SessionState], since: datetime) -> Iterator[str]:
    for state in states:
        if state.started is not None and belongs(state, since):
            yield state.started.event.calendar_event
