"""The uploader at work: events in, uploads and events out, whatever happens between."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nexuslims_contracts import subjects
from nexuslims_contracts.events import (
    RecordUploaded,
    RecordWithdrawn,
    UploadFailed,
)
from nexuslims_contracts.topology import UPLOADER
from nexuslims_shared.artifacts import stage_artifact
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.consume import MessageProcessor, RetryLater, by_session
from nexuslims_shared.embedded import start_embedded
from nexuslims_shared.people import MemoryPeople
from nexuslims_shared.service import ServiceContext, service_named
from nexuslims_shared.store.jetstream import JetStreamEventStore
from nexuslims_shared.store.memory import MemoryEventStore
from nexuslims_uploader.archive import ArchiveDestination
from nexuslims_uploader.guarded_calls import ATTEMPTS_BEFORE_FAILURE
from nexuslims_uploader.testing import Crash, FakeDestination, small_record_xml

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ONE, TWO = small_record_xml("One"), small_record_xml("Two")


async def test_a_record_goes_to_all_in_order_and_each_knows_the_former(harness) -> None:
    first, second = FakeDestination("first", 2), FakeDestination("second", 1)
    harness.use(first, second)
    await harness.begin()
    await harness.handle()
    assert [event.destination for event in await harness.upload_events()] == ["first", "second"]
    record, previous = second.calls[0]
    assert record.xml == ONE
    assert record.artifact.read_bytes() == ONE
    assert record.start.isoformat() == "2018-11-13T09:00:00-07:00"
    assert previous["first"].url == "https://first.example.org/file-1"
    assert await harness.exported() is True
    envelope = (await harness.history())[-1].envelope
    assert envelope.causation == (await harness.history())[2].envelope.id


async def test_what_is_done_is_not_done_again(harness) -> None:
    fake = FakeDestination()
    harness.use(fake)
    await harness.begin()
    for through in (2, 3, 4):
        await harness.build(ONE, through)
        await harness.handle()
    assert len(fake.calls) == 1
    assert len(await harness.upload_events()) == 1


async def test_a_record_that_comes_back_to_earlier_bytes_is_brought_again(harness) -> None:
    fake = FakeDestination()
    harness.use(fake)
    await harness.begin()
    for number, content in enumerate((ONE, TWO, ONE)):
        await harness.build(content, number + 3)
        await harness.handle()
    assert [call[0].xml for call in fake.calls] == [ONE, TWO, ONE]
    assert fake.calls[1][1]["fake"].record_id == "file-1"
    assert len(await harness.upload_events()) == 3
    assert await harness.exported() is True


async def test_the_newest_record_counts(harness) -> None:
    fake = FakeDestination()
    harness.use(fake)
    await harness.begin()
    await harness.build(TWO, 3)
    await harness.uploader.handle(tuple((await harness.history())[2:3]))
    assert [call[0].xml for call in fake.calls] == [TWO]


async def test_one_that_is_away_is_asked_again_ever_more_slowly(harness) -> None:
    outage, well = FakeDestination("away", 2, ["away"] * 7), FakeDestination("well", 1)
    harness.use(outage, well)
    await harness.begin()
    delays = []
    for _ in range(7):
        with pytest.raises(RetryLater, match="away") as later:
            await harness.handle()
        delays.append(later.value.delay.total_seconds())
        events = await harness.upload_events()
    assert delays == [1, 2, 4, 8, 16, 32, 64]
    assert [(event.destination, event.type_name()) for event in events] == [
        ("well", RecordUploaded.type_name()),
        ("away", UploadFailed.type_name()),
    ]
    assert not events[1].permanent
    assert await harness.exported() is False
    await harness.handle()
    assert await harness.exported() is True
    assert (len(outage.calls), len(well.calls)) == (8, 1)


async def test_absence_is_stated_after_so_many_attempts_and_not_before(harness) -> None:
    harness.use(FakeDestination(faults=["away"] * ATTEMPTS_BEFORE_FAILURE))
    await harness.begin()
    for attempt in range(1, ATTEMPTS_BEFORE_FAILURE + 1):
        with pytest.raises(RetryLater):
            await harness.handle()
        assert len(await harness.upload_events()) == (attempt == ATTEMPTS_BEFORE_FAILURE)


@pytest.mark.parametrize(("asked", "waits"), [(90, 90), (0.1, 1), (10**6, 3600)])
async def test_a_destination_may_say_when_to_come_again(harness, asked, waits) -> None:
    harness.use(FakeDestination(faults=["away"], retry_after=timedelta(seconds=asked)))
    await harness.begin()
    with pytest.raises(RetryLater) as later:
        await harness.handle()
    assert later.value.delay.total_seconds() == waits


async def test_one_that_asks_for_an_hour_does_not_hold_back_the_others(harness) -> None:
    hour = timedelta(hours=1)
    busy = FakeDestination("busy", 2, ["away"], retry_after=hour)
    harness.use(busy, FakeDestination("away", 1, ["away"]))
    await harness.begin()
    with pytest.raises(RetryLater) as later:
        await harness.handle()
    assert later.value.delay.total_seconds() == 1
    with pytest.raises(RetryLater) as later:
        await harness.handle()
    assert [event.destination for event in await harness.upload_events()] == ["away"]
    assert len(busy.calls) == 1
    assert timedelta(minutes=59) < later.value.delay <= hour


async def test_a_refusal_is_stated_and_stands_until_a_retry(harness, facts) -> None:
    fake, other = FakeDestination("fake", 2, ["refuses"]), FakeDestination("other", 1)
    harness.use(fake, other)
    await harness.begin()
    await harness.handle()
    await harness.handle()
    refused, _ = await harness.upload_events()
    assert (refused.permanent, refused.reason) == (True, "not wanted; change it")
    assert await harness.exported() is False
    await harness.append(facts.retry())
    await harness.handle()
    assert (len(fake.calls), len(other.calls)) == (2, 1)
    assert await harness.exported() is True


async def test_first_success_goes_on_only_after_a_stated_failure(harness) -> None:
    outage, well = FakeDestination("away", 2, ["away"] * 99), FakeDestination("well", 1)
    harness.use(outage, well, strategy="first_success")
    await harness.begin()
    for _ in range(ATTEMPTS_BEFORE_FAILURE - 1):
        with pytest.raises(RetryLater):
            await harness.handle()
    assert not well.calls
    with pytest.raises(RetryLater):
        await harness.handle()
    assert await harness.exported() is True
    await harness.handle()
    assert (len(outage.calls), len(well.calls)) == (ATTEMPTS_BEFORE_FAILURE, 1)


@pytest.mark.parametrize(
    ("strategy", "meanwhile", "tried_when_back"),
    [
        ("all", False, True),
        ("best_effort", True, True),
        ("first_success", True, False),
    ],
)
async def test_it_heals_when_the_destination_is_back_and_only_that_one_is_tried(
    harness, strategy, meanwhile, tried_when_back
) -> None:
    """Also by an uploader that was started meanwhile: nothing but the events is remembered."""
    outage, well = (
        FakeDestination("away", 2, ["away"] * ATTEMPTS_BEFORE_FAILURE),
        FakeDestination("well", 1),
    )
    harness.use(outage, well, strategy=strategy)
    await harness.begin()
    for _ in range(ATTEMPTS_BEFORE_FAILURE):
        with pytest.raises(RetryLater):
            await harness.handle()
    assert await harness.exported() is meanwhile
    harness.use(outage, well, strategy=strategy)
    await harness.handle()
    assert await harness.exported() is True
    assert (len(outage.calls), len(well.calls)) == (ATTEMPTS_BEFORE_FAILURE + tried_when_back, 1)


async def test_a_faulty_destination_does_not_keep_the_others_from_the_record(harness) -> None:
    faulty, well = FakeDestination("faulty", 2, ["is faulty"] * 99), FakeDestination("well", 1)
    harness.use(faulty, well)
    await harness.begin()
    for _ in range(ATTEMPTS_BEFORE_FAILURE):
        with pytest.raises(RetryLater):
            await harness.handle()
    assert well.records == {"file-1": ONE}
    assert "ZeroDivisionError" in (await harness.upload_events())[-1].reason


async def test_withdrawn_consent_keeps_the_record_here(harness, facts) -> None:
    fake = FakeDestination()
    harness.use(fake)
    await harness.begin()
    await harness.append(facts.declined())
    await harness.handle()
    assert not fake.calls


async def test_killed_between_upload_and_event(harness) -> None:
    archive = ArchiveDestination(harness.settings.records, harness.settings.data_path)
    fake = FakeDestination(faults=["crashes after accepting"])
    harness.use(archive, fake)
    await harness.begin()
    with pytest.raises(Crash):
        await harness.handle()
    harness.use(archive, fake)
    await harness.handle()
    assert [event.destination for event in await harness.upload_events()] == ["archive", "fake"]
    assert fake.records == {"file-1": ONE}


async def test_killed_before_the_event_leaves_the_archive_as_it_is(harness, monkeypatch) -> None:
    records = harness.settings.records
    harness.use(ArchiveDestination(records, harness.settings.data_path))
    await harness.begin()

    def die(*arguments: Any, **options: Any) -> None:
        raise Crash

    with monkeypatch.context() as mortal:
        mortal.setattr(MemoryEventStore, "append", die)
        with pytest.raises(Crash):
            await harness.handle()
    before = {path: path.stat().st_mtime_ns for path in records.rglob("*.*ml")}
    assert len(before) == 5
    await harness.handle()
    assert {path: path.stat().st_mtime_ns for path in records.rglob("*.*ml")} == before
    assert len(await harness.upload_events()) == 1


async def test_two_uploaders_state_one_fact(harness) -> None:
    fake = FakeDestination()
    one, two = harness.use(fake), harness.use(fake)
    await harness.begin()
    await asyncio.gather(harness.handle(one), harness.handle(two))
    assert len(await harness.upload_events()) == 1


class Slow(FakeDestination):
    """Takes its time, so that another uploader comes in between."""

    def __init__(self) -> None:
        super().__init__("fake")
        self.meanwhile: Callable[[], Any] | None = None

    async def upload(self, record, previous):
        if self.meanwhile:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return await super().upload(record, previous)


async def test_an_uploader_that_was_overtaken_brings_the_newer_record_again(harness) -> None:
    slow = Slow()
    late, quick = harness.use(slow), harness.use(slow)
    await harness.begin(ONE)

    async def overtake() -> None:
        await harness.build(TWO, 3)
        await harness.handle(quick)
        assert slow.records == {"file-1": TWO}

    slow.meanwhile = overtake
    await harness.handle(late)
    assert [call[0].xml for call in slow.calls] == [TWO, ONE, TWO]
    assert slow.records == {"file-1": TWO}
    assert await harness.exported() is True


async def test_a_destination_taken_out_of_the_settings_no_longer_counts(harness, facts) -> None:
    well, refusing = FakeDestination("well", 2), FakeDestination("refusing", 1, ["refuses"])
    harness.use(well, refusing)
    await harness.begin()
    await harness.handle()
    assert await harness.exported() is False
    harness.use(well)
    await harness.append(facts.retry())
    for _ in range(2):
        await harness.handle()
    assert await harness.exported() is True
    assert len(well.calls) == 1
    assert len(await harness.upload_events()) == 3


async def test_a_changed_artifact_is_not_uploaded(harness) -> None:
    fake = FakeDestination()
    harness.use(fake)
    await harness.begin()
    harness.put_record(TWO)
    with pytest.raises(RetryLater, match=r"file-1\.xml"):
        await harness.handle()
    assert not fake.calls
    harness.put_record(ONE)
    await harness.handle()
    assert len(fake.calls) == 1


async def test_a_record_that_its_builder_could_not_put_into_place_is_uploaded(harness) -> None:
    fake = FakeDestination()
    harness.use(fake)
    await harness.begin()
    harness.put_record(TWO)
    folder = harness.settings.records
    staged = stage_artifact(folder, "file-1.xml", ONE, owner=harness.facts.session)
    await harness.handle()
    assert not staged.path.exists()
    assert (folder / "file-1.xml").read_bytes() == ONE
    assert len(fake.calls) == 1


class WatchedStore(MemoryEventStore):
    """Notes which filters sessions are read with."""

    def __init__(self) -> None:
        super().__init__()
        self.filters: set[str] = set()

    async def read_last(self, filters, **options):
        self.filters.update(filters)
        return await super().read_last(filters, **options)


async def test_files_of_the_session_are_not_read(harness, facts) -> None:
    """A session of fifty thousand files costs the uploader what one of five does."""
    harness.store = WatchedStore()
    harness.use(FakeDestination())
    await harness.begin()
    await harness.append(facts.indexed(1))
    await harness.handle()
    assert await harness.exported() is True
    assert harness.store.filters
    file = facts.indexed(1).subject
    assert not [one for one in harness.store.filters if subjects.matches(one, file)]


@pytest.mark.broker
async def test_on_the_real_broker(harness, settings, facts, tmp_path: Path) -> None:
    """The installed service with its message processor: one record, one event, all settled."""
    service = service_named("uploader", settings)
    assert service.consumer is UPLOADER
    assert [mount.path for mount in service.mounts] == [settings.data_path]
    broker = start_embedded(tmp_path)
    client = await connect(broker.url, name="test")
    jetstream = client.jetstream()
    await provision(jetstream)
    harness.store = JetStreamEventStore(jetstream)
    await harness.begin()
    await harness.build(ONE, 3)
    context = ServiceContext(settings, harness.store, MemoryPeople(), None, jetstream)  # type: ignore[arg-type]
    subscription = await jetstream.pull_subscribe_bind(UPLOADER.name, stream="NEXUS_EVENTS")
    async with service.work(context) as handler:

        async def work(count: int) -> None:
            processor = MessageProcessor(UPLOADER.name, handler, None, key=by_session)  # type: ignore[arg-type]
            for message in await subscription.fetch(count, timeout=10):
                await processor.take(message)
            await processor.drain(10)

        await work(2)
        (uploaded,) = await harness.upload_events()
        assert (settings.records / "uploaded" / "file-1.xml").read_bytes() == ONE
        assert uploaded.destination == "archive"
        await harness.append(facts.declined())
        await work(1)
        assert not (settings.records / "uploaded" / "file-1.xml").exists()
    assert isinstance((await harness.history())[-1].event, RecordWithdrawn)
    await client.close()
    broker.stop()
