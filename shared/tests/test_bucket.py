"""Buckets, and what is kept about calendars in one; in memory and in the broker."""

from datetime import UTC, datetime

import pytest
from nats.aio.client import Client

from nexuslims_contracts.topology import CALENDARS
from nexuslims_shared.bucket import BrokerBucket, Bucket, MemoryBucket
from nexuslims_shared.calendar_notes import CalendarNotes
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


async def test_an_approval_is_for_once(notes: CalendarNotes) -> None:
    await notes.approve("nemo-1", ["a", "b"])
    await notes.settle("nemo-1", ["b", "c"])
    assert await notes.approved("nemo-1") == {"a"}
