"""Both event stores, under one suite; and what only the real broker can show."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import nats.js.errors
import pytest
from nats.aio.client import Client

from nexuslims_contracts.envelope import encode
from nexuslims_contracts.topology import EVENTS
from nexuslims_shared.broker import connect, missing, provision, stream_config
from nexuslims_shared.broker_address import running_broker
from nexuslims_shared.embedded import start_embedded
from nexuslims_shared.errors import BrokerUnavailableError, ConflictError, TopologyError
from nexuslims_shared.store.broker_errors import is_conflict, is_passing
from nexuslims_shared.store.jetstream import JetStreamEventStore
from nexuslims_shared.store.memory import MemoryEventStore
from nexuslims_shared.store.port import Unreadable, read_session
from nexuslims_shared.testing.event_store import EventStoreBehaviour, declined, retry


class TestMemory(EventStoreBehaviour):
    @pytest.fixture
    def store(self) -> MemoryEventStore:
        return MemoryEventStore()


@pytest.mark.broker
class TestJetStream(EventStoreBehaviour):
    @pytest.fixture
    async def store(self, client: Client) -> JetStreamEventStore:
        return JetStreamEventStore(client.jetstream())

    async def test_a_retry_outside_the_dedup_window_is_no_second_event(
        self, client: Client
    ) -> None:
        config = stream_config(EVENTS, 1)
        config.duplicate_window = 0.1
        await client.jetstream().update_stream(config)
        store = JetStreamEventStore(client.jetstream())
        first = await store.append(retry("s-1", "a"))
        await store.append(retry("s-1", "b"))
        info = await client.jetstream().stream_info(EVENTS.name)
        assert info.config.duplicate_window == pytest.approx(0.1)
        await _until_forgotten(client)
        again = await store.append(retry("s-1", "a"))
        assert again.duplicate
        assert again.sequence == first.sequence
        assert len(await read_session(store, "s-1")) == 2

    async def test_nothing_can_be_deleted_from_the_log(self, client: Client) -> None:
        js = client.jetstream()
        await JetStreamEventStore(js).append(retry("s-1", "a"))
        with pytest.raises(nats.js.errors.APIError):
            await js.delete_msg(EVENTS.name, 1)
        with pytest.raises(nats.js.errors.APIError):
            await js.purge_stream(EVENTS.name)

    async def test_a_damaged_message_is_listed_and_says_nothing(self, client: Client) -> None:
        js = client.jetstream()
        store = JetStreamEventStore(js)
        await store.append(retry("s-2", "a"))
        headers, _ = encode(retry("s-1", "a"))
        await js.publish("nexus.events.s-1.retry-requested", b"{]", headers=headers)
        items = [item async for item in store.read()]
        assert isinstance(items[1], Unreadable)
        assert "retry-requested" in items[1].subject
        assert await read_session(store, "s-1") == []
        assert not (await store.append(retry("s-1", "a"), expect=0)).duplicate
        assert len(await read_session(store, "s-1")) == 1
        assert len(await read_session(store, "s-2")) == 1

    async def test_a_missing_stream_is_named_with_the_remedy(self, tmp_path: Path) -> None:
        broker = start_embedded(tmp_path / "bare")
        client = await connect(broker.url, name="test")
        try:
            assert "stream NEXUS_EVENTS" in await missing(client.jetstream())
            with pytest.raises(TopologyError, match="nexuslims provision"):
                await JetStreamEventStore(client.jetstream()).last_sequence()
        finally:
            await client.close()
            broker.stop()


async def _until_forgotten(client: Client) -> None:
    """Wait until the server takes an id twice, which it does after the window."""
    probe = {"Nats-Msg-Id": "probe"}
    await client.jetstream().publish("nexus.events.probe.probe", b"", headers=probe)
    duplicate = True
    while duplicate:
        ack = await client.jetstream().publish("nexus.events.probe.probe", headers=probe)
        duplicate = bool(ack.duplicate)


async def _restarting(tmp_path: Path) -> AsyncIterator[tuple[Client, Callable[[], None]]]:
    broker = start_embedded(tmp_path)
    client = await connect(broker.url, name="test")
    await provision(client.jetstream())
    brokers = [broker]

    def restart() -> None:
        brokers[-1].process.kill()
        brokers[-1].process.wait()
        brokers.append(start_embedded(tmp_path, port=broker.port))

    yield client, restart
    await client.close()
    brokers[-1].stop()


@pytest.fixture
async def restarting(tmp_path: Path) -> AsyncIterator[tuple[Client, Callable[[], None]]]:
    async for pair in _restarting(tmp_path):
        yield pair


@pytest.mark.broker
async def test_appending_outlives_a_killed_broker(restarting) -> None:
    client, restart = restarting
    store = JetStreamEventStore(client.jetstream())
    await store.append(retry("s-1", "a"))
    restart()
    many = [retry("s-1", str(number)) for number in range(20)]
    await store.append_all(many)
    assert len(await read_session(store, "s-1")) == 21


@pytest.mark.broker
async def test_a_broker_that_stays_away_is_an_error_that_says_so(tmp_path: Path) -> None:
    broker = start_embedded(tmp_path)
    client = await connect(broker.url, name="test")
    await provision(client.jetstream())
    store = JetStreamEventStore(client.jetstream(timeout=0.2), patience=0.5)
    broker.stop()
    with pytest.raises(BrokerUnavailableError, match="check that it runs"):
        await store.append(retry("s-1", "a"))
    await client.close()
    assert running_broker(tmp_path) is None


@pytest.mark.parametrize(
    ("code", "conflict", "passing"),
    [
        (10071, True, False),
        (10164, True, False),
        (10158, False, True),
        (10163, False, True),
        (10059, False, False),
    ],
)
def test_the_servers_codes_have_one_meaning_each(code: int, conflict: bool, passing: bool) -> None:
    error = nats.js.errors.APIError(code=400, err_code=code, description="")
    assert is_conflict(error) is conflict
    assert is_passing(error) is passing


async def test_memory_reports_conflicts_like_the_broker() -> None:
    store = MemoryEventStore()
    await store.append(declined("s-1", "no"))
    with pytest.raises(ConflictError):
        await store.append(declined("s-1", "never"), expect=0)
