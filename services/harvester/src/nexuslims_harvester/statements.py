"""All events that an entry leads to, made and checked before the first of them is stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from nexuslims_contracts.datasets import ArtifactRef
from nexuslims_contracts.envelope import Envelope, encode, envelop
from nexuslims_contracts.errors import UndecodableError
from nexuslims_contracts.events import Event, ReservationMatched
from nexuslims_harvester.brake import inferred_loss
from nexuslims_harvester.calendar import CalendarEntry, DeletedEntry
from nexuslims_harvester.decide import decide, is_another_session, withdraw
from nexuslims_harvester.errors import UnusableEntryError
from nexuslims_harvester.long_texts import fitting
from nexuslims_shared.people import Person
from nexuslims_shared.session.state import SessionState

SOURCE: Final = "nexuslims/harvester"


@dataclass(frozen=True, slots=True)
class Statement:
    """The new events of one session.

    Parameters
    ----------
    session
        Token of the session.
    envelopes
        Its events, in the order to store them; none, if there is no news.
    loss
        What they take from its record though nobody asked for that; empty if nothing.
    artifact
        What its events refer to, new or not, and the content.
    outdated
        An artifact of earlier events that must not be there any more.
    """

    session: str
    envelopes: tuple[Envelope, ...] = ()
    loss: str = ""
    artifact: tuple[ArtifactRef, bytes] | None = None
    outdated: ArtifactRef | None = None


def make_statement(
    entry: CalendarEntry | DeletedEntry,
    state: SessionState,
    people: Mapping[Person, str],
    *,
    calendar: str,
    now: datetime,
) -> Statement:
    """Compare an entry with what is known of its session.

    Parameters
    ----------
    entry
        As the calendar has it now.
    state
        The session as the events have it.
    people
        Ids of the people the entry names.
    calendar
        Name of the calendar.
    now
        What is still to come is not stated yet.

    Raises
    ------
    UnusableEntryError
        If no event can be made of it, or the calendar uses the identifier for another session.
    """
    session = entry.session(calendar)
    if isinstance(entry, CalendarEntry) and is_another_session(entry, state, people):
        raise UnusableEntryError(
            f"the calendar uses the number of session {session} again, for somebody else at another"
            " time: that session stays as it is; enter the new one under a new number"
        )
    artifact, events = None, list[Event]()
    try:
        if isinstance(entry, DeletedEntry):
            events = withdraw(session, state, entry.reason)
        else:
            fit, content = fitting(entry, session)
            events = decide(fit, state, calendar=calendar, people=people, now=now)
            if fit.complete and entry.consent is True and not entry.cancelled:
                artifact = (fit.complete, content)
        envelopes = tuple(envelop(event, source=SOURCE) for event in events)
        for envelope in envelopes:
            encode(envelope)
    except (ValueError, UndecodableError) as error:  # pydantic's errors are the former
        raise UnusableEntryError(
            f"no event can be made of it: {_first_line(error)}: correct the entry"
        ) from error
    booked = state.booking.event if state.booking else None
    former = booked.complete if isinstance(booked, ReservationMatched) else None
    return Statement(
        session,
        envelopes,
        inferred_loss(entry, state, events),
        artifact,
        former if artifact is None else None,
    )


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)
