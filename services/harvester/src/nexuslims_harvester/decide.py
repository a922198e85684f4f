"""What a calendar's entry means for a session: the events that are new."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

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
from nexuslims_shared.session.state import Booking, SessionState


def decide(
    entry: CalendarEntry,
    state: SessionState,
    *,
    calendar: str,
    people: Mapping[str, str],
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
        Ids of the people the entry names, by username.
    now
        An end that is still to come is none yet; a session still to come has not started.
    """
    session = entry.session(calendar)
    user = people.get(entry.user.username) if entry.user else None
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
        return withdraw(session, state)
    end = entry.end if entry.end is not None and entry.end <= now else None
    booking = _booking(entry, session, state, people)
    if booking is not None and (end is not None or isinstance(booking, ReservationMatched)):
        events.append(booking)  # whoever has not consented may still do so until the end
    schedule = _schedule(session, state, entry, user, end)
    if schedule is not None:
        events.append(schedule)
    return events


def withdraw(session: str, state: SessionState) -> list[Event]:
    """Say that a session is no more, if that was not said."""
    if state.schedule is None or isinstance(state.schedule.event, SessionCancelled):
        return []
    reason = "cancelled in the calendar"
    return [SessionCancelled(session=session, reason=reason, after=state.schedule.sequence)]


def _schedule(
    session: str,
    state: SessionState,
    entry: CalendarEntry,
    user: str | None,
    end: datetime | None,
) -> Event | None:
    """When the session was: its end, or that it was otherwise than stated."""
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
    entry: CalendarEntry, session: str, state: SessionState, people: Mapping[str, str]
) -> Booking | None:
    """What the session was for, and whether its user consents; None if that was said."""
    after = state.booking.sequence if state.booking else 0
    booking = _statement(entry, session, people, after)
    stated = state.booking.event if state.booking else None
    if stated is not None and stated.model_copy(update={"after": after}) == booking:
        return None
    return booking


def _statement(
    entry: CalendarEntry, session: str, people: Mapping[str, str], after: int
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
            answer=entry.answer,
            payload=payload,
            after=after,
        )
    return ReservationMatched(
        session=session,
        tier=entry.tier,
        reservation=entry.reservation,
        title=entry.title,
        purpose=entry.purpose,
        experimenter=people.get(entry.user.username) if entry.user else None,
        collaborators=tuple(people[one.username] for one in entry.collaborators),
        start=entry.booked_from or entry.start,
        end=entry.booked_until or entry.end,
        samples=entry.samples,
        projects=entry.projects,
        url=entry.url,
        payload=payload,
        after=after,
    )


def _payload(fields: Mapping[str, Any] | None) -> CalendarPayload | None:
    if fields is None:
        return None
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return CalendarPayload(sha256=digest([canonical]), fields=fields)
