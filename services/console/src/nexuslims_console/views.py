"""What the read model holds: one row for each session, one for each event."""

from dataclasses import dataclass
from datetime import datetime
from functools import singledispatch
from textwrap import shorten
from typing import Final, NamedTuple

from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.events import (
    ActivitiesCorrected,
    CuratedDataset,
    Event,
    ExtractionFailed,
    FileIndexed,
    FilesAwaited,
    FilesNotFound,
    FileSuperseded,
    HandlingFailed,
    Instrument,
    MetadataExtracted,
    RebuildRequested,
    RecordBuilt,
    RecordCurated,
    RecordLost,
    RecordRejected,
    RecordUploaded,
    RecordWithdrawn,
    ReservationMatched,
    SessionCancelled,
    SessionEnded,
    SessionImported,
    SessionIndexed,
    SessionRevised,
    SessionStarted,
    UploadFailed,
    WithdrawalFailed,
    WithdrawalRequested,
)
from nexuslims_contracts.text import counted
from nexuslims_shared.session.state import SessionState
from nexuslims_shared.session.status import FINAL, WELL, Progress, holding, looks_until, progress

_TROUBLE: Final = FINAL - WELL
_MOST_CURATED: Final = 3
_LONGEST_TEXT: Final = 60
_CUT: Final = "…"


@dataclass(frozen=True, slots=True)
class UploadRow:
    """What the latest attempt at one destination came to."""

    destination: str
    uploaded: bool
    record_id: str = ""
    url: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as an operator sees it.

    ``built_at`` is the sequence of the latest RecordBuilt or RecordRejected, 0 before the first;
    ``through`` the last sequence that the row takes into account. Until ``looks_until`` late files
    are looked for often; None if that is not known yet. ``waits_for`` is the service whose work is
    due, if any is, and ``not_before`` when it becomes due; None for at once. ``due_at`` is when it
    became due, or will; None if no work is due.
    """

    session: str
    instrument_pid: str
    instrument: str
    start: datetime | None
    end: datetime | None
    title: str
    status: str
    phase: str
    reason: str
    files: int
    settled: int
    failures: int
    activities: int
    datasets: int
    record_path: str
    record_sha256: str
    uploads: tuple[UploadRow, ...]
    built_at: int
    through: int
    looks_until: datetime | None = None
    waits_for: str = ""
    not_before: datetime | None = None
    due_at: datetime | None = None


class EventRow(NamedTuple):
    """One event of a session's story, in the order of the table's columns.

    A tuple, as there is one for each event of the log: it is made in a third of the time.
    """

    sequence: int
    session: str
    type: str
    time: datetime
    source: str
    id: str
    causation: str
    summary: str


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """A stored message that this release cannot read."""

    sequence: int
    session: str
    subject: str
    reason: str


def session_row(state: SessionState) -> SessionRow:
    """Say how a session stands."""
    at = progress(state)
    instrument, start, end = _times(state)
    booking = state.booking.event if state.booking else None
    record = state.record.event if state.record else None
    files = max(state.indexed_count - len(state.superseded), 0)
    return SessionRow(
        session=state.session,
        instrument_pid=instrument.pid if instrument else "",
        instrument=instrument.name if instrument else "",
        start=start,
        end=end,
        title=booking.title if isinstance(booking, ReservationMatched) else _imported_title(state),
        status=at.status,
        phase=at.phase,
        reason=at.reason,
        files=files,
        settled=min(state.settled_count, files),
        failures=record.failures if record else 0,
        activities=record.activities if record else 0,
        datasets=record.datasets if record else 0,
        record_path=record.record.path if record else _imported_record(state),
        record_sha256=record.record.sha256 if record else "",
        uploads=_upload_rows(state),
        built_at=state.built.sequence if state.built else 0,
        through=state.through,
        looks_until=looks_until(state),
        waits_for=at.waits_for,
        not_before=at.not_before,
        due_at=_due_at(state, at),
    )


def is_troubled(row: SessionRow) -> bool:
    """Tell whether a session needs somebody's attention, or has files that could not be read."""
    return row.status in _TROUBLE or row.failures > 0


def search_text(row: SessionRow) -> str:
    """Return what a session is found by, in lower case."""
    return f"{row.session}\n{row.title}\n{row.instrument}".casefold()


def event_row(recorded: Recorded) -> EventRow:
    """One line of a session's story."""
    envelope, event = recorded.envelope, recorded.event
    return EventRow(
        recorded.sequence,
        event.session,
        event.name,
        envelope.time,
        envelope.source,
        envelope.id,
        envelope.causation,
        summary(event),
    )


def _due_at(state: SessionState, at: Progress) -> datetime | None:
    if not at.waits_for or state.changed_at is None:
        return None
    return max(state.changed_at, at.not_before or state.changed_at)


def _times(state: SessionState) -> tuple[Instrument | None, datetime | None, datetime | None]:
    event = state.schedule.event if state.schedule else None
    if isinstance(event, (SessionEnded, SessionRevised)):
        return event.instrument, event.start, event.end
    if state.started:
        return state.started.event.instrument, state.started.event.start, None
    before = state.imported.event if state.imported else None
    return (before.instrument, before.start, before.end) if before else (None, None, None)


