"""Withdrawals in bulk wait for an operator, because the calendar may have lost data.

Only withdrawals that are inferred from something missing count: a session or a booking that the
calendar has no more. What a user answered is obeyed at once, however many do so.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nexuslims_contracts.events import (
    ConsentDeclined,
    Event,
    ReservationMatched,
    ReservationMissing,
    SessionCancelled,
)
from nexuslims_harvester.calendar import CalendarEntry, DeletedEntry
from nexuslims_shared.session.state import SessionState
from nexuslims_shared.session.status import cancelled

SHARE: Final = 0.25
"""Of a small calendar, so many at once are bulk too; one alone never is."""


@dataclass(frozen=True, slots=True)
class Brake:
    """Decides which withdrawals wait.

    Parameters
    ----------
    at_most
        Inferred withdrawals that pass within a day.
    sessions
        How many sessions of the calendar are known.
    recent
        How many were withdrawn within the last day.
    approved
        Sessions that an operator approved to withdraw.
    waiting
        Sessions that wait already: they go on waiting, however few are left.
    """

    at_most: int
    sessions: int
    recent: int
    approved: Collection[str]
    waiting: Collection[str]

    def held(self, withdrawals: Mapping[str, str]) -> dict[str, str]:
        """Return which of the inferred withdrawals wait: session -> reason."""
        open_ones = {
            session: reason
            for session, reason in withdrawals.items()
            if session not in self.approved
        }
        count = self.recent + len(open_ones)
        if count > self.at_most or (count > 1 and count > SHARE * self.sessions):
            return open_ones
        return {session: why for session, why in open_ones.items() if session in self.waiting}


def inferred_withdrawal(
    entry: CalendarEntry | DeletedEntry, state: SessionState, events: Sequence[Event]
) -> str:
    """Return why events withdraw a session that nobody withdrew expressly; empty if they do not.

    Parameters
    ----------
    entry
        What the calendar has.
    state
        The session before the events.
    events
        What is about to be stated.
    """
    consented = state.booking is not None and isinstance(state.booking.event, ReservationMatched)
    if not consented or cancelled(state) is not None:
        return ""
    for event in events:
        match event:
            case SessionCancelled(reason=reason) if isinstance(entry, DeletedEntry):
                return reason
            case ReservationMissing(reason=reason) | ConsentDeclined(reason=reason, answer=""):
                explicit = isinstance(entry, CalendarEntry) and entry.consent is False
                return "" if explicit else reason
    return ""
