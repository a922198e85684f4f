"""The builder: when all files of a session have settled, its record is built.

Whatever concerns a session wakes the builder; it folds what is new and decides. Two builders may
decide at once: the record's subject takes one of them, the other reads it and has nothing to do.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final

from nexuslims_builder.assemble import assemble, file_name
from nexuslims_builder.decide import inputs_digest, is_due, people_of, record_input
from nexuslims_builder.inputs import RecordInput
from nexuslims_contracts.datasets import ArtifactRef
from nexuslims_contracts.envelope import Recorded, envelop
from nexuslims_contracts.events import Event, RecordBuilt, RecordRejected
from nexuslims_contracts.record.writer import write_record
from nexuslims_contracts.topology import BUILDER
from nexuslims_shared.artifacts import read_artifact, resolve, write_artifact
from nexuslims_shared.consume import Handler, by_session
from nexuslims_shared.errors import ConflictError
from nexuslims_shared.service import Mount, Service, ServiceContext
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.session.state import SessionState
from nexuslims_shared.settings import Settings

log = logging.getLogger(__name__)

SOURCE: Final = "nexuslims/builder"
_REMEMBERED: Final = 5_000
"""Files and sessions; some 20 KB each."""
_TOLD: Final = 20
"""Problems of a rejected record that its event names; an event has a size limit."""


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
    yield Builder(context).handle


class Builder:
    """Builds records."""

    def __init__(self, context: ServiceContext) -> None:
        self._around = context
        self._settings = context.settings
        self._version = version("nexuslims-builder")
        self._sessions = SessionRepository(context.store, datasets=True, capacity=_REMEMBERED)

    async def handle(self, batch: tuple[Recorded, ...]) -> None:
        """Take up what is new about one session, and build its record if it is due."""
        session = batch[0].event.session
        state = await self._sessions.open(session, through=max(item.sequence for item in batch))
        while is_due(state):
            outcome = await self._build(state)
            cause = batch[-1].envelope
            expected = state.record.sequence if state.record else 0
            try:
                stored = await self._around.store.append(
                    envelop(outcome, source=SOURCE, cause=cause),
                    expect=expected if isinstance(outcome, RecordBuilt) else None,
                )
            except ConflictError:
                log.info("another builder was faster")
                through = await self._around.store.last_sequence(outcome.subject)
            else:
                log.info("%s", _describe(outcome))
                await self._remove_former(state, outcome)
                through = stored.sequence
            state = await self._sessions.open(session, through=through)

    async def _build(self, state: SessionState) -> RecordBuilt | RecordRejected:
        record = record_input(state, await self._names(state), await self._long_extensions(state))
        return await asyncio.to_thread(self._write, record, state.last_input)

    def _write(self, record: RecordInput, through: int) -> RecordBuilt | RecordRejected:
        from nexuslims_builder.validation import validate  # noqa: PLC0415 - lxml

        settings = self._settings
        experiment = assemble(
            record,
            sensitivity=settings.clustering_sensitivity,
            method=settings.clustering_method,
        )
        xml = write_record(experiment)
        common = {
            "session": record.session,
            "inputs_through_seq": through,
            "inputs_digest": inputs_digest(record),
            "builder": self._version,
        }
        if problems := validate(xml):
            return RecordRejected(**common, problems=tuple(map(str, problems[:_TOLD])))
        return RecordBuilt(
            **common,
            record=write_artifact(settings.records, file_name(record), xml),
            title=record.title,
            activities=len(experiment.activities),
            datasets=sum(1 for _ in experiment.datasets()),
            failures=sum(1 for file in record.files if not file.datasets),
        )

    async def _names(self, state: SessionState) -> dict[str, str]:
        names: dict[str, str] = {}
        for person_id in sorted(people_of(state)):
            person = await self._around.people.find(person_id)
            if person is not None:
                names[person_id] = person.display
        return names

    async def _long_extensions(
        self, state: SessionState
    ) -> dict[str, tuple[Mapping[str, object], ...]]:
        """Extensions that were too long for an event are in the file's JSON artifacts."""
        return {
            token: tuple(
                [
                    await asyncio.to_thread(self._read_extensions, artifact)
                    for artifact in file.extracted.event.artifacts
                ]
            )
            for token, file in state.current_files().items()
            if file.extracted is not None and file.extracted.event.extensions_in_artifact
        }

    def _read_extensions(self, artifact: ArtifactRef) -> Mapping[str, object]:
        document = json.loads(read_artifact(self._settings.data_path, artifact))
        extensions: Mapping[str, object] = document["nx_meta"].get("extensions", {})
        return extensions

    async def _remove_former(self, state: SessionState, outcome: Event) -> None:
        """Leave one record of a session in the folder, also when its name changed."""
        if not isinstance(outcome, RecordBuilt) or state.record is None:
            return
        former = state.record.event.record.path
        if former != outcome.record.path:
            path = resolve(self._settings.records, former)
            await asyncio.to_thread(path.unlink, missing_ok=True)


def _describe(outcome: RecordBuilt | RecordRejected) -> str:
    if isinstance(outcome, RecordRejected):
        return f"record rejected: {outcome.reason}"
    return (
        f"record {outcome.record.path} built: {outcome.activities} activities,"
        f" {outcome.datasets} datasets, {outcome.failures} files unreadable"
    )
