"""The indexer on the real broker: waits, restarts, two at once."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import pytest
from tenacity import AsyncRetrying, retry_if_result, stop_after_delay, wait_fixed

from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.events import FileIndexed, SessionIndexed
from nexuslims_contracts.topology import EVENTS, INDEXER
from nexuslims_indexer.app import indexing
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.bucket import MemoryBucket
from nexuslims_shared.consume import MessageProcessor, by_session
from nexuslims_shared.dead_letters import StreamDeadLetters
from nexuslims_shared.embedded import EmbeddedBroker, start_embedded
from nexuslims_shared.people import MemoryPeople
from nexuslims_shared.published_kinds import PublishedKinds
from nexuslims_shared.service import ServiceContext
from nexuslims_shared.session.state import SessionState, fold
from nexuslims_shared.store.jetstream import JetStreamEventStore
from nexuslims_shared.store.port import read_session


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    broker = start_embedded(tmp_path / "state")
    yield broker
    broker.stop()


class Shift:
    """One life of the service: a connection, an indexer, a message processor."""

    def __init__(self, broker: EmbeddedBroker, settings) -> None:
        self.broker, self.settings = broker, settings

    async def __aenter__(self) -> Self:
        self.client = await connect(self.broker.url, name="test", wait=False)
        js = self.client.jetstream()
        await provision(js)
        self.js, self.store, letters = js, JetStreamEventStore(js), StreamDeadLetters(js)
        context = ServiceContext(self.settings, self.store, MemoryPeople(), letters, js)
        self.indexing = indexing(context, PublishedKinds(MemoryBucket()))
        self.indexer = await self.indexing.__aenter__()
        self.processor = MessageProcessor(
            INDEXER.name, self.indexer.handle, letters, by_session, concurrency=100
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.processor.drain(5)
        await self.indexing.__aexit__(None, None, None)
        await self.client.close()

    async def work(self, count: int) -> None:
        """Take some messages and settle them."""
        subscription = await self.js.pull_subscribe_bind(INDEXER.name, stream=EVENTS.name)
        for _ in range(count):
            (message,) = await subscription.fetch(1, timeout=10)
            await self.processor.take(message)
        while self.processor.in_flight:
            await self.client.flush()

    async def unsettled(self) -> int:
        """How many messages wait, or are not acknowledged; the broker takes up acks a bit later."""
        retrying = AsyncRetrying(
            retry=retry_if_result(bool),
            wait=wait_fixed(0.05),
            stop=stop_after_delay(10),
            retry_error_callback=lambda state: state.outcome and state.outcome.result(),
        )
        count: int = await retrying(self._unsettled)
        return count

    async def _unsettled(self) -> int:
        info = await self.js.consumer_info(EVENTS.name, INDEXER.name)
        return (info.num_pending or 0) + (info.num_ack_pending or 0)


@pytest.mark.broker
async def test_the_wait_for_files_survives_a_restart(broker, settings, share, facts) -> None:
    end = datetime.now(UTC) - timedelta(hours=1)
    recent = type(facts)(start=end - timedelta(hours=1), end=end)
    async with Shift(broker, settings) as shift:
        for event in recent.over():
            await shift.store.append(envelop(event, source="test"))
        await shift.work(3)
        assert await shift.unsettled() == 0
        assert not (await stated(shift.store, recent)).files
    share.write("a.dm3", end - timedelta(minutes=5))
    async with Shift(broker, settings) as shift:
        await looked_through(shift.indexer)
        assert current(await stated(shift.store, recent)) == ["Titan/a.dm3"]


@pytest.mark.broker
async def test_two_indexers_at_once_state_each_file_once(broker, settings, share, facts) -> None:
    for number in range(300):
        share.write(f"{number}.dm3")
    async with Shift(broker, settings) as one, Shift(broker, settings) as two:
        for event in facts.over():
            await one.store.append(envelop(event, source="test"))
        history = await read_session(one.store, facts.session)
        await asyncio.gather(
            *(shift.processor.handler(tuple(history[-1:])) for shift in (one, two))
        )
        events = [item.event for item in await read_session(one.store, facts.session)]
    assert sum(isinstance(event, FileIndexed) for event in events) == 300
    assert sum(isinstance(event, SessionIndexed) for event in events) == 1


async def stated(store: JetStreamEventStore, facts) -> SessionState:
    return fold(await read_session(store, facts.session))


def current(state: SessionState) -> list[str]:
    return sorted(file.indexed.event.path for file in state.current_files().values())


async def looked_through(indexer) -> None:
    await asyncio.gather(*(one.once() for one in indexer.instruments.values()))