def _imported_title(state: SessionState) -> str:
    return state.imported.event.title if state.imported else ""


def _imported_record(state: SessionState) -> str:
    record = state.imported.event.record if state.imported else None
    return record.path if record else ""


def _upload_rows(state: SessionState) -> tuple[UploadRow, ...]:
    held = holding(state)
    rows = []
    for name, upload in sorted(state.uploads.items()):
        withdrawal = state.withdrawals.get(name)
        if isinstance(upload.event, UploadFailed):
            rows.append(UploadRow(name, False, reason=upload.event.reason))
        elif name in held:
            rows.append(UploadRow(name, True, upload.event.record_id, upload.event.url))
        elif withdrawal is not None:
            rows.append(UploadRow(name, False, reason=f"withdrawn: {withdrawal.event.reason}"))
    return tuple(rows)


@singledispatch
def summary(event: Event) -> str:
    """What an event says, in a few words; a reason where it has one."""
    return str(getattr(event, "reason", ""))


@summary.register(SessionStarted)
@summary.register(SessionEnded)
@summary.register(SessionRevised)
def _(event: SessionStarted | SessionEnded | SessionRevised) -> str:
    end = None if isinstance(event, SessionStarted) else event.end
    until = f" to {end.isoformat()}" if end else ""
    return f"{event.instrument.name}, {event.start.isoformat()}{until}"


@summary.register
def _(event: SessionImported) -> str:
    return f"{event.status} by {event.system}: {event.instrument.name}, {event.start.isoformat()}"


@summary.register
def _(event: SessionCancelled) -> str:
    return event.reason


@summary.register
def _(event: ReservationMatched) -> str:
    return f"{event.title} ({event.tier})" if event.title else event.tier


@summary.register
def _(event: FileIndexed) -> str:
    return f"{event.path}, {event.size} bytes"


@summary.register
def _(event: FileSuperseded) -> str:
    return event.reason


@summary.register
def _(event: SessionIndexed) -> str:
    gone = f", {len(event.superseded)} superseded" if event.superseded else ""
    missing = f", {event.missing} missing" if event.missing else ""
    return "; ".join([f"{counted(event.count, 'file')}{gone}{missing}", *event.notes])


@summary.register
def _(event: FilesAwaited) -> str:
    return "; ".join([f"looks until {event.until.isoformat()}", *event.notes])


@summary.register
def _(event: FilesNotFound) -> str:
    return "; ".join([f"nothing in {event.searched or 'NX_INSTRUMENT_DATA_PATH'}", *event.notes])


@summary.register
def _(event: MetadataExtracted) -> str:
    partly = f", partly: {event.reason}" if event.outcome == "partial" else ""
    return f"{event.extractor.name} {event.extractor.version}{partly}"


@summary.register
def _(event: ExtractionFailed) -> str:
    return f"{event.failure}: {event.reason}"


@summary.register
def _(event: RecordBuilt) -> str:
    failures = f", {counted(event.failures, 'file')} unreadable" if event.failures else ""
    activities = counted(event.activities, "activity", "activities")
    return f"{activities}, {counted(event.datasets, 'dataset')}{failures}"


@summary.register
def _(event: RecordRejected) -> str:
    return event.reason


@summary.register
def _(event: RecordUploaded) -> str:
    return f"{event.destination}: {event.url or event.record_id}"


@summary.register
def _(event: RecordLost) -> str:
    return f"{event.destination}: it does not hold the record any more"


@summary.register
def _(event: RecordCurated) -> str:
    some = [f"{one.name}: {_added(one)}" for one in event.datasets[:_MOST_CURATED]]
    more = len(event.datasets) - len(some)
    what = "; ".join(some) + (f" and {more} more" if more else "") or "nothing any more"
    return f"{event.destination}: people added {what}"


def _added(dataset: CuratedDataset) -> str:
    marks = ["featured"] if dataset.featured else []
    rated = [f"rated {dataset.rating}"] if dataset.rating is not None else []
    texts = [f"“{shorten(text, _LONGEST_TEXT, placeholder=_CUT)}”" for text in dataset.descriptions]
    return ", ".join([*rated, *marks, *texts]) or "nothing any more"


@summary.register(UploadFailed)
@summary.register(RecordWithdrawn)
@summary.register(WithdrawalFailed)
def _(event: UploadFailed | RecordWithdrawn | WithdrawalFailed) -> str:
    return f"{event.destination}: {event.reason}"


@summary.register
def _(event: HandlingFailed) -> str:
    what = "handled since" if event.resolved else event.reason
    return f"{event.service}, event {event.sequence}: {what}"


@summary.register
def _(event: WithdrawalRequested) -> str:
    return event.reason if event.withdrawn else "records may be shown again"


@summary.register
def _(event: ActivitiesCorrected) -> str:
    return (
        f"{counted(len(event.splits), 'activity', 'activities')} split, {len(event.merges)} merged"
    )


@summary.register
def _(event: RebuildRequested) -> str:
    if not event.re_extract:
        return "from the events"
    return f"read the files of {event.extractor or 'every extractor'} again"
