"""One at a time, on the real broker; a dead holder does not hold for long."""

import asyncio

import nats.errors
import nats.js.errors
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.kv import KeyValue

from nexuslims_contracts.topology import LEASES
from nexuslims_shared import leases as module
from nexuslims_shared.broker import provision
from nexuslims_shared.errors import BrokerUnavailableError, LeaseLostError
from nexuslims_shared.leases import BucketLeases, Leases, MemoryLeases, ensure_held
from nexuslims_shared.testing.leases import LeasesBehaviour


@pytest.fixture
def jetstream(client: Client) -> JetStreamContext:
    return client.jetstream()


class TestInMemory(LeasesBehaviour):
    @pytest.fixture
    def ours(self) -> Leases:
        return MemoryLeases()

    @pytest.fixture
    def theirs(self, ours: Leases) -> Leases:
        return ours


@pytest.mark.broker
class TestInTheBucket(LeasesBehaviour):
    @pytest.fixture
    def ours(self, jetstream) -> Leases:
        return BucketLeases(jetstream)

    @pytest.fixture
    def theirs(self, jetstream) -> Leases:
        return BucketLeases(jetstream)


@pytest.mark.broker
async def test_keys_are_forgotten(jetstream) -> None:
    info = await jetstream.stream_info(f"KV_{LEASES.name}")
    assert info.config.max_age == LEASES.ttl.total_seconds()


async def _some(watcher, count: int):
    """Give a watcher's first entries; None, which says that it has caught up, is none."""
    while count:
        entry = await watcher.updates()
        if entry is not None:
            count -= 1
            yield entry


@pytest.mark.broker
async def test_a_lease_is_renewed_while_the_work_goes_on(jetstream) -> None:
    bucket = await jetstream.key_value(LEASES.name)
    async with BucketLeases(jetstream, renewal=0.01).hold("file-1"):
        watcher = await bucket.watch("file-1")
        revisions = {entry.revision async for entry in _some(watcher, 4)}
    assert len(revisions) == 4
    with pytest.raises(nats.js.errors.KeyNotFoundError):
        await bucket.get("file-1")


@pytest.mark.broker
async def test_a_lost_lease_ends_the_work_and_is_left_to_its_holder(jetstream) -> None:
    bucket = await jetstream.key_value(LEASES.name)

    async def work() -> None:
        async with BucketLeases(jetstream, renewal=0.01).hold("file-1"):
            await bucket.put("file-1", b"somebody else")
            await asyncio.Event().wait()

    with pytest.raises(LeaseLostError):
        await work()
    assert (await bucket.get("file-1")).value == b"somebody else"


@pytest.mark.broker
async def test_a_lease_that_cannot_be_renewed_ends_by_its_own_clock(jetstream, monkeypatch) -> None:
    """The broker may have forgotten it, and let others have it, while it does not answer us."""

    async def silent(*args: object, **named: object) -> int:
        raise nats.errors.TimeoutError

    monkeypatch.setattr(KeyValue, "update", silent)
    with pytest.raises(LeaseLostError, match="file-1"):
        async with BucketLeases(jetstream, renewal=0.01, lasts=0.1).hold("file-1"):
            await asyncio.Event().wait()


@pytest.mark.parametrize("jump", [(16.0, 0.0), (0.0, 16.0), (16.0, -1e9)])
async def test_who_was_stopped_for_too_long_does_not_go_on(monkeypatch, jump) -> None:
    """Stopped alone, with the machine, or while its clock was set back."""
    async with MemoryLeases(lasts=15).hold("file-1"), MemoryLeases().hold("file-2"):
        ensure_held()
        steady, day = module._clocks()
        monkeypatch.setattr(module, "_clocks", lambda: (steady + jump[0], day + jump[1]))
        with pytest.raises(LeaseLostError, match="file-1"):
            await asyncio.to_thread(ensure_held)
    ensure_held()


@pytest.mark.broker
async def test_where_the_bucket_is_lost_work_waits_for_it(jetstream) -> None:
    leases = BucketLeases(jetstream)
    await jetstream.delete_stream(f"KV_{LEASES.name}")
    with pytest.raises(BrokerUnavailableError, match=f"lacks bucket {LEASES.name}: run"):
        async with leases.hold("session"):
            pass
    await provision(jetstream)
    async with leases.hold("session"):
        ensure_held()
