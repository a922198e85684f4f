"""Sessions that come from an earlier system: as it left them, and opened here."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from nexuslims_contracts.event import UploadPlan
from nexuslims_contracts.events import (
    Event,
    RecordUploaded,
    ReservationMatched,
    SessionEnded,
    SessionImported,
    SessionStarted,
)


def reopening(imported: SessionImported) -> list[Event]:
    """Return the events after which a session is found, read and built like any other.

    Parameters
    ----------
    imported
        What the earlier system made of it. That a record was made is the user's consent; the
        calendar's next word counts more.
    """
    common = {
        "session": imported.session,
        "instrument": imported.instrument,
        "user": imported.user,
        "start": imported.start,
    }
    return [
        SessionStarted(
            calendar=imported.calendar,
            calendar_event=imported.calendar_event,
            url=imported.url,
            **common,
        ),
        ReservationMatched(
            session=imported.session,
            tier="calendar",
            title=imported.title,
            purpose=imported.purpose,
            experimenter=imported.user,
            start=imported.start,
            end=imported.end,
            samples=imported.samples,
            projects=imported.projects,
            url=imported.url,
            after=0,
        ),
        SessionEnded(end=imported.end, **common),
    ]


def waiting(*, end: datetime | None, **facts: Any) -> list[Event]:
    """Return the events of a session that the earlier system had not dealt with yet.

    Parameters
    ----------
    end
        When it ended; None if it did not.
    facts
        The other fields of :class:`~nexuslims_contracts.events.SessionStarted`.
    """
    started = SessionStarted(**facts)
    if end is None:
        return [started]
    common = started.model_dump(include={"session", "instrument", "user", "start"})
    return [started, SessionEnded(end=end, **common)]


def held(session: str, record_sha256: str, places: Iterable[tuple[str, str, str]]) -> list[Event]:
    """Return the events after which destinations are known to hold a session's record.

    Parameters
    ----------
    session
        Token of the session.
    record_sha256
        Of the record; empty if it was not found.
    places
        Name of each destination, identifier and address of the record there.
    """
    places = list(places)
    plan = UploadPlan(strategy="all", destinations=tuple(name for name, _, _ in places))
    return [
        RecordUploaded(
            session=session,
            destination=name,
            record_sha256=record_sha256,
            plan=plan,
            record_id=record_id,
            url=url,
            after=0,
        )
        for name, record_id, url in places
    ]
