"""The builder: when all files of a session have settled, its record is built.

Whatever concerns a session wakes the builder; it folds what is new and decides. Two builders may
decide at once: the record's subject takes one of them, the other reads it and has nothing to do.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Final

from nexuslims_builder.build import build
from nexuslims_builder.decide import Signals, is_due, people_of
from nexuslims_builder.signals import Signal, SignalReader
from nexuslims_contracts.datasets import ArtifactRef
from nexuslims_contracts.envelope import Envelope, Recorded, envelop
from nexuslims_contracts.events import (
    BookingTexts,
    Event,
    MetadataExtracted,
    RecordBuilt,
    RecordRejected,
    ReservationMatched,
)
from nexuslims_contracts.subjects import file_subject
from nexuslims_contracts.topology import BUILDER
from nexuslims_shared.artifacts import read_artifact, resolve
from nexuslims_shared.consume import Handler, RetryLater, by_session
from nexuslims_shared.errors import ConflictError
from nexuslims_shared.service import Mount, Service, ServiceContext
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.session.state import SessionState
from nexuslims_shared.session.status import withdrawn
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.port import Unreadable

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
        signals, names = await self._signals(state), await self._names(state)
        state = await asyncio.to_thread(self._with_long_texts, state)
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
        await self._remove_former(state, outcome)
        return stored.sequence

    async def _signals(self, state: SessionState) -> Signals:
        """Read what was read from the session's files.

        Raises
        ------
        RetryLater
            If a file was read once more since the state was folded.
        """
        current = {
            file.extracted.sequence: token
            for token, file in state.current_files().items()
            if file.extracted is not None
        }
        if not current:
            return {}
        signals: dict[str, tuple[Signal, ...]] = {}
        reader = SignalReader()
        async with aclosing(self._readings(state.session, current)) as readings:
            async for recorded in readings:
                event = recorded.event
                if recorded.sequence in current and isinstance(event, MetadataExtracted):
                    signals[event.file] = reader.read(event, await self._extensions(event))
        if len(signals) < len(current):
            raise RetryLater(timedelta(seconds=1), f"files of {state.session} are read again")
        return signals

    async def _readings(
        self, session: str, sequences: Collection[int]
    ) -> AsyncGenerator[Recorded, None]:
        """Give what was read from the files of a session, as far as it is the last word."""
        filters = (file_subject(session, "*", MetadataExtracted.kind()),)
        last = await self._store.read_last(filters, through=max(sequences))
        if last is not None:
            for item in last:
                yield _readable(item, session)
            return
        async for item in self._store.read(filters=filters, after=min(sequences) - 1):
            yield _readable(item, session)

    async def _extensions(self, event: MetadataExtracted) -> tuple[Mapping[str, object], ...]:
        """Read extensions that were too long for the event from the file's JSON artifacts."""
        if not event.extensions_in_artifact:
            return ()
        return tuple(
            [await asyncio.to_thread(self._read_extensions, one) for one in event.artifacts]
        )

    def _read_extensions(self, artifact: ArtifactRef) -> Mapping[str, object]:
        document = json.loads(read_artifact(self._settings.data_path, artifact))
        extensions: Mapping[str, object] = document["nx_meta"].get("extensions", {})
        return extensions

    def _with_long_texts(self, state: SessionState) -> SessionState:
        """Put texts that were too long for the booking's event back, from its artifact."""
        booking = state.booking.event if state.booking else None
        if state.booking is None or not isinstance(booking, ReservationMatched):
            return state
        if booking.complete is None:
            return state
        content = read_artifact(self._settings.data_path, booking.complete)
        texts = BookingTexts.model_validate_json(content)
        whole = booking.model_copy(update=dict(texts))
        return replace(state, booking=replace(state.booking, event=whole))

    async def _names(self, state: SessionState) -> dict[str, str]:
        names: dict[str, str] = {}
        for person_id in sorted(people_of(state)):
            person = await self._people.find(person_id)
            if person is not None:
                names[person_id] = person.display
        return names

    async def _remove_withdrawn(self, state: SessionState) -> None:
        """Leave no record of a session of which none may be shown; consent has it built again."""
        if state.record is not None and withdrawn(state):
            path = resolve(self._settings.records, state.record.event.record.path)
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def _remove_former(self, state: SessionState, outcome: Event) -> None:
        """Leave one record of a session in the folder, also when its name changed."""
        if not isinstance(outcome, RecordBuilt) or state.record is None:
            return
        former = state.record.event.record.path
        if former != outcome.record.path:
            path = resolve(self._settings.records, former)
            await asyncio.to_thread(path.unlink, missing_ok=True)


def _readable(item: Recorded | Unreadable, session: str) -> Recorded:
    if isinstance(item, Unreadable):
        raise item.error(session)
    return item


def _describe(outcome: RecordBuilt | RecordRejected) -> str:
    if isinstance(outcome, RecordRejected):
        return f"record rejected: {outcome.reason}"
    return (
        f"record {outcome.record.path} built: {outcome.activities} activities,"
        f" {outcome.datasets} datasets, {outcome.failures} files unreadable"
    )
