"""Opening a session here that an earlier system dealt with."""

from nexuslims_contracts.events import (
    Event,
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
