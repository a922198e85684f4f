"""One at a time, on the real broker; a dead holder does not hold for long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import nats.js.errors
import pytest

from nexuslims_contracts.topology import LEASES
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.embedded import start_embedded
from nexuslims_shared.errors import LeaseHeldError, LeaseLostError
from nexuslims_shared.leases import BucketLeases, Leases, MemoryLeases


@pytest.fixture
async def jetstream(tmp_path: Path) -> AsyncIterator[object]:
    broker = start_embedded(tmp_path)
    client = await connect(broker.url, name="test")
    await provision(client.jetstream())
    yield client.jetstream()
    await client.close()
    broker.stop()


@pytest.fixture(params=["memory", pytest.param("bucket", marks=pytest.mark.broker)])
def pair(request) -> tuple[Leases, Leases]:
    """Leases as two processes see them."""
    if request.param == "memory":
        one = MemoryLeases()
        return one, one
    jetstream = request.getfixturevalue("jetstream")
    return BucketLeases(jetstream), BucketLeases(jetstream)


async def test_one_at_a_time(pair) -> None:
    ours, theirs = pair
    for _ in range(3):
        async with ours.hold("file-1"), theirs.hold("file-2"):
            with pytest.raises(LeaseHeldError, match="file-1"):
                async with theirs.hold("file-1"):
                    raise AssertionError
        async with theirs.hold("file-1"):
            pass


async def test_given_back_after_an_error(pair) -> None:
    ours, theirs = pair
    with suppress(ZeroDivisionError):
        async with ours.hold("file-1"):
            raise ZeroDivisionError
    async with theirs.hold("file-1"):
        pass


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
async def test_work_that_is_cancelled_is_cancelled(jetstream) -> None:
    begun = asyncio.Event()

    async def work() -> None:
        async with BucketLeases(jetstream).hold("file-1"):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with BucketLeases(jetstream).hold("file-1"):
        pass
