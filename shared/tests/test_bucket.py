"""Buckets, and what is kept about calendars in one; in memory and in the broker."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import nats.js.errors
import pytest
from nats.aio.client import Client
from nats.js.api import KeyValueConfig

from nexuslims_contracts.topology import BUCKETS, CALENDARS, PEOPLE
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.bucket import BrokerBucket, Bucket, MemoryBucket
from nexuslims_shared.calendar_notes import CalendarNotes
from nexuslims_shared.embedded import EmbeddedBroker, start_embedded
from nexuslims_shared.testing.bucket import BucketBehaviour


class TestInMemory(BucketBehaviour):
    """For tests."""

    @pytest.fixture
    def bucket(self) -> Bucket:
        """Empty."""
        return MemoryBucket()


@pytest.mark.broker
class TestInTheBroker(BucketBehaviour):
    """On the real broker."""

    @pytest.fixture
    def bucket(self, client: Client) -> Bucket:
        """Empty."""
        return BrokerBucket(client.jetstream(), CALENDARS)


@pytest.fixture
def notes() -> CalendarNotes:
    return CalendarNotes(MemoryBucket())


async def test_a_sweep_is_remembered_for_each_calendar(notes: CalendarNotes) -> None:
    moment = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
    await notes.note_sweep("nemo-1", moment)
    assert await notes.swept("nemo-1") == moment
    assert await notes.swept("nemo-2") is None


async def test_what_waits_is_kept_with_its_reason(notes: CalendarNotes) -> None:
    await notes.hold("nemo-1", {"nemo-1-usage-1": "gone"})
    await notes.hold("file", {})
    assert await notes.held() == {"nemo-1": {"nemo-1-usage-1": "gone"}}
    await notes.hold("nemo-1", {})
    assert await notes.held() == {}


@pytest.mark.parametrize("value", [b"\xff", b"[[", b"[" * 100_000, b"7", b'{"a": 1}', b'["a", {}]'])
async def test_a_note_that_cannot_be_read_counts_as_none(value: bytes) -> None:
    bucket = MemoryBucket()
    notes = CalendarNotes(bucket)
    for kind in ("swept", "held", "approved"):
        await bucket.put(f"{kind}.nemo-1", value)
    assert await notes.swept("nemo-1") is None
    assert await notes.held() == {}
    assert await notes.approved("nemo-1") == frozenset()


async def test_an_approval_is_for_once(notes: CalendarNotes) -> None:
    await notes.approve("nemo-1", ["a", "b"])
    await notes.settle("nemo-1", ["b", "c"])
    assert await notes.approved("nemo-1") == {"a"}
    await notes.approve("nemo-1", ["b"])
    assert await notes.approved("nemo-1") == {"a", "b"}, "what comes again needs another word"
    await notes.settle("nemo-1", ["a"])
    assert await notes.approved("nemo-1") == {"b"}


async def test_what_earlier_releases_noted_counts() -> None:
    bucket = MemoryBucket()
    notes = CalendarNotes(bucket)
    await bucket.put("held.files/Titan", b'{"a": "moved", "b": "moved"}')
    await bucket.put("approved.files/Titan", b'["a"]')
    assert await notes.held() == {"files/Titan": {"a": "moved", "b": "moved"}}
    assert await notes.approved("files/Titan") == {"a"}
    await notes.settle("files/Titan", ["a"])
    assert await notes.approved("files/Titan") == frozenset()
    await notes.approve("files/Titan", ["b"])
    assert await notes.approved("files/Titan") == {"b"}
    await notes.hold("files/Titan", {})
    assert await notes.held() == {}


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[tuple[EmbeddedBroker, Callable[[bytes], list[str]]]]:
    """A broker of its own, and what looks for bytes in all of its files."""
    broker = start_embedded(tmp_path)

    def holding(text: bytes) -> list[str]:
        return [path.name for path in tmp_path.rglob("*") if path.is_file()
                and text in path.read_bytes()]  # fmt: skip

    yield broker, holding
    broker.stop()


@pytest.mark.broker
async def test_what_is_replaced_is_overwritten_on_the_disk(stored) -> None:
    broker, holding = stored
    client = await connect(broker.url, name="test")
    await provision(client.jetstream())
    bucket = BrokerBucket(client.jetstream(), PEOPLE)
    for number in range(3):
        await bucket.put("person-1", f"Xavier {number}".encode())
        await bucket.put(f"person-{number + 2}", b"somebody else")
    assert holding(b"Xavier 0") == holding(b"Xavier 1") == []
    assert holding(b"Xavier 2")
    await bucket.put("person-1", b"forgotten")
    assert holding(b"Xavier") == []
    assert await bucket.get("person-1") == b"forgotten"
    assert len(await bucket.keys()) == 4
    await client.close()


@pytest.mark.broker
async def test_a_bucket_of_an_earlier_release_is_moved_to_one_that_erases(stored) -> None:
    broker, holding = stored
    client = await connect(broker.url, name="test")
    jetstream = client.jetstream()
    former = await jetstream.create_key_value(KeyValueConfig(bucket=PEOPLE.name, history=1))
    await former.put("salt", b"secret")
    await former.put("person-1", b"Xavier 1")
    await former.put("person-1", b"Xavier 2")
    assert holding(b"Xavier 1"), "what was replaced lies in the file"
    for _ in range(2):
        await provision(jetstream)
        bucket = BrokerBucket(jetstream, PEOPLE)
        assert await bucket.keys() == ["person-1", "salt"]
        assert await bucket.get("person-1") == b"Xavier 2"
    assert holding(b"Xavier 1") == []
    await bucket.put("person-1", b"forgotten")
    assert holding(b"Xavier") == []
    await client.close()


@pytest.mark.broker
async def test_who_may_write_a_key_removes_no_other_one(stored) -> None:
    broker, _ = stored
    client = await connect(broker.url, name="test")
    jetstream = client.jetstream()
    former = await jetstream.create_key_value(KeyValueConfig(bucket=CALENDARS.name, history=1))
    await former.put("approved.nemo-1", b"{}")
    await provision(jetstream)
    for bucket in BUCKETS:
        subject = f"$KV.{bucket.name}.a"
        for extent in ("all", "sub"):
            with pytest.raises(nats.js.errors.ServerError, match="rollup not permitted"):
                await jetstream.publish(subject, b"", headers={"Nats-Rollup": extent})
    assert await BrokerBucket(jetstream, CALENDARS).keys() == ["approved.nemo-1"]
    await client.close()
