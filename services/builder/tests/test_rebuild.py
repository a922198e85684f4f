"""Rebuilding records from the log: what is written, what is left out, what comes between."""

import asyncio
import errno
import os
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from nexuslims_builder.build import builder_version
from nexuslims_builder.errors import NoRecordError
from nexuslims_builder.readings import RecentPeople, signals_held
from nexuslims_builder.rebuild.rebuilder import Job, Kind, Outcome, Rebuilder
from nexuslims_builder.rebuild.workers import rebuild_all
from nexuslims_builder.record_files import RecordFiles
from nexuslims_builder.signals import SignalReader
from nexuslims_contracts.envelope import Envelope, envelop
from nexuslims_contracts.events import (
    BookingTexts,
    Event,
    MetadataExtracted,
    RecordBuilt,
    RecordRejected,
)
from nexuslims_contracts.testing import END, START, SessionEvents
from nexuslims_shared.artifacts import read_artifact, write_artifact
from nexuslims_shared.errors import DiskError
from nexuslims_shared.people import MemoryPeople, Person
from nexuslims_shared.service import ServiceContext
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.session.state import SessionState
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.memory import MemoryEventStore
from nexuslims_shared.store.port import Appended, Unreadable, read_session

EVENTS = SessionEvents()
SESSION = EVENTS.session
HOUR = timedelta(hours=1)


