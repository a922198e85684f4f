"""One session at a time: its record to where it is missing, or away from where it may not be.

What a destination says becomes an event; what is still to do is folded from those events, never
remembered.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

from nexuslims_contracts.envelope import Envelope, Recorded, envelop
from nexuslims_contracts.errors import UnreadableRecordError
from nexuslims_contracts.events import (
    RecordBuilt,
    RecordUploaded,
    RecordWithdrawn,
    UploadFailed,
    UploadPlan,
    WithdrawalFailed,
)
from nexuslims_contracts.record.model import Experiment
from nexuslims_contracts.record.reader import read_record
from nexuslims_shared.artifacts import read_artifact, resolve
from nexuslims_shared.consume import RetryLater
from nexuslims_shared.errors import ArtifactError, ConflictError, LeaseError, LeaseHeldError
from nexuslims_shared.leases import Leases, MemoryLeases
from nexuslims_shared.service import ServiceContext
from nexuslims_shared.session.status import exported, holding, standing_uploads, withdrawn
from nexuslims_shared.store.port import read_session
from nexuslims_uploader.decide import (
    SessionHistory,
    decide,
    decide_withdrawal,
    forget_uploads,
    withheld,
)
from nexuslims_uploader.destination import Destination, RecordToUpload, UploadResult
from nexuslims_uploader.errors import (
    PermanentUploadError,
    UploaderError,
)
from nexuslims_uploader.guarded_calls import Deferred, GuardedCalls

log = logging.getLogger(__name__)

SOURCE: Final = "nexuslims/uploader"
_OTHERS_WORK: Final = timedelta(seconds=2)

T = TypeVar("T")
DestinationEvent: TypeAlias = RecordUploaded | UploadFailed | RecordWithdrawn | WithdrawalFailed


@dataclass(slots=True)
class UploadAttempt:
    """What is known while one batch is handled."""

    cause: Envelope
    record: RecordToUpload | None = None
    waiting: dict[str, timedelta] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)
    empty: set[str] = field(default_factory=set)
    """Destinations that were found to hold nothing, and were not known to."""


class Uploader:
    """Takes records to destinations, and away from them.

    Parameters
    ----------
    around
        The store, and the settings.
    destinations
        In order of priority.
    calls
        How they are called; a new one if not given.
    leases
        Who is at work on which session; nobody else if not given.
    """

    def __init__(
        self,
        context: ServiceContext,
        destinations: tuple[Destination, ...],
        calls: GuardedCalls | None = None,
        leases: Leases | None = None,
    ) -> None:
        self._store = context.store
        self._settings = context.settings
        self._destinations = {destination.name: destination for destination in destinations}
        self._calls = calls or GuardedCalls(self._destinations)
        self._leases = leases or MemoryLeases()
        self._lines = {name: asyncio.Lock() for name in self._destinations}
        self._plan = UploadPlan(
            strategy=context.settings.export_strategy, destinations=tuple(self._destinations)
        )

    async def handle(self, batch: tuple[Recorded, ...]) -> None:
        """Do what is due for one session, until nothing is, or only where somebody is away.

        Two uploaders may have events of one session: one works, the other looks again later.
        """
        session = batch[-1].event.session
        try:
            async with self._leases.hold(session):
                await self._handle(session, UploadAttempt(batch[-1].envelope))
        except LeaseError as error:
            raise RetryLater(_OTHERS_WORK, str(error)) from error

    async def _handle(self, session: str, attempt: UploadAttempt) -> None:
        while await self._go_on(history := await self._history(session), attempt):
            pass
        if attempt.waiting:
            raise RetryLater(min(attempt.waiting.values()), f"{', '.join(attempt.waiting)} is away")
        await self._restate(history, attempt)

    async def _go_on(self, history: SessionHistory, attempt: UploadAttempt) -> bool:
        """Do the next thing; False if there is nothing."""
        tried = attempt.waiting.keys() | attempt.empty
        to_withdraw = decide_withdrawal(history.state, self._plan, tried)
        if to_withdraw:
            await self._withdraw(to_withdraw[0], history, attempt)
            return True
        due = decide(forget_uploads(history.state, attempt.unsure), self._plan, attempt.waiting)
        if due:
            await self._upload(due[0], history, attempt)
            return True
        return False

    async def _upload(self, name: str, history: SessionHistory, attempt: UploadAttempt) -> None:
        """Try one destination, and state what it said."""
        record = await self._record(history, attempt)
        destination = self._destinations[name]
        outcome = await self._call(
            destination, record, lambda: destination.upload(record, history.results())
        )
        if isinstance(outcome, Deferred):
            attempt.waiting[name] = outcome.delay
            if name in standing_uploads(history.state) or not outcome.lasting:
                return
        facts = self._facts(name, record, history)
        event: DestinationEvent
        match outcome:
            case UploadResult(record_id=record_id, url=url):
                event = RecordUploaded(**facts, record_id=record_id, url=url)
            case Deferred(reason=reason):
                event = UploadFailed(**facts, reason=reason, permanent=False)
            case PermanentUploadError(explanation=reason):
                event = UploadFailed(**facts, reason=reason, permanent=True)
        await self._state(event, record, history, attempt)

    async def _withdraw(self, name: str, history: SessionHistory, attempt: UploadAttempt) -> None:
        """Have one destination give the record back, and state what it said."""
        record = await asyncio.to_thread(self._read, history, _record_built(history), to_show=False)
        facts = self._facts(name, record, history)
        destination = self._destinations.get(name)
        if destination is None:
            reason = f"{name} is not in use any more: add it to NX_DESTINATIONS, then retry"
            gone = WithdrawalFailed(**facts, reason=reason, permanent=True)
            await self._state(gone, record, history, attempt)
            return
        outcome = await self._call(
            destination, record, lambda: destination.withdraw(record, history.results())
        )
        held = holding(history.state).get(name)
        event: DestinationEvent
        match outcome:
            case Deferred(delay=delay, reason=reason, lasting=lasting):
                attempt.waiting[name] = delay
                if not lasting or _said_so(history, name):
                    return
                event = WithdrawalFailed(**facts, reason=reason, permanent=False)
            case PermanentUploadError(explanation=reason):
                event = WithdrawalFailed(**facts, reason=reason, permanent=True)
            case None if held is None:
                attempt.empty.add(name)
                return
            case None:
                taken = held.event.record_id
                why = withdrawn(history.state)
                event = RecordWithdrawn(**facts, record_id=taken, reason=why)
        await self._state(event, record, history, attempt)

    async def _call(
        self, destination: Destination, record: RecordToUpload, work: Callable[[], Awaitable[T]]
    ) -> T | PermanentUploadError | Deferred:
        """Call a destination; where only one may, the others of this process wait in line."""
        name = destination.name
        if not destination.one_at_a_time:
            return await self._calls.call(name, record, work)
        async with self._lines[name]:
            try:
                async with self._leases.hold(f"destination.{name}"):
                    return await self._calls.call(name, record, work)
            except LeaseHeldError as error:
                return Deferred(_OTHERS_WORK, str(error), lasting=False)

    def _facts(self, name: str, record: RecordToUpload, history: SessionHistory) -> dict[str, Any]:
        """Return what all events about a record at a destination say."""
        former = (history.state.uploads.get(name), history.state.withdrawals.get(name))
        return {
            "session": record.session,
            "destination": name,
            "record_sha256": record.sha256,
            "plan": self._plan,
            "after": max(said.sequence if said else 0 for said in former),
        }

    async def _state(
        self,
        event: DestinationEvent,
        record: RecordToUpload,
        history: SessionHistory,
        attempt: UploadAttempt,
    ) -> None:
        """State what a destination said, unless somebody spoke of it since the story was read."""
        try:
            await self._append(event, history, attempt)
        except ConflictError:
            await self._recheck(event.destination, record, attempt)
        else:
            attempt.unsure.discard(event.destination)
            log.info("%s", _describe(event))

    async def _append(
        self, event: DestinationEvent, history: SessionHistory, attempt: UploadAttempt
    ) -> None:
        await self._store.append(
            envelop(event, source=SOURCE, cause=attempt.cause),
            expect=history.last_sequence(event.subject),
        )

    async def _recheck(self, name: str, record: RecordToUpload, attempt: UploadAttempt) -> None:
        """Another uploader was at the same destination: if its record is newer, ours may lie on it.

        Then the current one is brought once more, whatever was said of it.
        """
        history = await self._history(record.session)
        if _record_built(history).record.sha256 != record.sha256:
            attempt.unsure.add(name)
        log.info("another uploader spoke of %s meanwhile", name)

    async def _restate(self, history: SessionHistory, attempt: UploadAttempt) -> None:
        """Say once more where the record is, if by today's plan that means something else.

        So a session is done when the destination it waited for is taken out of the settings.
        """
        if withheld(history.state) or (
            exported(history.state) is exported(history.state, self._plan)
        ):
            return
        for name, upload in standing_uploads(history.state).items():
            if name in self._destinations and isinstance(upload.event, RecordUploaded):
                changed = {"plan": self._plan, "after": upload.sequence}
                event = upload.event.model_copy(update=changed)
                await self._append(event, history, attempt)
                return

    async def _history(self, session: str) -> SessionHistory:
        return SessionHistory.of(await read_session(self._store, session, files=False))

    async def _record(self, history: SessionHistory, attempt: UploadAttempt) -> RecordToUpload:
        built = _record_built(history)
        if attempt.record is None or attempt.record.sha256 != built.record.sha256:
            attempt.record = await asyncio.to_thread(self._read, history, built)
        return attempt.record

    def _read(
        self, history: SessionHistory, built: RecordBuilt, *, to_show: bool = True
    ) -> RecordToUpload:
        """Read a record; one that is only to be taken away need not be readable any more."""
        schedule = history.schedule()
        if schedule is None or schedule.end is None:
            raise UploaderError(f"session {built.session} was never over: it can have no record")
        try:
            xml = read_artifact(self._settings.records, built.record)
            experiment = read_record(xml)
        except (ArtifactError, UnreadableRecordError) as error:
            if to_show:
                raise
            log.warning("the record is taken away unread: %s", error)
            xml, experiment = b"", Experiment()
        zone = ZoneInfo(schedule.instrument.timezone)
        return RecordToUpload(
            session=built.session,
            xml=xml,
            sha256=built.record.sha256,
            artifact=resolve(self._settings.records, built.record.path),
            experiment=experiment,
            instrument=schedule.instrument,
            start=schedule.start.astimezone(zone),
            end=schedule.end.astimezone(zone),
        )


def _record_built(history: SessionHistory) -> RecordBuilt:
    if history.state.record is None:
        raise UploaderError(f"session {history.state.session} has no record")
    return history.state.record.event


def _said_so(history: SessionHistory, name: str) -> bool:
    """Tell whether it was stated already that a destination keeps what it should not."""
    said = history.state.withdrawals.get(name)
    held = holding(history.state).get(name)
    after = held.sequence if held else 0
    return said is not None and isinstance(said.event, WithdrawalFailed) and said.sequence > after


def _describe(event: DestinationEvent) -> str:
    match event:
        case RecordUploaded():
            return f"{event.destination} has the record as {event.record_id}"
        case RecordWithdrawn():
            return f"{event.destination} no longer has the record: {event.reason}"
        case UploadFailed():
            what = "refuses the record" if event.permanent else "is away, and will be tried again"
            return f"{event.destination} {what}: {event.reason}"
        case WithdrawalFailed():
            return f"{event.destination} still has the record: {event.reason}"
