"""Receiving events: many at once, a lone one at once, and nothing kept back at the end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from nexuslims_contracts.envelope import Recorded, envelop
from nexuslims_contracts.events import RetryRequested
from nexuslims_contracts.topology import EVENTS, UPLOADER
from nexuslims_shared.accounts.access import Access
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.consume import MessageProcessor
from nexuslims_shared.dead_letters import StreamDeadLetters
from nexuslims_shared.embedded import start_embedded
from nexuslims_shared.pulling import Pull
from nexuslims_shared.store.jetstream import JetStreamEventStore
from nexuslims_shared.store.period_directory import PeriodDirectory
from nexuslims_shared.subscriptions import Subscriptions, make_broker

pytestmark = pytest.mark.broker

LONG_S = 600.0
"""Longer than any test: what waits for so long never comes."""


class Office:
    """A log, and those who pull the uploader's events from it."""

    def __init__(self, client: Client, url: str) -> None:
        self.client, self.url = client, url
        self.js = client.jetstream()
        self.pulls: list[Pull] = []

    async def state(self, *sessions: str) -> None:
        events = [envelop(RetryRequested(session=one, request="1"), source="t") for one in sessions]
        await JetStreamEventStore(self.js).append_all(events)

    async def pull(self, room: Callable[[], int] = lambda: 1000) -> Pull:
        pull = Pull(self.client, EVENTS.name, UPLOADER.name, room)
        await pull.open()
        self.pulls.append(pull)
        return pull

    async def pending(self) -> tuple[int, int]:
        """Messages not delivered yet, and delivered but not settled."""
        await self.client.flush()
        info = await self.js.consumer_info(EVENTS.name, UPLOADER.name)
        return info.num_pending or 0, info.num_ack_pending or 0

    def subscriptions(self, processor: MessageProcessor) -> Subscriptions:
        access = Access.of(self.url)
        return Subscriptions(
            make_broker(access),
            PeriodDirectory(self.js, 5.0),
            UPLOADER,
            processor.take,
            lambda: processor.room,
            inbox_prefix=f"{access.inboxes}.".encode(),
        )


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    broker = await asyncio.to_thread(start_embedded, tmp_path)
    client = await connect(broker.url, name="test")
    await provision(client.jetstream())
    office = Office(client, broker.url)
    yield office
    for pull in office.pulls:
        await pull.unsubscribe()
    await client.close()
    await asyncio.to_thread(broker.stop)


async def gather(pull: Pull, count: int) -> list[Msg]:
    messages: list[Msg] = []
    while len(messages) < count:
        messages += await pull.fetch(256, LONG_S)
    return messages


async def test_one_request_brings_many(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    pull = await office.pull()
    requests: list[int] = []
    ask = pull._ask

    async def counted(batch: int, patience: float) -> None:
        requests.append(batch)
        await ask(batch, patience)

    monkeypatch.setattr(pull, "_ask", counted)
    await office.state(*(f"s-{number}" for number in range(200)))
    messages = await gather(pull, 200)
    assert requests == [256]
    assert [message.metadata.sequence.stream for message in messages] == list(range(1, 201))


async def test_a_lone_event_is_not_kept_until_there_are_more(office: Office) -> None:
    pull = await office.pull()
    fetching = asyncio.create_task(pull.fetch(256, LONG_S))
    await asyncio.sleep(0)
    await office.state("s-1")
    assert len(await fetching) == 1
    await office.state("s-2")  # of the same request
    assert len(await pull.fetch(256, LONG_S)) == 1


async def test_no_more_is_asked_for_than_there_is_room(office: Office) -> None:
    await office.state("s-1", "s-2", "s-3")
    pull = await office.pull(lambda: 2)
    await gather(pull, 2)
    assert await office.pending() == (1, 2)


async def test_what_was_not_taken_is_handed_back_at_once(office: Office) -> None:
    pull = await office.pull()
    await office.state("s-1", "s-2", "s-3")
    (first,) = await pull.fetch(1, LONG_S)
    await pull.close()
    await office.state("s-4")  # the request of the one that is closed is open still
    again = await gather(await office.pull(), 3)
    assert sorted(one.metadata.sequence.stream for one in again) == [2, 3, 4]
    for message in (first, *again):
        await message.ack_sync(LONG_S)
    assert await office.pending() == (0, 0)


async def test_a_consumer_that_is_gone_is_asked_again_a_little_later(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexuslims_shared.pulling._PAUSE_S", 0.01)
    await office.js.delete_consumer(EVENTS.name, UPLOADER.name)
    pull = await office.pull()
    assert await pull.fetch(256, LONG_S) == []
    await provision(office.js)
    await office.state("s-1")
    assert len(await gather(pull, 1)) == 1


async def test_a_service_that_stops_finishes_what_it_began_and_hands_back_the_rest(
    office: Office,
) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()
    handled: list[int] = []

    async def handle(batch: tuple[Recorded, ...]) -> None:
        begun.set()
        await may_end.wait()
        handled.extend(one.sequence for one in batch)

    letters = StreamDeadLetters(office.js)
    await office.state(*(f"s-{number}" for number in range(20)))
    processor = MessageProcessor(UPLOADER.name, handle, letters, concurrency=1, backlog=5)
    subscriptions = office.subscriptions(processor)
    await subscriptions._broker.start()
    await subscriptions.catch_up()
    await begun.wait()
    await processor.close()
    await subscriptions.stop()
    may_end.set()
    await processor.drain(LONG_S)
    await subscriptions._broker.stop()
    rest = await gather(await office.pull(), 19)
    handed_back = [one.metadata.sequence.stream for one in rest]
    assert len(handled) == 1
    assert sorted(handled + handed_back) == list(range(1, 21))
