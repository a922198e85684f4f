"""Deciding, from the state of a session, whether a record is due and what goes into it."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from zoneinfo import ZoneInfo

from nexuslims_builder.errors import BuilderError
from nexuslims_builder.inputs import FileInput, RecordInput
from nexuslims_contracts.events import ReservationMatched, SessionEnded, SessionRevised
from nexuslims_contracts.identifiers import digest
from nexuslims_contracts.model import ContractModel
from nexuslims_shared.session.state import FileState, SessionState
from nexuslims_shared.session.status import ended, files_complete, is_stale

NANOSECONDS = 1_000_000_000


def is_due(state: SessionState) -> bool:
    """Tell whether a record is to be built now.

    The session is over, its user consents, all its files have settled, and something came after
    the last record, or there is none.
    """
    return (
        ended(state) is not None
        and state.booking is not None
        and isinstance(state.booking.event, ReservationMatched)
        and files_complete(state)
        and is_stale(state)
    )


def people_of(state: SessionState) -> frozenset[str]:
    """Ids of the people whose names the record needs."""
    booking = _booking(state)
    schedule = ended(state)
    experimenter = booking.experimenter or (schedule.user if schedule else None)
    return frozenset({*booking.collaborators, *([experimenter] if experimenter else [])})


def record_input(
    state: SessionState,
    names: Mapping[str, str],
    extensions: Mapping[str, tuple[Mapping[str, object], ...]] | None = None,
) -> RecordInput:
    """Gather what a record is made of.

    Parameters
    ----------
    state
        A session whose record is due.
    names
        Display names by person id; a person who is missing was forgotten and is left out.
    extensions
        By file token, the extensions of each dataset that were too long for the event.
    """
    booking, schedule = _booking(state), _schedule(state)
    started = state.started.event if state.started else None
    instrument = schedule.instrument
    zone = ZoneInfo(instrument.timezone)
    experimenter = booking.experimenter or schedule.user or ""
    return RecordInput(
        session=state.session,
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
        files=_files(state, extensions or {}),
    )


def inputs_digest(record: RecordInput) -> str:
    """SHA-256 over everything the record is made of."""
    return digest([json.dumps(asdict(record), default=_plain, sort_keys=True)])


def _plain(value: object) -> object:
    return value.model_dump(mode="json") if isinstance(value, ContractModel) else str(value)


def _files(
    state: SessionState, extensions: Mapping[str, tuple[Mapping[str, object], ...]]
) -> tuple[FileInput, ...]:
    files = [
        _file(file, extensions.get(token, ())) for token, file in state.current_files().items()
    ]
    return tuple(sorted(files, key=lambda file: (file.mtime, file.path)))


def _file(file: FileState, extensions: tuple[Mapping[str, object], ...]) -> FileInput:
    """What is known of one file; an earlier reading stands when a later one failed."""
    if file.indexed is None:
        raise BuilderError("a file that was never indexed cannot be in a record")
    indexed = file.indexed.event
    mtime = indexed.mtime_ns / NANOSECONDS
    if file.extracted is None:
        reason = file.failed.event.reason if file.failed else "the file was not read"
        return FileInput(path=indexed.path, mtime=mtime, failure=reason)
    extracted = file.extracted.event
    datasets = extracted.datasets
    if extensions:
        datasets = tuple(
            dataset.model_copy(update={"extensions": dict(more)})
            for dataset, more in zip(datasets, extensions, strict=True)
        )
    return FileInput(
        path=indexed.path,
        mtime=mtime,
        datasets=datasets,
        failure=extracted.reason if extracted.outcome == "partial" else None,
        extractor=extracted.extractor,
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
