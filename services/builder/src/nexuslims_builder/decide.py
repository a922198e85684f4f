"""Deciding, from the state of a session, whether a record is due and what goes into it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from nexuslims_builder.errors import BuilderError
from nexuslims_builder.inputs import FileInput, RecordInput
from nexuslims_builder.signals import Signal
from nexuslims_contracts.events import ReservationMatched, SessionEnded, SessionRevised
from nexuslims_contracts.identifiers import digest
from nexuslims_shared.session.state import FileState, Register, SessionState
from nexuslims_shared.session.status import ended, files_complete, is_stale, withdrawn

NANOSECONDS = 1_000_000_000

Signals: TypeAlias = Mapping[str, tuple[Signal, ...]]
"""The signals of a session's files, by file token."""


def is_due(state: SessionState) -> bool:
    """Tell whether a record is to be built now.

    The session is over, its user consents, nobody withdrew it, all its files have settled, and
    something came after the last record, or there is none.
    """
    return is_complete(state) and is_stale(state)


def is_complete(state: SessionState) -> bool:
    """Tell whether a record can be built: the session is over and booked, its files settled."""
    return (
        ended(state) is not None
        and state.booking is not None
        and isinstance(state.booking.event, ReservationMatched)
        and not withdrawn(state)
        and files_complete(state)
    )


def people_of(state: SessionState) -> frozenset[str]:
    """Ids of the people whose names the record needs."""
    booking = _booking(state)
    schedule = ended(state)
    experimenter = booking.experimenter or (schedule.user if schedule else None)
    operators = (
        operator
        for file in state.current_files().values()
        if file.extracted is not None
        for operator in file.extracted.event.operators
    )
    return frozenset(
        {*booking.collaborators, *([experimenter] if experimenter else []), *operators}
    )


def record_input(state: SessionState, names: Mapping[str, str], signals: Signals) -> RecordInput:
    """Gather what a record is made of.

    Parameters
    ----------
    state
        A session whose record is due; it need not hold what was read from the files.
    names
        Display names by person id; a person who is missing was forgotten and is left out.
    signals
        Of the files that were read.
    """
    booking, schedule = _booking(state), _schedule(state)
    started = state.started.event if state.started else None
    correction = state.correction.event if state.correction else None
    instrument = schedule.instrument
    zone = ZoneInfo(instrument.timezone)
    experimenter = booking.experimenter or schedule.user or ""
    return RecordInput(
        session=state.session,
        digest=inputs_digest(state, names),
        through=_last_fact(state),
        event_id=started.calendar_event if started else state.session,
        title=booking.title or f"{instrument.name}, {schedule.start.astimezone(zone):%Y-%m-%d}",
        url=booking.url or (started.url if started else ""),
        experimenters=tuple(filter(None, [names.get(experimenter, "")])),
        collaborators=tuple(filter(None, (names.get(one, "") for one in booking.collaborators))),
        instrument_pid=instrument.pid,
        instrument_name=instrument.name,
        timezone=instrument.timezone,
        session_start=_local(schedule.start, zone),
        start=_local(booking.start or schedule.start, zone),
        end=_local(booking.end or schedule.end or schedule.start, zone),
        motivation=booking.purpose,
        samples=booking.samples,
        projects=booking.projects,
        files=files_of(state, signals),
        splits=frozenset(correction.splits if correction else ()),
        merges=frozenset(correction.merges if correction else ()),
    )


def files_of(state: SessionState, signals: Signals) -> tuple[FileInput, ...]:
    """Gather the files of a session, in the order of time.

    Parameters
    ----------
    state, signals
        As for :func:`record_input`.
    """
    files = [
        _file(token, file, signals.get(token, ())) for token, file in state.current_files().items()
    ]
    return tuple(sorted(files, key=lambda file: (file.mtime, file.path)))


def inputs_digest(state: SessionState, names: Mapping[str, str]) -> str:
    """SHA-256 over everything a record is made of: the ids of the facts, and the names.

    An id stands for the content of its event, and a file token for path, size and time of a file.

    Parameters
    ----------
    state, names
        As for :func:`record_input`.
    """
    return digest(
        [
            *(fact.event.id if fact else "" for fact in _facts_of_session(state)),
            *(f"{token} {_reading(file)}" for token, file in sorted(state.current_files().items())),
            *(f"{person} {name}" for person, name in sorted(names.items())),
            *(one.model_dump_json() for one in state.curated_datasets()),
        ]
    )


def _last_fact(state: SessionState) -> int:
    """Return the sequence of the last event that a record holds something of.

    A request to build it again is none: the same facts give the same bytes.
    """
    files = [
        fact
        for file in state.current_files().values()
        for fact in (file.indexed, file.extracted or file.failed, file.missing)
    ]
    facts = [*_facts_of_session(state), *files]
    return max((fact.sequence for fact in facts if fact), default=0)


def _facts_of_session(state: SessionState) -> tuple[Register[Any] | None, ...]:
    return (state.started, state.schedule, state.booking, state.correction)


def _reading(file: FileState) -> str:
    """Id of what the record says of a file; an earlier reading stands when a later one failed."""
    fact = file.extracted or file.failed
    return f"{fact.event.id if fact else ''}{' away' if file.is_missing else ''}"


def _file(token: str, file: FileState, signals: tuple[Signal, ...]) -> FileInput:
    """Gather what is known of one file; an earlier reading stands when a later one failed."""
    if file.indexed is None:
        raise BuilderError("a file that was never indexed cannot be in a record")
    indexed = file.indexed.event
    mtime = indexed.mtime_ns / NANOSECONDS
    path, away = indexed.disk_path, file.is_missing
    if file.extracted is None:
        reason = file.failed.event.reason if file.failed else "the file was not read"
        return FileInput(token=token, path=path, mtime=mtime, failure=reason, away=away)
    extracted = file.extracted.event
    return FileInput(
        token=token,
        path=path,
        mtime=mtime,
        away=away,
        signals=signals,
        failure=extracted.reason if extracted.outcome == "partial" else None,
    )


def _booking(state: SessionState) -> ReservationMatched:
    event = state.booking.event if state.booking else None
    if not isinstance(event, ReservationMatched):
        raise BuilderError(f"session {state.session} has no consent: no record may be built")
    return event


def _schedule(state: SessionState) -> SessionEnded | SessionRevised:
    event = ended(state)
    if event is None:
        raise BuilderError(f"session {state.session} has not ended: no record can be built")
    return event


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone)
