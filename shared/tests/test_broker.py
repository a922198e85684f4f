"""What is refused is said at once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.aio.client import Client

from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.events import RetryRequested
from nexuslims_contracts.topology import BUILDER, CONSUMERS, EVENTS, LEASES, PEOPLE
from nexuslims_shared.accounts.access import Access
from nexuslims_shared.accounts.keys import read_seed
from nexuslims_shared.accounts.rights import OBSERVER
from nexuslims_shared.broker import connect, consumers_without_service, provision
from nexuslims_shared.embedded import start_embedded
from nexuslims_shared.errors import MissingRightError
from nexuslims_shared.presence import at_work, services_at_work
from nexuslims_shared.store.acks import AckInbox
from nexuslims_shared.store.direct import DirectReader
from nexuslims_shared.store.jetstream import JetStreamEventStore


@pytest.fixture
async def observer(tmp_path: Path) -> AsyncIterator[Client]:
    """A connection of a user who may only read, and no names of people."""
    broker = start_embedded(tmp_path)
    operator = await connect(broker.url, name="operator")
    await provision(operator.jetstream())
    await operator.close()
    seed = read_seed(broker.credentials, OBSERVER)
    client = await connect(Access.of(broker.address, seed=seed), name="observer")
    yield client
    await client.close()
    broker.stop()


@pytest.mark.broker
@pytest.mark.timeout(60)
async def test_a_request_that_is_refused_fails_at_once_and_names_the_right(
    observer: Client,
) -> None:
    jetstream = observer.jetstream(timeout=600)
    with pytest.raises(MissingRightError, match=r"STREAM.DELETE.NEXUS_EVENTS"):
        await jetstream.delete_stream(EVENTS.name)
    bucket = await jetstream.key_value(LEASES.name)
    with pytest.raises(MissingRightError, match=r"KV.NEXUS_LEASES.key"):
        await bucket.put("key", b"mine")
    with pytest.raises(MissingRightError, match=r"DIRECT.GET.KV_NEXUS_PEOPLE"):
        await DirectReader(observer, f"KV_{PEOPLE.name}", ">").after(0, "a.subject")  # type: ignore[arg-type]
    assert (await jetstream.account_info()).streams, "what may be asked is answered"


@pytest.mark.broker
@pytest.mark.timeout(60)
async def test_a_fact_that_may_not_be_stated_is_refused_at_once(observer: Client) -> None:
    store = JetStreamEventStore(observer.jetstream(timeout=600), patience=600)
    event = envelop(RetryRequested(session="s-1", request="mine"), source="test")
    with pytest.raises(MissingRightError, match=r"nexus.events.s-1.retry-requested"):
        await store.append(event)
    acks = AckInbox(observer)  # type: ignore[arg-type]
    answer = await acks.publish("nexus.events.s-1.retry-requested", b"", {})
    assert isinstance(await answer, MissingRightError)
    with pytest.raises(MissingRightError, match=r"nexus.events.s-1.retry-requested"):
        await store.append_all([event, event])


@pytest.mark.broker
@pytest.mark.timeout(60)
async def test_a_service_that_has_all_it_takes_is_at_work(tmp_path: Path) -> None:
    """As an extractor with a session of 50,000 files, which asks for no more for minutes."""
    broker = start_embedded(tmp_path)
    client = await connect(broker.url, name="test")
    jetstream = client.jetstream()
    await provision(jetstream)
    event = envelop(RetryRequested(session="s-1", request="mine"), source="test")
    await JetStreamEventStore(jetstream).append(event)
    everybody = sorted({one.service for one in CONSUMERS})
    subscription = await jetstream.pull_subscribe_bind(BUILDER.name, EVENTS.name)
    async with at_work(jetstream, "builder"), at_work(jetstream, "uploader"):
        while await services_at_work(jetstream) != ["builder", "uploader"]:
            pass  # their first notes are on their way
        assert await consumers_without_service(jetstream) == everybody, "they have nothing"
        await subscription.fetch(1)
        absent = await consumers_without_service(jetstream)
        assert absent == [one for one in everybody if one != "builder"]
    assert await consumers_without_service(jetstream) == everybody, "it ended with its work"
    await client.close()
    broker.stop()
