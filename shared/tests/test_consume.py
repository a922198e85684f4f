"""The message processor: settlement, delays, dead letters, drain; on the real broker."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from nats.aio.client import Client

from nexuslims_contracts.envelope import Recorded, encode, envelop
from nexuslims_contracts.events import EVENT_TYPES, RetryRequested
from nexuslims_contracts.topology import EVENTS, UPLOADER
from nexuslims_shared.consume import (
    MAX_ATTEMPTS,
    MessageProcessor,
    RetryLater,
    by_session,
    growing_delay,
)
from nexuslims_shared.dead_letters import SessionDeadLetters, StreamDeadLetters
from nexuslims_shared.errors import BrokerUnavailableError, DiskError
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.session.status import Status, progress
from nexuslims_shared.store.jetstream import JetStreamEventStore
from nexuslims_shared.store.port import read_session

pytestmark = pytest.mark.broker


def request(session: str, number: int) -> RetryRequested:
    return RetryRequested(session=session, request=str(number))


class Office:
    """A message processor on the uploader's consumer, fed by hand."""

    def __init__(self, client: Client) -> None:
        self.js = client.jetstream()
        self.store = JetStreamEventStore(self.js)
        self.letters = StreamDeadLetters(self.js)
        self.seen: list[tuple[int, ...]] = []
        self.processor: MessageProcessor

    def sit(
        self, handler: Callable[[tuple[Recorded, ...]], Awaitable[None]], **options
    ) -> MessageProcessor:
        async def noting(batch: tuple[Recorded, ...]) -> None:
            self.seen.append(tuple(recorded.sequence for recorded in batch))
            await handler(batch)

        self.processor = MessageProcessor(UPLOADER.name, noting, self.letters, **options)
        return self.processor

    async def state(self, *events: RetryRequested) -> None:
        for event in events:
            await self.store.append(envelop(event, source="test"))

    async def deliver(self, count: int) -> None:
        subscription = await self.js.pull_subscribe_bind(UPLOADER.name, stream=EVENTS.name)
        taken = 0
        while taken < count:
            for message in await subscription.fetch(1, timeout=10):
                await self.processor.take(message)
                taken += 1

    async def settled(self) -> None:
        while self.processor.in_flight:
            await self.js._nc.flush()

    async def pending(self) -> tuple[int, int]:
        """Messages not delivered yet, and delivered but not settled."""
        await self.js._nc.flush()
        info = await self.js.consumer_info(EVENTS.name, UPLOADER.name)
        return info.num_pending or 0, info.num_ack_pending or 0


@pytest.fixture
async def office(client: Client) -> AsyncIterator[Office]:
    office = Office(client)
    yield office
    await office.processor.drain(1)


async def nothing(batch: tuple[Recorded, ...]) -> None:
    del batch


async def test_what_is_done_is_acknowledged(office: Office) -> None:
    office.sit(nothing)
    await office.state(request("s-1", 1), request("s-2", 1))
    await office.deliver(2)
    await office.settled()
    assert await office.pending() == (0, 0)
    assert office.seen == [(1,), (2,)]


async def test_events_of_one_session_are_handled_together_and_never_at_once(
    office: Office,
) -> None:
    gate = asyncio.Event()

    async def wait(batch: tuple[Recorded, ...]) -> None:
        del batch
        await gate.wait()

    office.sit(wait, key=by_session, concurrency=4)
    await office.state(*(request("s-1", number) for number in range(4)), request("s-2", 0))
    await office.deliver(5)
    gate.set()
    await office.settled()
    assert sorted(office.seen) == [(1,), (2, 3, 4), (5,)]


async def test_work_that_is_not_due_comes_again_without_counting_as_failed(
    office: Office,
) -> None:
    async def later(batch: tuple[Recorded, ...]) -> None:
        del batch
        if len(office.seen) < 3:
            raise RetryLater(timedelta(milliseconds=20), "no files yet")

    office.sit(later)
    await office.state(request("s-1", 1))
    await office.deliver(3)
    await office.settled()
    assert await office.pending() == (0, 0)
    assert [letter async for letter in office.letters.read()] == []


