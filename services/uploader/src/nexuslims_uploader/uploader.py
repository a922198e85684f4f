"""Takes the record of one session to the destinations that lack it, or withdraws it.

What a destination answers becomes an event. What is still to do is decided from those events
(:mod:`nexuslims_uploader.decide`); nothing else is remembered from one handling to the next.
"""

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Final

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from nexuslims_contracts.envelope import Envelope, Recorded, envelop
from nexuslims_contracts.events import RecordCurated, RecordUploaded, UploadPlan
from nexuslims_shared.consume import RetryLater
from nexuslims_shared.errors import (
    ArtifactError,
    ConflictError,
    LeaseError,
    LeaseLostError,
    StoreError,
)
from nexuslims_shared.leases import Leases, MemoryLeases
from nexuslims_shared.service import ServiceContext
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.store.port import read_session
from nexuslims_uploader.curation import (
    additions_uploaded,
    brought_up_to_date,
    written_before,
)
from nexuslims_uploader.decide import Append, Upload, Wait, Withdraw, next_action
from nexuslims_uploader.destination import Destination, RecordToUpload
from nexuslims_uploader.destination_calls import (
    LONGEST_WAIT_FOR_OTHERS,
    LOOK_AGAIN_AFTER,
    RETRY_AFTER_OTHERS,
    DestinationCalls,
)
from nexuslims_uploader.errors import EditedError
from nexuslims_uploader.guarded_calls import Deferred, GuardedCalls
from nexuslims_uploader.observed_calls import observed
from nexuslims_uploader.outcomes import (
    DestinationEvent,
    UploadOutcome,
    WithdrawalOutcome,
    additions_events,
    after_conflict,
    describe,
    upload_events,
    withdrawal_events,
)
from nexuslims_uploader.record_reader import RecordReader
from nexuslims_uploader.record_state import RecordState

log = logging.getLogger(__name__)

SOURCE: Final = "nexuslims/uploader"
RECORD_AWAITED: Final = timedelta(seconds=10)
"""When to look again for a record that is not in its place."""
_REMEMBERED: Final = 1000
"""Sessions: far more than are at work at a time, in 12 MB."""


