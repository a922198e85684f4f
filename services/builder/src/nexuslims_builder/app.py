"""The builder: when all files of a session have settled, its record is built.

Whatever concerns a session wakes the builder; it folds what is new and decides. Two builders may
decide at once: the record's subject takes one of them, the other reads it and has nothing to do.
Then each of them makes sure that what the newest event says stands in the records folder: so a
builder that died, or stood still for an hour, leaves nothing behind that the next one does not see.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from nexuslims_builder.build import compose
from nexuslims_builder.collector import collect_rarely
from nexuslims_builder.decide import is_complete, is_due
from nexuslims_builder.readings import read_names, read_signals, with_long_texts
from nexuslims_builder.rebuild.automatic import keep_up_to_date
from nexuslims_builder.record_files import RecordFiles
from nexuslims_contracts.envelope import Envelope, Recorded, envelop
from nexuslims_contracts.errors import UndecodableError
from nexuslims_contracts.events import RecordBuilt, RecordRejected
from nexuslims_contracts.text import counted
from nexuslims_contracts.topology import BUILDER
from nexuslims_shared.consume import Handler, by_session
from nexuslims_shared.errors import ConflictError, DiskError, StoreError
from nexuslims_shared.service import Mount, Service, ServiceContext
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.session.state import SessionState
from nexuslims_shared.settings import Settings
from nexuslims_shared.tasks import end
from nexuslims_shared.telemetry import tracing
from nexuslims_shared.telemetry.metrics import BUILD

log = logging.getLogger(__name__)

SOURCE: Final = "nexuslims/builder"


def create(settings: Settings) -> Service:
    """Make the service."""
    return Service(
        name="builder",
        work=_work,
        consumer=BUILDER,
        key=by_session,
        concurrency=2,
        backlog=500,
        mounts=[Mount(settings.data_path, "NX_DATA_PATH", writable=True)],
    )


@asynccontextmanager
async def _work(context: ServiceContext) -> AsyncIterator[Handler]:
    collect_rarely()
    builder = Builder(context)
    try:
        await builder.finish_staged()
    except (StoreError, DiskError, UndecodableError) as error:
        log.warning("records that were staged are left for later: %s", error)
    async with asyncio.TaskGroup() as tasks:
        rebuilding = tasks.create_task(keep_up_to_date(context))
        yield builder.handle
        await end(rebuilding)


class Builder:
    """Builds records.

    Sessions are remembered without what was read from their files, which is most of them: it is
    read again for each record, one file at a time.
    """

    def __init__(self, context: ServiceContext) -> None:
        self._store, self._people = context.store, context.people
        self._settings = context.settings
        self._sessions = SessionRepository(context.store)
        self._files = RecordFiles(context.settings.records, context.store)

    async def handle(self, batch: tuple[Recorded, ...]) -> None:
        """Take up what is new about one session, and build its record if it is due."""
        session, cause = batch[0].event.session, batch[-1].envelope
        await self._bring_up_to_date(session, cause, max(one.sequence for one in batch))

    async def finish_staged(self) -> None:
        """Commit what builders staged that died before they could, and remove what they left."""
        for session in await asyncio.to_thread(self._files.staged_sessions):
            await self._settle(await self._sessions.open(session))
            await asyncio.to_thread(self._files.discard_abandoned, session)

    async def _bring_up_to_date(self, session: str, cause: Envelope, through: int) -> None:
        """Build what is due; then have the newest record, and no other, stand in the folder."""
        while True:
            state = await self._sessions.open(session, through=through)
            if is_due(state):
                through = await self._build(state, cause)
                continue
            stands = await self._settle(state)
            if stands is None:
                return
            # another builder may have stated something while this one stood still in between
            now = await self._sessions.open(session, through=through)
            if now.through == state.through and (stands or not await self._restore(state, cause)):
                return
            through = now.through

    async def _settle(self, state: SessionState) -> bool | None:
        """Have the record stand in the folder; None if the session never had one."""
        return None if state.record is None else await self._files.settle(state)

    async def _build(self, state: SessionState, cause: Envelope) -> int:
        """Build one record; return the sequence of the event that tells of it, or of another's."""
        outcome, xml = await self._compose(state)
        return await self._append(state, outcome, xml, cause)

    async def _restore(self, state: SessionState, cause: Envelope) -> bool:
        """Make a record again whose file is lost; False if that cannot be done now."""
        record = state.record
        if record is None or not is_complete(state):
            log.warning("the record of %s is lost; it is built when its files are read",
                        state.session)  # fmt: skip
            return False
        outcome, xml = await self._compose(state)
        if isinstance(outcome, RecordBuilt) and outcome.record == record.event.record:
            await self._files.stage(outcome, xml)
            log.warning("the file of record %s was lost, and is written again", outcome.record.path)
            return True
        if isinstance(outcome, RecordBuilt):
            kept = {"replaces": record.sequence, "upload": record.event.upload}
            outcome = outcome.model_copy(update=kept)
        await self._append(state, outcome, xml, cause)
        return isinstance(outcome, RecordBuilt)

    async def _compose(self, state: SessionState) -> tuple[RecordBuilt | RecordRejected, bytes]:
        names = await read_names(self._people, state)
        signals = await read_signals(self._store, state, self._settings, names)
        state = await with_long_texts(state, self._settings.data_path)
        with tracing.span("build record") as span, BUILD.timing() as ends:
            outcome, xml = await asyncio.to_thread(compose, state, names, signals, self._settings)
            result = "built" if isinstance(outcome, RecordBuilt) else "rejected"
            ends(result)
            span.set({tracing.OUTCOME: result})
        return outcome, xml

    async def _append(
        self,
        state: SessionState,
        outcome: RecordBuilt | RecordRejected,
        xml: bytes,
        cause: Envelope,
    ) -> int:
        """State an outcome, its file staged before; return its sequence, or that of another's."""
        envelope = envelop(outcome, source=SOURCE, cause=cause)
        if isinstance(outcome, RecordRejected):
            stored = await self._store.append(envelope)
        else:
            await self._files.stage(outcome, xml, after=state)
            expected = state.record.sequence if state.record else 0
            try:
                stored = await self._store.append(envelope, expect=expected)
            except ConflictError:
                log.info("another builder was faster")
                await self._files.discard(state.session)
                return await self._store.last_sequence(outcome.subject)
        log.info("%s", _describe(outcome))
        return stored.sequence


def _describe(outcome: RecordBuilt | RecordRejected) -> str:
    if isinstance(outcome, RecordRejected):
        return f"record rejected: {outcome.reason}"
    return (
        f"record {outcome.record.path} built:"
        f" {counted(outcome.activities, 'activity', 'activities')},"
        f" {counted(outcome.datasets, 'dataset')}, {counted(outcome.failures, 'file')} unreadable"
    )
