"""Deciding which events an entry of a calendar leads to."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from nexuslims_contracts.calendars import CalendarPayload
from nexuslims_contracts.events import (
    ConsentDeclined,
    Event,
    ReservationMatched,
    ReservationMissing,
    SessionCancelled,
    SessionEnded,
    SessionRevised,
    SessionStarted,
)
from nexuslims_contracts.identifiers import digest
from nexuslims_harvester.calendar import CalendarEntry
from nexuslims_harvester.text import readable, readable_text
from nexuslims_shared.people import Person
from nexuslims_shared.session.state import Booking, SessionState
from nexuslims_shared.session.status import left_as_imported

_LONGEST_UNKNOWN: Final = timedelta(days=1)
"""How long a session may have lasted whose end is not known."""
_HAS_RECORD: Final = ("COMPLETED", "BUILT_NOT_EXPORTED")
"""Outcomes of an earlier system that the calendar does not reopen."""


def decide(
    entry: CalendarEntry,
    state: SessionState,
    *,
    calendar: str,
    people: Mapping[Person, str],
    now: datetime,
) -> list[Event]:
    """Compare an entry with what is known, and return what is new, in the order to state it.

    Parameters
    ----------
    entry
        The session as the calendar has it now.
    state
        The session as the events have it.
    calendar
        Name of the calendar.
    people
        Ids of the people the entry names.
    now
        An end that is still to come is none yet; a session still to come has not started.
    """
    if (before := left_as_imported(state)) and before.status in _HAS_RECORD:
        return []
    session = entry.session(calendar)
    user = people.get(entry.user) if entry.user else None
    instrument = entry.instrument.as_contract()
    events: list[Event] = []
    if state.started is None:
        if entry.cancelled or entry.start > now:
            return []
        events.append(
            SessionStarted(
                session=session,
                calendar=calendar,
                calendar_event=entry.id,
                instrument=instrument,
                user=user,
                start=entry.start,
                url=entry.url,
            )
        )
    if entry.cancelled:
        return withdraw(session, state, "cancelled in the calendar")
    end = entry.end if entry.end is not None and entry.end <= now else None
    booking = _booking(entry, session, state, people)
    undecided = state.booking is None and not isinstance(booking, ReservationMatched)
    if booking is not None and (end is not None or not undecided):
        events.append(booking)  # whoever has not consented yet may still do so until the end
    schedule = _schedule(session, state, entry, user, end)
    if schedule is not None:
        events.append(schedule)
    return events


def withdraw(session: str, state: SessionState, reason: str) -> list[Event]:
    """State that a session is no more, unless that is the last statement about it.

    Parameters
    ----------
    session
        Token of the session.
    state
        The session as the events have it.
    reason
        What became of it.
    """
    if state.schedule is None or isinstance(state.schedule.event, SessionCancelled):
        return []
    return [SessionCancelled(session=session, reason=reason, after=state.schedule.sequence)]


def is_another_session(
    entry: CalendarEntry, state: SessionState, people: Mapping[Person, str]
) -> bool:
    """Tell whether a calendar uses a session's identifier again for another session.

    A calendar that was restored from a backup gives numbers a second time. Then the user is
    another, and the two sessions have no time in common; a correction changes one of these.

    Parameters
    ----------
    entry
        The session as the calendar has it now.
    state
        The session as the events have it.
    people
        Ids of the people the entry names.
    """
    last = state.schedule.event if state.schedule else None
    if isinstance(last, SessionCancelled):
        last = state.started.event if state.started else None
    if last is None or isinstance(last, SessionCancelled) or entry.user is None:
        return False
    last_end = getattr(last, "end", None) or last.start + _LONGEST_UNKNOWN
    entry_end = entry.end or entry.start + _LONGEST_UNKNOWN
    apart = entry.start >= last_end or entry_end <= last.start
    return apart and last.user is not None and last.user != people[entry.user]


def _schedule(
    session: str,
    state: SessionState,
    entry: CalendarEntry,
    user: str | None,
    end: datetime | None,
) -> Event | None:
    """Return the event about time, place and user of a session; None if nothing changed."""
    instrument = entry.instrument.as_contract()
    stated = state.schedule.event if state.schedule else None
    first_statement = stated is None or isinstance(stated, SessionStarted)
    if isinstance(stated, SessionStarted):
        unchanged = (stated.instrument, stated.user, stated.start) == (
            instrument,
            user,
            entry.start,
        )
        if unchanged and end is None:
            return None
    elif isinstance(stated, SessionEnded | SessionRevised):
        same = (stated.instrument, stated.user, stated.start, stated.end)
        if same == (instrument, user, entry.start, end):
            return None
    if end is not None and first_statement:
        return SessionEnded(
            session=session, instrument=instrument, user=user, start=entry.start, end=end
        )
    if stated is None:
        return None
    return SessionRevised(
        session=session,
        instrument=instrument,
        user=user,
        start=entry.start,
        end=end,
        after=state.schedule.sequence if state.schedule else 0,
    )


def _booking(
    entry: CalendarEntry, session: str, state: SessionState, people: Mapping[Person, str]
) -> Booking | None:
    """Return the event about purpose and consent of a session; None if nothing changed."""
    after = state.booking.sequence if state.booking else 0
    booking = _statement(entry, session, people, after)
    stated = state.booking.event if state.booking else None
    if stated is not None and stated.model_copy(update={"after": after}) == booking:
        return None
    return booking


def _statement(
    entry: CalendarEntry, session: str, people: Mapping[Person, str], after: int
) -> Booking:
    payload = _payload(entry.payload)
    if not entry.booked:
        reason = "no reservation tells what the session was for"
        return ReservationMissing(session=session, reason=reason, payload=payload, after=after)
    if entry.consent is not True:
        verb = "declined" if entry.consent is False else "did not answer"
        return ConsentDeclined(
            session=session,
            tier=entry.tier,
            reason=f"the user {verb} the question for consent",
            answer=readable_text(entry.answer),
            payload=payload,
            after=after,
        )
    return ReservationMatched(
        session=session,
        tier=entry.tier,
        reservation=entry.reservation,
        title=readable_text(entry.title),
        purpose=readable_text(entry.purpose),
        experimenter=people.get(entry.user) if entry.user else None,
        collaborators=tuple(people[one] for one in entry.collaborators),
        start=entry.booked_from or entry.start,
        end=entry.booked_until or entry.end,
        samples=entry.samples,
        projects=entry.projects,
        url=entry.url,
        payload=payload,
        complete=entry.complete,
        after=after,
    )


def _payload(fields: Mapping[str, Any] | None) -> CalendarPayload | None:
    if fields is None:
        return None
    fields = readable(fields)
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return CalendarPayload(sha256=digest([canonical]), fields=fields)