class Uploader:
    """Takes records to destinations, and withdraws them.

    Parameters
    ----------
    context
        The event store, and the settings.
    destinations
        In order of priority.
    calls
        The circuit breakers; new ones if not given.
    leases
        Which uploader is at work on which session; nobody else if not given.
    """

    def __init__(
        self,
        context: ServiceContext,
        destinations: tuple[Destination, ...],
        calls: GuardedCalls | None = None,
        leases: Leases | None = None,
    ) -> None:
        names = tuple(destination.name for destination in destinations)
        self._store = context.store
        self._sessions = SessionRepository(context.store, files=False, capacity=_REMEMBERED)
        self._records = context.settings.records
        self._leases = leases or MemoryLeases()
        self._calls = DestinationCalls(destinations, calls or GuardedCalls(names), self._leases)
        self._plan = UploadPlan(strategy=context.settings.export_strategy, destinations=names)

    async def handle(self, batch: tuple[Recorded, ...]) -> None:
        """Do what is due for one session.

        Two uploaders may have events of one session: one works, the other comes back later.

        Parameters
        ----------
        batch
            Events of one session, in order.

        Raises
        ------
        RetryLater
            If a destination does not answer, or another uploader is at work on the session.
        """
        cause, asked = batch[-1], set[str]()
        try:
            try:
                async with self._leases.hold(cause.event.session):
                    await self._handle(cause, asked)
            except LeaseLostError:
                await self._ask_again(cause, asked)
                raise
        except LeaseError as error:
            raise RetryLater(RETRY_AFTER_OTHERS, str(error)) from error

    async def read_back(self, session: str) -> None:
        """State what people added to a session's current record, wherever it is.

        Parameters
        ----------
        session
            Its token.

        Raises
        ------
        LeaseHeldError
            If an uploader is at work on the session.
        ArtifactError
            If the record's file is not there.
        UnreadableRecordError
            If it is no record.
        """
        async with self._leases.hold(session):
            for name in self._calls.read_back():
                state = await self._open(session, 0)
                if not state.may_upload or not isinstance(
                    (upload := state.uploads.get(name)) and upload.event, RecordUploaded
                ):
                    continue
                record = await RecordReader(self._records).to_upload(state)
                record = await self._with_additions(record, state, name)
                with observed("look", name) as ends:
                    outcome = await self._calls.additions(name, record, state.results())
                    ends(outcome)
                events = additions_events(outcome, state, self._plan, name)
                for event in await self._with_news(events, state):
                    await self._append_event(event, state, None)

    async def _ask_again(self, cause: Recorded, asked: Iterable[str]) -> None:
        """Ask destinations that may have got an older record than the one they are stated to have.

        Who was stopped in the middle of a call finishes it when it wakes up, though another
        uploader was at the same place meanwhile, and has stated so.

        Parameters
        ----------
        cause
            An event of the session.
        asked
            The destinations that were called under a lease that was lost.
        """
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type((LeaseError, StoreError, RetryLater)),
            wait=wait_fixed(LOOK_AGAIN_AFTER),
            stop=stop_after_delay(LONGEST_WAIT_FOR_OTHERS),
            reraise=True,
        ):
            with attempt:
                async with self._leases.hold(cause.event.session):
                    await self._restore(cause, asked)

    async def _restore(self, cause: Recorded, asked: Iterable[str]) -> None:
        """Bring the current record where an event says it is, or take it away where one says so."""
        reader = RecordReader(self._records)
        for name in asked:
            state = await self._open(cause.event.session, cause.sequence)
            upload = state.uploads.get(name)
            if state.withdrawn:
                action: Upload | Withdraw = Withdraw(name)
            elif state.may_upload and upload and isinstance(upload.event, RecordUploaded):
                action = Upload(name)
            else:
                continue  # what is due there is not stated yet, and will be done
            waiting: dict[str, timedelta | None] = {}
            events = await self._perform(action, state, reader, waiting)
            if delay := waiting.get(name):
                raise RetryLater(delay, f"{name} is away, and may have an older record")
            for event in events:
                if still := after_conflict(event, state):
                    await self._append_event(still, state, cause.envelope)

    async def _handle(self, cause: Recorded, asked: set[str]) -> None:
        """Do one action after the other, each decided from the events so far.

        Parameters
        ----------
        cause
            The event that is handled.
        asked
            Is given the names of the destinations that are called.
        """
        reader = RecordReader(self._records)
        waiting: dict[str, timedelta | None] = {}
        through = cause.sequence
        while True:
            state = await self._open(cause.event.session, through)
            events: tuple[DestinationEvent, ...]
            match next_action(state, self._plan, waiting):
                case None:
                    return
                case Wait(delay=delay, reason=reason):
                    raise RetryLater(delay, reason)
                case Append(event=event):
                    events = (event,)
                case action:
                    asked.add(action.destination)
                    events = await self._perform(action, state, reader, waiting)
            for event in await self._with_news(events, state):
                through = await self._append_event(event, state, cause.envelope)

    async def _with_news(
        self, events: tuple[DestinationEvent, ...], before: RecordState
    ) -> tuple[DestinationEvent, ...]:
        """Add to what people added at one place what was added elsewhere during the call."""
        if not any(isinstance(one, RecordCurated) for one in events):
            return events
        now = await self._sessions.open(before.session.session)
        some = (
            brought_up_to_date(one, before.session, now) if isinstance(one, RecordCurated) else one
            for one in events
        )
        return tuple(one for one in some if one is not None)

    async def _open(self, session: str, through: int) -> RecordState:
        return RecordState.of(await self._sessions.open(session, through=through))

    async def _perform(
        self,
        action: Upload | Withdraw,
        state: RecordState,
        reader: RecordReader,
        waiting: dict[str, timedelta | None],
    ) -> tuple[DestinationEvent, ...]:
        """Ask a destination; returns the events that state its answer, notes what none states."""
        name, plan, results = action.destination, self._plan, state.results()
        events: tuple[DestinationEvent, ...]
        outcome: UploadOutcome | WithdrawalOutcome
        if isinstance(action, Upload):
            record = await self._with_additions(await self._read(reader, state), state, name)
            record = replace(record, overwrite=state.may_overwrite(name))
            with observed("upload", name) as ends:
                uploaded = await self._calls.upload(name, record, results)
                if isinstance(uploaded, EditedError):
                    history = await read_session(self._store, record.session, files=False)
                    record = replace(record, former=written_before(history, name))
                    uploaded = await self._calls.upload(name, record, results)
                outcome = uploaded
                ends(outcome)
            events = upload_events(uploaded, state, plan, name)
        else:
            record = await self._with_additions(await reader.to_withdraw(state), state, name)
            with observed("withdraw", name) as ends:
                outcome = answer = await self._calls.withdraw(name, record, results)
                ends(outcome)
            events = withdrawal_events(answer, state, plan, name)
        if isinstance(outcome, Deferred):
            waiting[name] = outcome.delay
        elif not events:
            waiting[name] = None
        return events

    async def _with_additions(
        self, record: RecordToUpload, state: RecordState, name: str
    ) -> RecordToUpload:
        """Add what a destination has of people's additions, where some were made elsewhere."""
        if all(place == name for place in state.session.curations):
            return record
        history = await read_session(self._store, record.session, files=False)
        return replace(record, last_additions=additions_uploaded(history, name))

    async def _read(self, reader: RecordReader, state: RecordState) -> RecordToUpload:
        """Read the record; one that is not there now, or is another one, is no failure."""
        try:
            return await reader.to_upload(state)
        except ArtifactError as error:
            raise RetryLater(
                RECORD_AWAITED,
                f"{error}; if it is lost, `nexuslims retry {state.current.session}` has it made"
                " again",
            ) from error

    async def _append_event(
        self, event: DestinationEvent, state: RecordState, cause: Envelope | None
    ) -> int:
        """Append an event; if another uploader appended one first, what is still true after it.

        Returns the sequence from which on the session has to be known for the next decision.
        """
        envelope = envelop(event, source=SOURCE, cause=cause)
        try:
            appended = await self._store.append(envelope, expect=state.last_sequence(event))
        except ConflictError:
            log.info("another uploader was at %s meanwhile", event.destination)
            through = await self._store.last_sequence(event.subject)
            state = await self._open(event.session, through)
            still = after_conflict(event, state)
            return await self._append_event(still, state, cause) if still else through
        log.info("%s", describe(event))
        return appended.sequence