class Facility:
    """A log and a folder of records."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.settings = Settings(instrument_data_path=folder, data_path=folder / "data", **settings)
        self.store = MemoryEventStore()

    async def tell(self, *events: Event) -> None:
        for event in events:
            await self.store.append(envelop(event, source="test"))

    async def rebuild(self, session: str = SESSION, **job: bool) -> Outcome:
        context = ServiceContext(self.settings, self.store, MemoryPeople(), None, None)  # type: ignore[arg-type]
        return await Rebuilder(context, Job(**job)).rebuild(session)

    async def compare(self) -> str:
        context = ServiceContext(self.settings, self.store, MemoryPeople(), None, None)  # type: ignore[arg-type]
        return await Rebuilder(context, Job(dry_run=True)).compare(SESSION)

    async def records(self) -> list[RecordBuilt]:
        history = await read_session(self.store, SESSION)
        return [one.event for one in history if isinstance(one.event, RecordBuilt)]

    async def length(self) -> int:
        return await self.store.last_sequence()

    def on_disk(self, record: RecordBuilt) -> bytes:
        return read_artifact(self.settings.records, record.record)


@pytest.fixture
def make_event() -> Callable[[object], MetadataExtracted]:
    def make(value: object) -> MetadataExtracted:
        (dataset,) = EVENTS.extracted(1).datasets
        changed = dataset.model_copy(update={"extensions": {"offset": value}})
        return EVENTS.extracted(1, datasets=(changed,))

    return make


@pytest.fixture
def facility(tmp_path: Path) -> Facility:
    return Facility(tmp_path)


@pytest.fixture
async def rebuilt(facility: Facility) -> Facility:
    """Its record is as this release builds it, and was let go to the destinations."""
    await facility.tell(*EVENTS.history())
    await facility.rebuild(upload=True)
    return facility


async def test_a_record_that_differs_is_replaced_and_stays_here(facility: Facility) -> None:
    await facility.tell(*EVENTS.history())
    outcome = await facility.rebuild()
    former, record = await facility.records()
    assert outcome == Outcome(SESSION, Kind.CHANGED, record.record.path)
    assert facility.on_disk(record).startswith(b"<?xml")
    assert (record.upload, record.replaces) == (False, len(EVENTS.history()))
    assert (record.builder, record.inputs_through_seq) == (
        builder_version(),
        former.inputs_through_seq,
    )


async def test_it_is_uploaded_if_that_is_requested(rebuilt: Facility) -> None:
    assert [record.upload for record in await rebuilt.records()] == [True, True]


async def test_the_same_bytes_are_not_stated_again(rebuilt: Facility) -> None:
    length = await rebuilt.length()
    for upload in (False, True):
        assert (await rebuilt.rebuild(upload=upload)).kind is Kind.UNCHANGED
    assert await rebuilt.length() == length


@pytest.mark.parametrize("damage", [None, b"damaged"])
async def test_a_missing_or_damaged_file_is_written_again(
    rebuilt: Facility, damage: bytes | None
) -> None:
    record = (await rebuilt.records())[-1]
    before, path = rebuilt.on_disk(record), rebuilt.settings.records / record.record.path
    path.unlink() if damage is None else path.write_bytes(damage)
    assert (await rebuilt.rebuild()).kind is Kind.UNCHANGED
    assert rebuilt.on_disk(record) == before


class FrozenRebuild:
    """A rebuild that stands still between its event and its file until it is released."""

    def __init__(self, facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stands, self.goes_on = asyncio.Event(), asyncio.Event()
        settle = RecordFiles.settle

        async def settle_later(files: RecordFiles, state: SessionState) -> bool:
            if not self.stands.is_set():
                self.stands.set()
                await self.goes_on.wait()
            return await settle(files, state)

        monkeypatch.setattr(RecordFiles, "settle", settle_later)
        self.work = asyncio.create_task(facility.rebuild())

    async def release(self) -> Outcome:
        self.goes_on.set()
        return await self.work


@pytest.mark.parametrize("start", [START, START - timedelta(days=2)])
async def test_a_rebuild_that_wakes_late_does_not_matter(
    facility: Facility, monkeypatch: pytest.MonkeyPatch, start: datetime
) -> None:
    await facility.tell(*EVENTS.history())
    frozen = FrozenRebuild(facility, monkeypatch)
    await frozen.stands.wait()
    await facility.tell(EVENTS.revised(start=start, end=END + HOUR, after=3))
    await facility.rebuild()
    newest = (await facility.records())[-1]
    assert (await frozen.release()).kind is Kind.CHANGED
    names = [path.name for path in facility.settings.records.iterdir()]
    assert (names, facility.on_disk(newest)[:5]) == ([newest.record.path], b"<?xml")


async def test_a_rebuild_that_wakes_after_a_withdrawal_leaves_no_record(
    facility: Facility, monkeypatch: pytest.MonkeyPatch
) -> None:
    await facility.tell(*EVENTS.history())
    frozen = FrozenRebuild(facility, monkeypatch)
    await frozen.stands.wait()
    await facility.tell(EVENTS.declined(after=2))
    await frozen.release()
    assert list(facility.settings.records.iterdir()) == []


async def test_a_record_that_is_removed_while_it_is_rebuilt_is_written_again(
    facility: Facility, monkeypatch: pytest.MonkeyPatch
) -> None:
    await facility.tell(*EVENTS.history())
    frozen = FrozenRebuild(facility, monkeypatch)
    await frozen.stands.wait()
    shutil.rmtree(facility.settings.records)
    assert (await frozen.release()).kind is Kind.UNCHANGED
    assert facility.on_disk((await facility.records())[-1]).startswith(b"<?xml")


async def test_names_count_for_a_moment_only() -> None:
    people, now = MemoryPeople(), [0.0]
    recent = RecentPeople(people, seconds=1.0, clock=lambda: now[0])
    who = await people.remember("file", Person(username="ned"))
    assert await recent.find(who) == Person(username="ned")
    await people.forget(who)
    now[0] = 0.9
    assert await recent.find(who) == Person(username="ned")
    now[0] = 1.0
    assert await recent.find(who) is None


async def test_what_was_kept_here_can_be_uploaded_later(facility: Facility) -> None:
    await facility.tell(*EVENTS.history())
    await facility.rebuild()
    assert (await facility.rebuild(upload=True)).kind is Kind.UNCHANGED
    _, kept, released = await facility.records()
    assert (kept.upload, released.upload) == (False, True)
    assert kept.record == released.record


async def test_a_return_to_earlier_bytes_is_a_fact_of_its_own(rebuilt: Facility) -> None:
    first = (await rebuilt.records())[-1]
    other = first.model_copy(
        update={"record": EVENTS.built(1).record, "replaces": await rebuilt.length()}
    )
    await rebuilt.tell(other)
    assert (await rebuilt.rebuild()).kind is Kind.CHANGED
    assert (await rebuilt.records())[-1].record == first.record


async def test_bytes_of_another_release_are_stated_as_of_this_one(rebuilt: Facility) -> None:
    of_this = (await rebuilt.records())[-1]
    await rebuilt.tell(of_this.model_copy(update={"builder": "0.0.1", "replaces": 99}))
    assert (await rebuilt.rebuild()).kind is Kind.UNCHANGED
    last = (await rebuilt.records())[-1]
    assert (last.builder, last.upload) == (builder_version(), True)


async def test_a_dry_run_writes_nothing(facility: Facility) -> None:
    await facility.tell(*EVENTS.history())
    length = await facility.length()
    assert (await facility.rebuild(dry_run=True)).kind is Kind.CHANGED
    assert await facility.length() == length
    assert not facility.settings.records.exists()


async def test_how_a_record_would_change_is_a_diff(rebuilt: Facility) -> None:
    assert await rebuilt.compare() == ""
    (record,) = rebuilt.settings.records.glob("*.xml")
    kept = record.read_bytes()
    record.unlink()
    assert await rebuilt.compare() == ""  # what it would be is known without the file
    record.write_bytes(kept)
    await rebuilt.tell(EVENTS.matched(title="Another title", after=2))
    diff = await rebuilt.compare()
    assert "+  <title>Another title</title>" in diff
    assert "\n-  <title>" in diff


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([], "no such session"),
        (EVENTS.inputs(), "in progress"),
        ([*EVENTS.history(), EVENTS.cancelled()], "cancelled"),
        ([*EVENTS.history(), EVENTS.declined()], "no consent"),
        ([EVENTS.started(), EVENTS.matched(), EVENTS.ended(), EVENTS.not_found()], "no files"),
    ],
)
async def test_what_has_no_record_is_left_out(
    facility: Facility, events: list[Event], reason: str
) -> None:
    await facility.tell(*events)
    assert await facility.rebuild() == Outcome(SESSION, Kind.LEFT_OUT, reason)
    with pytest.raises(NoRecordError, match=reason):
        await facility.compare()
    assert await facility.length() == len(events)


async def test_only_stale_records_if_that_is_requested(rebuilt: Facility) -> None:
    assert await rebuilt.rebuild(stale=True) == Outcome(SESSION, Kind.LEFT_OUT, "up to date")
    await rebuilt.tell(EVENTS.matched(title="Another title", after=2))
    assert (await rebuilt.rebuild(stale=True)).kind is Kind.CHANGED
    assert (await rebuilt.rebuild(stale=True)).kind is Kind.LEFT_OUT


async def test_a_record_that_no_reader_takes_is_rejected_once(facility: Facility) -> None:
    document = BookingTexts(title="t", purpose="x" * 10_000_001).model_dump_json().encode()
    whole = write_artifact(facility.settings.data_path, "booking.json", document)
    booked = EVENTS.matched(complete=whole, after=2)
    await facility.tell(*EVENTS.inputs(), booked, EVENTS.built(11))
    for _ in range(2):
        outcome = await facility.rebuild()
        assert (outcome.kind, "at most 10,000,000" in outcome.detail) == (Kind.REJECTED, True)
    history = await read_session(facility.store, SESSION)
    assert sum(isinstance(one.event, RecordRejected) for one in history) == 1


async def test_a_session_that_cannot_be_read_fails_alone(facility: Facility) -> None:
    await facility.tell(*EVENTS.history())

    class Damaged(MemoryEventStore):
        async def read_last(self, *filters: object, **options: object) -> list[Unreadable]:
            return [Unreadable(7, "nexus.events.x.session-ended", "damaged", newer=True)]

    facility.store = Damaged()
    outcome = await facility.rebuild()
    assert (outcome.kind, "damaged" in outcome.detail) == (Kind.FAILED, True)


async def test_a_full_disk_ends_the_job(facility: Facility, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise DiskError("no space left")

    await facility.tell(*EVENTS.history())
    monkeypatch.setattr("nexuslims_builder.record_files.stage_artifact", full)
    with pytest.raises(DiskError):
        await facility.rebuild()
    assert len(await facility.records()) == 1


@pytest.mark.parametrize("writes", range(5))
async def test_a_disk_that_fills_in_mid_rebuild_leaves_whole_records_and_it_goes_on(
    facility: Facility, monkeypatch, writes: int
) -> None:
    """Each record is written twice: its content, and that it is in its place."""
    names = [f"s-{number}" for number in range(3)]
    for number, name in enumerate(names):
        made = SessionEvents(name)
        await facility.tell(*made.inputs(), made.built(11 * number + 10))
    context = ServiceContext(facility.settings, facility.store, MemoryPeople(), None, None)  # type: ignore[arg-type]
    rebuilder = Rebuilder(context, Job())
    fsync, room = os.fsync, [writes]

    def full(handle: int) -> None:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        room[0] -= 1
        fsync(handle)

    async def rebuild_each() -> list[Outcome]:
        return [await rebuilder.rebuild(name) for name in names]

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DiskError, match="No space left on device; check space"):
            await rebuild_each()
    for path in facility.settings.records.glob("*.xml"):
        assert path.read_bytes().endswith(b"</Experiment>\n")
    outcomes = await rebuild_each()
    unchanged = sum(one.kind is Kind.UNCHANGED for one in outcomes)
    assert unchanged == (writes + 1) // 2, "what was stated before the disk was full"
    paths = [path.name for path in facility.settings.records.iterdir()]
    assert sorted(paths) == sorted(one.detail for one in outcomes)


async def test_what_comes_while_a_record_is_rebuilt_makes_it_stale(
    facility: Facility, monkeypatch
) -> None:
    """The log grows all the time: what came too late for one rebuild is in the next."""
    await facility.tell(*EVENTS.history())
    append, late = facility.store.append, [EVENTS.matched(title="Another title", after=2)]

    async def after_another(envelope: Envelope, *, expect: int | None = None) -> Appended:
        while late:
            await append(envelop(late.pop(), source="test"))
        return await append(envelope, expect=expect)

    monkeypatch.setattr(facility.store, "append", after_another)
    await facility.rebuild()
    first = (await facility.records())[-1]
    assert (first.title, facility.on_disk(first)[:5]) == (EVENTS.matched().title, b"<?xml")
    assert (await facility.rebuild(stale=True)).kind is Kind.CHANGED
    second = (await facility.records())[-1]
    assert (second.title, b"Another title" in facility.on_disk(second)) == ("Another title", True)
    assert (await facility.rebuild(stale=True)).kind is Kind.LEFT_OUT


async def test_many_are_rebuilt_in_order(facility: Facility) -> None:
    names = [f"s-{number}" for number in range(7)]
    for number, name in enumerate(names):
        made = SessionEvents(name)
        await facility.tell(*made.inputs(), made.built(11 * number + 10))
    context = ServiceContext(facility.settings, facility.store, MemoryPeople(), None, None)  # type: ignore[arg-type]
    outcomes = await rebuild_all(Rebuilder(context, Job()), names)
    assert [one.session for one in outcomes] == names
    assert {one.kind for one in outcomes} == {Kind.CHANGED}


@pytest.mark.parametrize("values", [(0.0, -0.0), (-0.0, 0.0), (1, 1.0), (True, 1)])
def test_how_a_value_is_written_depends_on_no_other_file(
    make_event, values: tuple[object, ...]
) -> None:
    reader = SignalReader()
    together = [reader.read(make_event(value)) for value in values]
    assert together == [SignalReader().read(make_event(value)) for value in values]


async def test_the_same_events_give_the_same_bytes_in_any_order_of_files(
    facility: Facility,
) -> None:
    names = [f"s-{number}" for number in range(20)]  # their files have other places in a hash map
    for name in names:
        made = SessionEvents(name)
        await facility.tell(*made.inputs(), made.built(1))
        state = await SessionRepository(facility.store, datasets=True).open(name)
        signals = await signals_held(state, facility.settings)
        order = [state.files[token].extracted for token in signals]
        assert [one.sequence for one in order if one] == sorted(
            one.sequence for one in order if one
        )
