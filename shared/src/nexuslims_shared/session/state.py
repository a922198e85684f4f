"""The state of a session, folded from its events.

``evolve`` is pure and total. It also commutes: every part of the state is a set, or a register in
which the statement with the highest sequence wins. So the same events give the same state in any
order and however often they are delivered, and a reader may fold what it gets as it comes.

One event costs the same in a session of five files and of fifty thousand. The one exception is a
request to read all files again, which looks at each of them, and leads to an event for each anyway.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import singledispatch
from typing import Any, Final, Generic, TypeAlias, TypeVar

from immutables import Map

from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.events import (
    RECORD_INPUTS,
    ActivitiesCorrected,
    ConsentDeclined,
    CuratedDataset,
    Event,
    ExtractionFailed,
    FileIndexed,
    FileMissing,
    FilesAwaited,
    FilesNotFound,
    FileSuperseded,
    HandlingFailed,
    MetadataExtracted,
    RebuildRequested,
    RecordBuilt,
    RecordCurated,
    RecordLost,
    RecordRejected,
    RecordUploaded,
    RecordWithdrawn,
    ReservationMatched,
    ReservationMissing,
    RetryRequested,
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
from nexuslims_shared.session.replacing import replace

E = TypeVar("E", bound=Event)

Booking: TypeAlias = ReservationMatched | ConsentDeclined | ReservationMissing
Times: TypeAlias = SessionStarted | SessionEnded | SessionRevised
Schedule: TypeAlias = Times | SessionCancelled
Scan: TypeAlias = SessionIndexed | FilesNotFound | FilesAwaited
Built: TypeAlias = RecordBuilt | RecordRejected
Upload: TypeAlias = RecordUploaded | UploadFailed
Withdrawal: TypeAlias = RecordWithdrawn | WithdrawalFailed


@dataclass(frozen=True, slots=True)
class Register(Generic[E]):
    """A statement and where it is in the stream; a later one replaces it."""

    sequence: int
    event: E


@dataclass(frozen=True, slots=True)
class FileState:
    """What is known about one file."""

    indexed: Register[FileIndexed] | None = None
    superseded: Register[FileSuperseded] | None = None
    missing: Register[FileMissing] | None = None
    extracted: Register[MetadataExtracted] | None = None
    failed: Register[ExtractionFailed] | None = None

    @property
    def is_current(self) -> bool:
        """Whether it was indexed, and not taken away since."""
        return self.indexed is not None and not _is_later(self.superseded, self.indexed)

    @property
    def is_missing(self) -> bool:
        """Whether it belongs to the session, and was not where it was at the last look."""
        return self.is_current and _is_later(self.missing, self.indexed)

    @property
    def outcome(self) -> Register[MetadataExtracted] | Register[ExtractionFailed] | None:
        """The later of the last success and the last failure to read it."""
        if self.extracted is None:
            return self.failed
        if self.failed is None or self.failed.sequence < self.extracted.sequence:
            return self.extracted
        return self.failed

    @property
    def extractor(self) -> str:
        """Name of the extractor that read it last, or tried to; empty where none did."""
        by = self.outcome.event.extractor if self.outcome else None
        return by.name if by else ""

    def settled(self, since: int) -> bool:
        """Tell whether the file was read, or could not be, after a sequence."""
        outcome = self.outcome
        return self.indexed is not None and outcome is not None and outcome.sequence > since


@dataclass(frozen=True, slots=True)
class SessionState:
    """Everything the events say about a session."""

    session: str = ""
    imported: Register[SessionImported] | None = None
    started: Register[SessionStarted] | None = None
    schedule: Register[Schedule] | None = None
    times: Register[Times] | None = None
    """What was said last of when the session was, though it may have been cancelled since."""
    booking: Register[Booking] | None = None
    scan: Register[Scan] | None = None
    manifest: Register[SessionIndexed] | None = None
    files: Map[str, FileState] = field(default_factory=Map)
    indexed_count: int = 0
    """Files that were indexed and not taken away since."""
    settled_count: int = 0
    re_extract: Map[str, int] = field(default_factory=Map)
    """Sequence of the last request to read again, by the extractor it names, or ``""``."""
    correction: Register[ActivitiesCorrected] | None = None
    retry: Register[RetryRequested] | None = None
    built: Register[Built] | None = None
    record: Register[RecordBuilt] | None = None
    uploads: Map[str, Register[Upload]] = field(default_factory=Map)
    held: Map[str, Register[RecordUploaded]] = field(default_factory=Map)
    """What each destination took last, the current record or an earlier one."""
    withdrawals: Map[str, Register[Withdrawal]] = field(default_factory=Map)
    withdrawal: Register[WithdrawalRequested] | None = None
    lost: Map[str, Register[RecordLost]] = field(default_factory=Map)
    """When each destination was found not to hold the record that it took."""
    curations: Map[str, Register[RecordCurated]] = field(default_factory=Map)
    """What people have added to the record at each destination."""
    destination_subjects: Map[str, int] = field(default_factory=Map)
    """Sequence of the last event on each subject of a destination."""
    unhandled: Map[str, Register[HandlingFailed]] = field(default_factory=Map)
    """What each service could not handle last, or has handled since."""
    last_input: int = 0
    through: int = 0
    changed_at: datetime | None = None
    """When the event at ``through`` happened."""

    def curated_datasets(self) -> tuple[CuratedDataset, ...]:
        """Return what people added to datasets, at whichever destination; the later one counts."""
        registers = sorted(self.curations.values(), key=lambda register: register.sequence)
        found = {
            (one.location, one.name): one
            for register in registers
            for one in register.event.datasets
        }
        return tuple(found[key] for key in sorted(found))

    @property
    def superseded(self) -> frozenset[str]:
        """Files that the manifest of an earlier release took away; now each has an event."""
        return frozenset(self.manifest.event.superseded) if self.manifest else frozenset()

    def settled(self, file: FileState) -> bool:
        """Tell whether a file was read since it was last asked for, or could not be."""
        if not self.re_extract:
            return file.settled(0)
        requests = (self.re_extract.get(name, 0) for name in {"", file.extractor})
        return file.settled(max(requests))

    def current_files(self) -> dict[str, FileState]:
        """Return the files that belong to the session now, by token."""
        gone = self.superseded
        return {
            token: file
            for token, file in self.files.items()
            if file.is_current and token not in gone
        }


INITIAL = SessionState()
_UNKNOWN = FileState()
_INPUTS = frozenset(RECORD_INPUTS)
_FILE_REGISTERS: Final[Mapping[type[Event], str]] = {
    FileIndexed: "indexed",
    FileSuperseded: "superseded",
    FileMissing: "missing",
    MetadataExtracted: "extracted",
    ExtractionFailed: "failed",
}


def evolve(state: SessionState, recorded: Recorded) -> SessionState:
    """Take one event into the state of its session.

    Parameters
    ----------
    state
        State so far; :data:`INITIAL` for a session nothing is known of.
    recorded
        An event of that session, in any order, possibly seen before.
    """
    return fold((recorded,), state)


def fold(events: Iterable[Recorded], state: SessionState = INITIAL) -> SessionState:
    """Take many events into a state.

    Parameters
    ----------
    events
        Events of one session, in any order, possibly seen before.
    state
        State so far.
    """
    session, through, last_input = state.session, state.through, state.last_input
    at = state.changed_at
    of_files: list[Recorded] = []
    for recorded in events:
        event, sequence = recorded.event, recorded.sequence
        if type(event) in _FILE_REGISTERS:
            of_files.append(recorded)
        else:
            if of_files:
                state, of_files = _with_files(state, of_files), []
            state = _apply(event, state, sequence)
        session = event.session
        if sequence > through:
            through, at = sequence, recorded.envelope.time
        if type(event) in _INPUTS:
            last_input = max(last_input, sequence)
    if of_files:
        state = _with_files(state, of_files)
    return replace(state, session=session, through=through, changed_at=at, last_input=last_input)


def _later(current: Register[E] | None, sequence: int, event: E) -> Register[E]:
    """Return what a register holds after one more statement."""
    if current is not None and current.sequence >= sequence:
        return current
    return Register(sequence, event)


@singledispatch
def _apply(event: Event, state: SessionState, sequence: int) -> SessionState:
    """Events that change nothing but the position."""
    del event, sequence
    return state


@_apply.register
def _(event: SessionImported, state: SessionState, sequence: int) -> SessionState:
    return replace(state, imported=_later(state.imported, sequence, event))


@_apply.register
def _(event: SessionStarted, state: SessionState, sequence: int) -> SessionState:
    return replace(
        state,
        started=_later(state.started, sequence, event),
        schedule=_later(state.schedule, sequence, event),
        times=_later(state.times, sequence, event),
    )


@_apply.register(SessionEnded)
@_apply.register(SessionRevised)
def _(event: SessionEnded | SessionRevised, state: SessionState, sequence: int) -> SessionState:
    return replace(
        state,
        schedule=_later(state.schedule, sequence, event),
        times=_later(state.times, sequence, event),
    )


@_apply.register
def _(event: SessionCancelled, state: SessionState, sequence: int) -> SessionState:
    return replace(state, schedule=_later(state.schedule, sequence, event))


@_apply.register(ReservationMatched)
@_apply.register(ConsentDeclined)
@_apply.register(ReservationMissing)
def _(event: Booking, state: SessionState, sequence: int) -> SessionState:
    return replace(state, booking=_later(state.booking, sequence, event))


@_apply.register
def _(event: SessionIndexed, state: SessionState, sequence: int) -> SessionState:
    return replace(
        state,
        scan=_later(state.scan, sequence, event),
        manifest=_later(state.manifest, sequence, event),
    )


@_apply.register(FilesNotFound)
@_apply.register(FilesAwaited)
def _(event: Scan, state: SessionState, sequence: int) -> SessionState:
    return replace(state, scan=_later(state.scan, sequence, event))


@_apply.register
def _(event: RebuildRequested, state: SessionState, sequence: int) -> SessionState:
    if not event.re_extract:
        return state
    if state.re_extract.get(event.extractor, 0) >= sequence:
        return state
    state = replace(state, re_extract=state.re_extract.set(event.extractor, sequence))
    return replace(
        state, settled_count=sum(_counts_as_settled(state, file) for file in state.files.values())
    )


@_apply.register
def _(event: ActivitiesCorrected, state: SessionState, sequence: int) -> SessionState:
    return replace(state, correction=_later(state.correction, sequence, event))


@_apply.register
def _(event: RetryRequested, state: SessionState, sequence: int) -> SessionState:
    return replace(state, retry=_later(state.retry, sequence, event))


@_apply.register
def _(event: RecordBuilt, state: SessionState, sequence: int) -> SessionState:
    return replace(
        state,
        built=_later(state.built, sequence, event),
        record=_later(state.record, sequence, event),
    )


@_apply.register
def _(event: RecordRejected, state: SessionState, sequence: int) -> SessionState:
    return replace(state, built=_later(state.built, sequence, event))


@_apply.register
def _(event: RecordUploaded, state: SessionState, sequence: int) -> SessionState:
    name = event.destination
    return replace(
        state,
        uploads=state.uploads.set(name, _later(state.uploads.get(name), sequence, event)),
        held=state.held.set(name, _later(state.held.get(name), sequence, event)),
        destination_subjects=_with_subject(state, sequence, event),
    )


@_apply.register
def _(event: UploadFailed, state: SessionState, sequence: int) -> SessionState:
    latest = _later(state.uploads.get(event.destination), sequence, event)
    return replace(
        state,
        uploads=state.uploads.set(event.destination, latest),
        destination_subjects=_with_subject(state, sequence, event),
    )


@_apply.register
def _(event: RecordLost, state: SessionState, sequence: int) -> SessionState:
    latest = _later(state.lost.get(event.destination), sequence, event)
    return replace(
        state,
        lost=state.lost.set(event.destination, latest),
        destination_subjects=_with_subject(state, sequence, event),
    )


@_apply.register
def _(event: RecordCurated, state: SessionState, sequence: int) -> SessionState:
    latest = _later(state.curations.get(event.destination), sequence, event)
    return replace(
        state,
        curations=state.curations.set(event.destination, latest),
        destination_subjects=_with_subject(state, sequence, event),
    )


@_apply.register(RecordWithdrawn)
@_apply.register(WithdrawalFailed)
def _(event: Withdrawal, state: SessionState, sequence: int) -> SessionState:
    latest = _later(state.withdrawals.get(event.destination), sequence, event)
    return replace(
        state,
        withdrawals=state.withdrawals.set(event.destination, latest),
        destination_subjects=_with_subject(state, sequence, event),
    )


@_apply.register
def _(event: WithdrawalRequested, state: SessionState, sequence: int) -> SessionState:
    return replace(state, withdrawal=_later(state.withdrawal, sequence, event))


@_apply.register
def _(event: HandlingFailed, state: SessionState, sequence: int) -> SessionState:
    latest = _later(state.unhandled.get(event.service), sequence, event)
    return replace(state, unhandled=state.unhandled.set(event.service, latest))


def _with_subject(state: SessionState, sequence: int, event: Event) -> Map[str, int]:
    last = max(sequence, state.destination_subjects.get(event.subject, 0))
    return state.destination_subjects.set(event.subject, last)


def _with_files(state: SessionState, events: Iterable[Recorded]) -> SessionState:
    """Return a state in which the registers of files hold what they do after events about them."""
    indexed, settled = state.indexed_count, state.settled_count
    changed: dict[str, dict[str, Any]] = {}
    for recorded in events:
        event: Any = recorded.event
        registers = changed.setdefault(event.file, {})
        name = _FILE_REGISTERS[type(event)]
        known = registers.get(name) or getattr(state.files.get(event.file, _UNKNOWN), name)
        registers[name] = _later(known, recorded.sequence, event)
    files = state.files.mutate()
    for token, registers in changed.items():
        before = files.get(token, _UNKNOWN)
        files[token] = after = replace(before, **registers)
        indexed += after.is_current - before.is_current
        settled += _counts_as_settled(state, after) - _counts_as_settled(state, before)
    return replace(state, files=files.finish(), indexed_count=indexed, settled_count=settled)


def _counts_as_settled(state: SessionState, file: FileState) -> bool:
    return file.is_current and state.settled(file)


def _is_later(one: Register[Any] | None, other: Register[Any] | None) -> bool:
    """Whether a statement came after another one."""
    return one is not None and (other is None or one.sequence > other.sequence)