async def test_a_failing_handler_is_tried_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexuslims_shared.consume.FIRST_DELAY", 0.01)

    async def clumsy(batch: tuple[Recorded, ...]) -> None:
        if len(office.seen) < 3:
            raise ValueError(f"dropped {len(batch)}")

    office.sit(clumsy)
    await office.state(request("s-1", 1))
    await office.deliver(3)
    await office.settled()
    assert await office.pending() == (0, 0)


async def test_a_full_disk_is_waited_for_without_end(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexuslims_shared.consume.FIRST_DELAY", 0.001)
    monkeypatch.setattr("nexuslims_shared.consume.LONGEST_DELAY", 0.002)

    async def full(batch: tuple[Recorded, ...]) -> None:
        del batch
        if len(office.seen) <= MAX_ATTEMPTS:
            raise DiskError("cannot write: no space left")

    office.sit(full)
    await office.state(request("s-1", 1))
    await office.deliver(MAX_ATTEMPTS + 1)
    await office.settled()
    assert [letter async for letter in office.letters.read()] == []
    assert await office.pending() == (0, 0)


async def test_what_fails_for_too_long_becomes_a_dead_letter(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexuslims_shared.consume.FIRST_DELAY", 0.001)
    monkeypatch.setattr("nexuslims_shared.consume.LONGEST_DELAY", 0.002)

    async def hopeless(batch: tuple[Recorded, ...]) -> None:
        raise ValueError(f"cannot do {batch[0].event.session}")

    office.sit(hopeless)
    await office.state(request("s-1", 1))
    await office.deliver(MAX_ATTEMPTS)
    await office.settled()
    letters = [letter async for letter in office.letters.read()]
    assert [(one.consumer, one.sequence, one.reason) for one in letters] == [
        ("uploader", 1, "ValueError: cannot do s-1")
    ]
    assert await office.pending() == (0, 0)


async def test_a_dead_letter_that_cannot_be_written_does_not_keep_its_place(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexuslims_shared.consume.MAX_ATTEMPTS", 1)
    monkeypatch.setattr("nexuslims_shared.consume.FIRST_DELAY", 0.001)
    write, away = office.letters.write, [True]

    async def write_or_not(*report: Any) -> None:
        if away.pop() if away else False:
            raise BrokerUnavailableError("away")
        await write(*report)

    async def hopeless(batch: tuple[Recorded, ...]) -> None:
        raise ValueError(f"cannot do {batch[0].event.session}")

    office.sit(hopeless, backlog=1)
    monkeypatch.setattr(office.letters, "write", write_or_not)
    await office.state(request("s-1", 1), request("s-2", 1))
    await office.deliver(3)  # the first of them again, too
    await office.settled()
    assert sorted([letter.sequence async for letter in office.letters.read()]) == [1, 2]
    assert await office.pending() == (0, 0)


async def test_a_retry_that_succeeds_closes_the_letters_of_the_session(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexuslims_shared.consume.MAX_ATTEMPTS", 1)
    letters = SessionDeadLetters(office.letters, office.store)
    broken = [True]

    async def repaired_later(batch: tuple[Recorded, ...]) -> None:
        if broken:
            raise ValueError(f"cannot do {batch[0].event.session}")

    async def status() -> Status:
        return progress(await SessionRepository(office.store).open("s-1")).status

    office.sit(repaired_later)
    office.processor.dead_letters = letters
    await office.state(request("s-1", 1))
    await office.deliver(1)
    await office.settled()
    assert await status() is Status.ERROR
    await office.state(request("s-1", 2))
    assert await status() is Status.WAITING_FOR_END, "a retry takes the session out of its state"
    await office.deliver(1)
    await office.settled()
    assert await status() is Status.ERROR, "and a service that fails again puts it there again"
    broken.clear()
    await office.state(request("s-1", 3))
    await office.deliver(1)
    await office.settled()
    assert await status() is Status.WAITING_FOR_END
    assert [letter async for letter in letters.read()] == []


async def test_the_undecodable_is_a_dead_letter_and_the_next_is_done(office: Office) -> None:
    headers, _ = encode(envelop(request("s-1", 1), source="test"))
    await office.js.publish("nexus.events.s-1.retry-requested", b"{]", headers=headers)
    await office.state(request("s-2", 1))
    office.sit(nothing)
    await office.deliver(2)
    await office.settled()
    letters = [letter async for letter in office.letters.read()]
    assert [letter.sequence for letter in letters] == [1]
    assert "Invalid JSON" in letters[0].reason
    assert office.seen == [(2,)]
    assert list(office.processor.unreadable) == [1]
    await office.letters.remove(letters[0].number)
    assert [letter async for letter in office.letters.read()] == []


NEWER = "nexuslims.retry.requested.v9"


async def publish_newer(office: Office, session: str) -> None:
    """Store what a newer release says of a session."""
    headers, payload = encode(envelop(request(session, 1), source="test"))
    subject = f"nexus.events.{session}.retry-requested"
    await office.js.publish(subject, payload, headers={**headers, "ce-type": NEWER})


async def test_what_a_newer_release_wrote_is_left_until_the_service_is_updated(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexuslims_shared.consume.FIRST_DELAY", 0.01)
    await publish_newer(office, "s-1")
    await office.state(request("s-2", 1))
    office.sit(nothing)
    await office.deliver(3)  # the first of them again, too
    await office.settled()
    assert office.seen == [(2,)]
    assert "retry.requested.v9" in office.processor.unreadable[1]
    assert await office.pending() == (0, 1)
    office.sit(nothing)  # the service starts again
    await office.deliver(1)
    (letter,) = [letter async for letter in office.letters.read()]
    assert letter.sequence == 1
    assert "update the service" in letter.reason
    monkeypatch.setitem(EVENT_TYPES, NEWER, RetryRequested)
    await office.deliver(1)
    await office.settled()
    assert office.seen == [(2,), (1,)]
    assert await office.pending() == (0, 0)
    assert [letter async for letter in office.letters.read()] == [], "it is closed"


async def test_nothing_is_decided_about_a_session_with_an_event_of_a_newer_release(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexuslims_shared.consume.FIRST_DELAY", 0.001)
    monkeypatch.setattr("nexuslims_shared.consume.LONGEST_DELAY", 0.002)

    async def fold(batch: tuple[Recorded, ...]) -> None:
        await read_session(office.store, batch[0].event.session)

    await office.state(request("s-1", 1))
    await office.js.publish("nexus.events.s-1.sample-mounted", b"{}", headers={"ce-type": NEWER})
    office.sit(fold)
    await office.deliver(MAX_ATTEMPTS + 1)
    await office.settled()
    (letter,) = [letter async for letter in office.letters.read()]
    assert "event 2 on nexus.events.s-1.sample-mounted" in letter.reason
    assert list(office.processor.unreadable) == [1]
    assert await office.pending() == (0, 1)


async def test_draining_finishes_what_runs_and_hands_back_the_rest(office: Office) -> None:
    gate = asyncio.Event()

    async def slow(batch: tuple[Recorded, ...]) -> None:
        del batch
        await gate.wait()

    office.sit(slow)
    await office.state(request("s-1", 1), request("s-2", 1))
    await office.deliver(2)
    draining = asyncio.create_task(office.processor.drain(5))
    await asyncio.sleep(0)
    gate.set()
    await draining
    assert office.seen == [(1,)]
    office.sit(nothing)
    await office.deliver(1)
    await office.settled()
    assert office.seen == [(1,), (2,)]
    assert await office.pending() == (0, 0)


async def test_work_that_outlasts_the_grace_is_handed_back(office: Office) -> None:
    async def endless(batch: tuple[Recorded, ...]) -> None:
        del batch
        await asyncio.Event().wait()

    office.sit(endless)
    await office.state(request("s-1", 1))
    await office.deliver(1)
    await office.processor.drain(0.01)
    office.sit(nothing)
    await office.deliver(1)
    await office.settled()
    assert office.seen == [(1,), (1,)]


def test_delays_grow_to_a_limit() -> None:
    assert [growing_delay(attempt) for attempt in (1, 2, 3, 20, 5000)] == [1, 2, 4, 300, 300]
