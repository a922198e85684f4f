"""Takes the record of one session to the destinations that lack it, or withdraws it.

What a destination answers becomes an event. What is still to do is decided from those events
(:mod:`nexuslims_uploader.decide`); nothing else is remembered from one handling to the next.
"""

import logging
from datetime import timedelta
from typing import Final

from nexuslims_contracts.envelope import Envelope, Recorded, envelop
from nexuslims_contracts.events import UploadPlan
from nexuslims_shared.consume import RetryLater
from nexuslims_shared.errors import ConflictError, LeaseError
from nexuslims_shared.leases import Leases, MemoryLeases
from nexuslims_shared.service import ServiceContext
from nexuslims_shared.store.port import read_session
from nexuslims_uploader.decide import Append, Upload, Wait, Withdraw, next_action
from nexuslims_uploader.destination import Destination
from nexuslims_uploader.destination_calls import RETRY_AFTER_OTHERS, DestinationCalls
from nexuslims_uploader.guarded_calls import Deferred, GuardedCalls
from nexuslims_uploader.history import SessionHistory
from nexuslims_uploader.outcomes import (
    DestinationEvent,
    UploadOutcome,
    WithdrawalOutcome,
    after_conflict,
    describe,
    upload_event,
    withdrawal_event,
)
from nexuslims_uploader.record_reader import RecordReader

log = logging.getLogger(__name__)

SOURCE: Final = "nexuslims/uploader"


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
        session = batch[-1].event.session
        try:
            async with self._leases.hold(session):
                await self._handle(session, batch[-1].envelope)
        except LeaseError as error:
            raise RetryLater(RETRY_AFTER_OTHERS, str(error)) from error

    async def _handle(self, session: str, cause: Envelope) -> None:
        """Do one action after the other, each decided from the events so far."""
        reader = RecordReader(self._records)
        waiting: dict[str, timedelta | None] = {}
        while True:
            history = await self._history(session)
            event: DestinationEvent | None
            match next_action(history.state, self._plan, waiting):
                case None:
                    return
                case Wait(delay=delay, reason=reason):
                    raise RetryLater(delay, reason)
                case Append(event=event):
                    pass
                case action:
                    event = await self._perform(action, history, reader, waiting)
            await self._append_event(event, history, cause)

    async def _perform(
        self,
        action: Upload | Withdraw,
        history: SessionHistory,
        reader: RecordReader,
        waiting: dict[str, timedelta | None],
    ) -> DestinationEvent | None:
        """Ask a destination; returns the event that states its answer, notes what none states."""
        name, state, plan = action.destination, history.state, self._plan
        event: DestinationEvent | None
        outcome: UploadOutcome | WithdrawalOutcome
        if isinstance(action, Upload):
            record = await reader.to_upload(history)
            outcome = uploaded = await self._calls.upload(name, record, state.results())
            event = upload_event(uploaded, state, plan, name)
        else:
            record = await reader.to_withdraw(history)
            outcome = answer = await self._calls.withdraw(name, record, state.results())
            event = withdrawal_event(answer, state, plan, name)
        if isinstance(outcome, Deferred):
            waiting[name] = outcome.delay
        elif event is None:
            waiting[name] = None
        return event

    async def _append_event(
        self, event: DestinationEvent | None, history: SessionHistory, cause: Envelope
    ) -> None:
        """Append an event; if another uploader appended one first, what is still true after it."""
        while event is not None:
            envelope = envelop(event, source=SOURCE, cause=cause)
            try:
                await self._store.append(envelope, expect=history.last_sequence(event.subject))
            except ConflictError:
                log.info("another uploader was at %s meanwhile", event.destination)
                history = await self._history(event.session)
                event = after_conflict(event, history.state)
            else:
                log.info("%s", describe(event))
                return

    async def _history(self, session: str) -> SessionHistory:
        return SessionHistory.of(await read_session(self._store, session, files=False))
