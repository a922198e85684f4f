"""The indexer at work: events in, files stated, whatever happens between."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import pytest

from nexuslims_contracts.envelope import Recorded, envelop
from nexuslims_contracts.events import Event, FileIndexed, FilesNotFound, SessionIndexed
from nexuslims_contracts.plugins import installed
from nexuslims_contracts.topology import EVENTS, INDEXER
from nexuslims_indexer import app, decide
from nexuslims_indexer.app import Indexer
from nexuslims_indexer.dry_run import files as dry_run
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.consume import MessageProcessor, RetryLater, by_session
from nexuslims_shared.dead_letters import MemoryDeadLetters, StreamDeadLetters
from nexuslims_shared.embedded import EmbeddedBroker, start_embedded
from nexuslims_shared.errors import BrokerUnavailableError, SettingsError
from nexuslims_shared.people import MemoryPeople
from nexuslims_shared.service import ServiceContext, service_named
from nexuslims_shared.session.state import SessionState, fold
from nexuslims_shared.session.status import Status, files_complete, progress
from nexuslims_shared.store.jetstream import JetStreamEventStore
from nexuslims_shared.store.memory import MemoryEventStore
from nexuslims_shared.store.port import read_session


class Breaking(MemoryEventStore):
    """A store that fails when a manifest comes, as often as it is told."""

    failures = 0

    async def append(self, envelope, *, expect=None):
        if isinstance(envelope.event, SessionIndexed) and self.failures:
            self.failures -= 1
            raise BrokerUnavailableError("the broker does not answer")
        return await super().append(envelope, expect=expect)


class Office:
    """An indexer with its log of events."""

    def __init__(self, settings, facts) -> None:
        self.facts = facts
        self.store = Breaking()
        self.letters = MemoryDeadLetters()
        self.indexer = Indexer(
            ServiceContext(settings, self.store, MemoryPeople(), self.letters, None)  # type: ignore[arg-type]
        )

    async def state(self, *events: Event) -> None:
        for event in events:
            await self.store.append(envelop(event, source="test"))

    async def history(self) -> list[Recorded]:
        return await read_session(self.store, self.facts.session)

    async def wake(self) -> None:
        """Deliver the last event."""
        await self.indexer.handle(tuple((await self.history())[-1:]))

    async def told(self) -> SessionState:
        return fold(await self.history())

    async def said(self, kind: type[Event]) -> list[Event]:
        return [one.event for one in await self.history() if isinstance(one.event, kind)]


@pytest.fixture
def office(settings, facts) -> Office:
    return Office(settings, facts)


async def test_files_are_stated_before_their_manifest_with_what_caused_them(office, share) -> None:
    share.write("a.dm3")
    share.write("b.dm3")
    await office.state(*office.facts.over())
    await office.wake()
    *_, ended, first, second, manifest = await office.history()
    assert [one.event.path for one in (first, second)] == ["Titan/a.dm3", "Titan/b.dm3"]
    assert isinstance(manifest.event, SessionIndexed)
    assert manifest.event.count == 2
    for one in (first, second, manifest):
        assert one.envelope.causation == ended.envelope.id
        assert one.envelope.source == "nexuslims/indexer"


async def test_the_settings_say_what_is_looked_for(settings, facts, share) -> None:
    share.write("a.txt")
    share.write("b.log")
    office = Office(
        settings.model_copy(update={"file_strategy": "inclusive", "ignore_patterns": ("*.log",)}),
        facts,
    )
    await office.state(*office.facts.over())
    await office.wake()
    assert [event.path for event in await office.said(FileIndexed)] == ["Titan/a.txt"]
    assert [event.strategy for event in await office.said(SessionIndexed)] == ["inclusive"]


async def test_a_message_that_comes_again_needs_no_second_search(office, share) -> None:
    share.write("a.dm3")
    await office.state(*office.facts.over())
    batch = tuple((await office.history())[-1:])
    await office.indexer.handle(batch)
    share.write("b.dm3")
    await office.indexer.handle(batch)
    assert len(await office.said(FileIndexed)) == 1


@pytest.mark.parametrize("case", ["in use", "cancelled", "declined", "not asked", "revised"])
async def test_the_files_of_a_session_are_nobodys_business_until_it_is_over_and_its_user_agrees(
    office, share, case: str
) -> None:
    share.write("a.dm3")
    facts = office.facts
    await office.state(
        *{
            "in use": [facts.started(), facts.matched()],
            "cancelled": [*facts.over(), facts.cancelled(after=3)],
            "declined": [facts.started(), facts.declined(), facts.ended()],
            "not asked": [facts.started(), facts.ended()],
            "revised": [*facts.over(), facts.revised(end=None, after=3)],
        }[case]
    )
    before = len(await office.history())
    await office.wake()
    assert len(await office.history()) == before


async def test_a_revised_session_is_searched_anew(office, share) -> None:
    share.write("a.dm3")
    share.write("late.dm3", share.end + timedelta(minutes=5))
    await office.state(*office.facts.over())
    await office.wake()
    await office.state(office.facts.revised(end=share.end + timedelta(hours=1), after=3))
    await office.wake()
    first, second = await office.said(SessionIndexed)
    assert (first.count, second.count) == (1, 2)
    assert second.end == share.end + timedelta(hours=1)


async def test_without_files_the_end_of_waiting_is_stated_and_a_retry_searches_again(
    office, share
) -> None:
    await office.state(*office.facts.over())
    await office.wake()
    assert progress(await office.told()).status is Status.NO_FILES_FOUND
    share.write("a.dm3")
    await office.state(office.facts.retry())
    await office.wake()
    state = await office.told()
    assert len(state.current_files()) == 1
    assert progress(state).phase == "extracting 0 of 1"


async def test_while_files_may_come_it_is_asked_again_later(settings, share, facts) -> None:
    ended_just_now = datetime.now(UTC) - timedelta(hours=1)
    office = Office(
        settings, type(facts)(start=ended_just_now - timedelta(hours=1), end=ended_just_now)
    )
    await office.state(*office.facts.over())
    with pytest.raises(RetryLater, match="no files yet") as later:
        await office.wake()
    assert timedelta(minutes=5) < later.value.delay < timedelta(minutes=7)
    assert not await office.said(FilesNotFound)


async def test_a_session_that_ends_now_is_searched_a_moment_later(settings, share, facts) -> None:
    now = datetime.now(UTC)
    office = Office(settings, type(facts)(start=now - timedelta(hours=1), end=now))
    share.write("a.dm3", now - timedelta(minutes=1))
    await office.state(*office.facts.over())
    with pytest.raises(RetryLater, match="just ended") as later:
        await office.wake()
    assert timedelta(0) < later.value.delay <= decide.QUIET


async def test_a_share_that_is_away_is_waited_for_however_long(office, share) -> None:
    (share.root / "Titan").rmdir()
    await office.state(*office.facts.over())
    with pytest.raises(RetryLater, match="is the share mounted"):
        await office.wake()
    assert not await office.said(FilesNotFound)


async def test_killed_between_files_and_manifest_the_next_run_completes_it(office, share) -> None:
    share.write("a.dm3")
    share.write("b.dm3")
    await office.state(*office.facts.over())
    batch = tuple((await office.history())[-1:])
    office.store.failures = 1
    with pytest.raises(BrokerUnavailableError):
        await office.indexer.handle(batch)
    assert len(await office.said(FileIndexed)) == 2
    assert not await office.said(SessionIndexed)
    share.write("c.dm3")
    await office.indexer.handle(batch)
    paths = [event.path for event in await office.said(FileIndexed)]
    assert paths == ["Titan/a.dm3", "Titan/b.dm3", "Titan/c.dm3"]
    (manifest,) = await office.said(SessionIndexed)
    assert (manifest.count, manifest.superseded) == (3, ())
    assert not files_complete(await office.told())


async def test_a_file_that_no_event_can_name_is_a_dead_letter(office, share) -> None:
    share.write("a.dm3")
    share.write(b"caf\xe9.dm3")
    await office.state(*office.facts.over())
    await office.wake()
    assert len(await office.said(FileIndexed)) == 1
    (letter,) = [letter async for letter in office.letters.read()]
    assert (letter.consumer, letter.sequence) == ("indexer", 0)
    assert letter.subject == "session file-1"
    assert "caf\\udce9.dm3: the name is not Unicode: rename it" in letter.reason


# --- on the real broker ----------------------------------------------------------------------


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
        indexer = Indexer(ServiceContext(self.settings, self.store, MemoryPeople(), letters, js))
        self.processor = MessageProcessor(INDEXER.name, indexer.handle, letters, by_session)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.processor.drain(5)
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
        info = await self.js.consumer_info(EVENTS.name, INDEXER.name)
        return (info.num_pending or 0) + (info.num_ack_pending or 0)


@pytest.mark.broker
async def test_the_wait_for_files_survives_a_restart(
    broker, settings, share, facts, monkeypatch
) -> None:
    monkeypatch.setattr(decide, "SHORTEST_WAIT", timedelta(seconds=0.2))
    monkeypatch.setattr(decide, "LONGEST_WAIT", timedelta(seconds=0.2))
    end = datetime.now(UTC) - timedelta(hours=1)
    recent = type(facts)(start=end - timedelta(hours=1), end=end)
    async with Shift(broker, settings) as shift:
        for event in recent.over():
            await shift.store.append(envelop(event, source="test"))
        await shift.work(2)
        assert await shift.unsettled() == 2
        assert not (await told(shift.store, recent)).files
    share.write("a.dm3", end - timedelta(minutes=5))
    async with Shift(broker, settings) as shift:
        await shift.work(2)
        assert await shift.unsettled() == 0
        state = await told(shift.store, recent)
        assert [file.indexed.event.path for file in state.current_files().values()] == [
            "Titan/a.dm3"
        ]


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


async def told(store: JetStreamEventStore, facts) -> SessionState:
    return fold(await read_session(store, facts.session))


# --- beside the service ----------------------------------------------------------------------


def test_the_service_is_installed_and_needs_its_share(settings) -> None:
    service = service_named("indexer", settings)
    assert service.consumer is INDEXER
    assert [mount.setting for mount in service.mounts] == ["NX_INSTRUMENT_DATA_PATH"]
    assert not any(mount.writable for mount in service.mounts)
    assert service == app.create(settings)


def test_a_dry_run_lists_the_files_of_a_time(settings, share) -> None:
    share.write("a.dm3")
    assert installed("nexuslims.dry_run")["files"].load() is dry_run
    assert dry_run(settings, "FEI-Titan-TEM", share.start, share.end) == ["Titan/a.dm3"]
    with pytest.raises(SettingsError, match="'Quanta' is not there: add it"):
        dry_run(settings, "Quanta", share.start, share.end)
    (share.root / "Titan").rename(share.root / "away")
    with pytest.raises(OSError, match="is the share mounted"):
        dry_run(settings, "FEI-Titan-TEM", share.start, share.end)
