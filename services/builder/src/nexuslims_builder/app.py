"""The builder: when all files of a session have settled, its record is built.

Whatever concerns a session wakes the builder; it folds what is new and decides. Two builders may
decide at once: the record's subject takes one of them, the other reads it and has nothing to do.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from nexuslims_builder.build import build, remove_former
from nexuslims_builder.collector import collect_rarely
from nexuslims_builder.decide import is_due
from nexuslims_builder.readings import read_names, read_signals, with_long_texts
from nexuslims_contracts.envelope import Envelope, Recorded, envelop
from nexuslims_contracts.events import RecordBuilt, RecordRejected
from nexuslims_contracts.topology import BUILDER
from nexuslims_shared.artifacts import resolve
from nexuslims_shared.consume import Handler, by_session
from nexuslims_shared.errors import ConflictError
from nexuslims_shared.service import Mount, Service, ServiceContext
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.session.state import SessionState
from nexuslims_shared.session.status import withdrawn
from nexuslims_shared.settings import Settings

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
    yield Builder(context).handle


class Builder:
    """Builds records.

    Sessions are remembered without what was read from their files, which is most of them: it is
    read again for each record, one file at a time.
    """

    def __init__(self, context: ServiceContext) -> None:
        self._store, self._people = context.store, context.people
        self._settings = context.settings
        self._sessions = SessionRepository(context.store)

    async def handle(self, batch: tuple[Recorded, ...]) -> None:
        """Take up what is new about one session, and build its record if it is due."""
        session, cause = batch[0].event.session, batch[-1].envelope
        through = max(recorded.sequence for recorded in batch)
        while is_due(state := await self._sessions.open(session, through=through)):
            through = await self._build(state, cause)
        await self._remove_withdrawn(state)

    async def _build(self, state: SessionState, cause: Envelope) -> int:
        """Build one record; return the sequence of the event that tells of it, or of another's."""
        signals = await read_signals(self._store, state, self._settings.data_path)
        names = await read_names(self._people, state)
        state = await asyncio.to_thread(with_long_texts, state, self._settings.data_path)
        outcome = await asyncio.to_thread(build, state, names, signals, self._settings)
        expected = state.record.sequence if state.record else 0
        try:
            stored = await self._store.append(
                envelop(outcome, source=SOURCE, cause=cause),
                expect=expected if isinstance(outcome, RecordBuilt) else None,
            )
        except ConflictError:
            log.info("another builder was faster")
            return await self._store.last_sequence(outcome.subject)
        log.info("%s", _describe(outcome))
        await asyncio.to_thread(remove_former, state, outcome, self._settings)
        return stored.sequence

    async def _remove_withdrawn(self, state: SessionState) -> None:
        """Leave no record of a session of which none may be shown; consent has it built again."""
        if state.record is not None and withdrawn(state):
            path = resolve(self._settings.records, state.record.event.record.path)
            await asyncio.to_thread(path.unlink, missing_ok=True)


def _describe(outcome: RecordBuilt | RecordRejected) -> str:
    if isinstance(outcome, RecordRejected):
        return f"record rejected: {outcome.reason}"
    return (
        f"record {outcome.record.path} built: {outcome.activities} activities,"
        f" {outcome.datasets} datasets, {outcome.failures} files unreadable"
    )
