"""Losses in bulk wait for an operator, because the calendar may have lost data.

Only losses that nobody asked for count: a session or a booking that the calendar has no more, and
sessions that are so much shorter, or elsewhere, that their records would lose most of their files.
What a user answered is obeyed at once, however many do so.
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
    SessionRevised,
)
from nexuslims_harvester.calendar import CalendarEntry, DeletedEntry
from nexuslims_shared.calendar_notes import in_bulk
from nexuslims_shared.session.state import SessionState
from nexuslims_shared.session.status import cancelled, ended

_MINUTE: Final = "%Y-%m-%d %H:%M"


@dataclass(frozen=True, slots=True)
class Brake:
    """Decides which losses wait.

    Parameters
    ----------
    at_most
        Losses that pass within a day.
    sessions
        How many sessions of the calendar are known.
    recent
        How many passed within the last day.
    approved
        Sessions of which an operator approved it.
    waiting
        Sessions that wait already: they go on waiting, however few are left.
    """

    at_most: int
    sessions: int
    recent: int
    approved: Collection[str]
    waiting: Collection[str]

    def held(self, losses: Mapping[str, str]) -> dict[str, str]:
        """Return which of the losses wait: session -> reason."""
        open_ones = {
            session: reason for session, reason in losses.items() if session not in self.approved
        }
        if in_bulk(self.recent + len(open_ones), self.sessions, self.at_most):
            return open_ones
        return {session: why for session, why in open_ones.items() if session in self.waiting}


def inferred_loss(
    entry: CalendarEntry | DeletedEntry, state: SessionState, events: Sequence[Event]
) -> str:
    """Return what events take from a record though nobody asked for that; empty if nothing.

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
            case SessionRevised() as revised if reason := _shrinks(state, revised):
                return reason
    return ""


def _shrinks(state: SessionState, revised: SessionRevised) -> str:
    """Say that most of the time in which a session's files were made is no longer its own."""
    before = ended(state)
    if before is None or before.end is None or revised.end is None:
        return ""
    was_at, is_at = before.instrument, revised.instrument
    if was_at.pid != is_at.pid and was_at.filestore != is_at.filestore:
        return f"it is moved from {was_at.pid} to {is_at.pid}"
    kept = min(before.end, revised.end) - max(before.start, revised.start)
    if kept * 2 >= before.end - before.start:
        return ""
    was, becomes = (
        f"{one.start:%Y-%m-%d %H:%M} - {one.end:%Y-%m-%d %H:%M %Z}" for one in (before, revised)
    )
    return f"its time shrinks or is moved: from {was} to {becomes}"
