"""A retry is waited for until each service that it may concern has handled it."""

from pathlib import Path

from tenacity import AsyncRetrying, retry_if_result, stop_after_delay, wait_fixed

from nexuslims_console.handled import has_handled, last_retry
from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.events import Event
from nexuslims_contracts.testing import SessionEvents
from nexuslims_contracts.topology import BUILDER, EVENTS, EXTRACTOR, INDEXER, UPLOADER, ConsumerSpec
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.context import ServiceContext
from nexuslims_shared.dead_letters import StreamDeadLetters
from nexuslims_shared.embedded import start_embedded
from nexuslims_shared.people import MemoryPeople
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.jetstream import JetStreamEventStore

_TAKEN_UP = AsyncRetrying(
    retry=retry_if_result(lambda handled: not handled),
    wait=wait_fixed(0.05),
    stop=stop_after_delay(30),
)
"""The broker takes acknowledgements up a moment after it answers them."""


async def test_a_retry_is_handled_when_the_last_of_the_services_has_it(tmp_path: Path) -> None:
    broker = start_embedded(tmp_path / "state")
    client = await connect(broker.url, name="test", wait=False)
    try:
        jetstream = client.jetstream()
        await provision(jetstream)
        store = JetStreamEventStore(jetstream)
        settings = Settings(instrument_data_path=tmp_path, data_path=tmp_path)
        context = ServiceContext(
            settings, store, MemoryPeople(), StreamDeadLetters(jetstream), jetstream
        )

        async def tell(event: Event) -> int:
            return (await store.append(envelop(event, source="nexuslims/test"))).sequence

        async def work(consumer: ConsumerSpec, count: int) -> None:
            subscription = await jetstream.pull_subscribe_bind(consumer.name, EVENTS.name)
            for message in await subscription.fetch(count, timeout=60):
                await message.ack_sync()

        facts = SessionEvents()
        await tell(facts.ended())
        assert await last_retry(context) == 0
        assert await has_handled(context, 0)

        sequence = await tell(facts.retry())
        await tell(facts.matched())  # what comes later is not waited for
        assert await last_retry(context) == sequence
        await work(EXTRACTOR, 1)
        await work(UPLOADER, 1)
        await work(BUILDER, 2)
        await work(INDEXER, 1)
        assert not await has_handled(context, sequence)
        await work(INDEXER, 1)
        assert await _TAKEN_UP(has_handled, context, sequence)
        assert (await jetstream.consumer_info(EVENTS.name, INDEXER.name)).num_pending
    finally:
        await client.close()
        broker.stop()
