"""Dead letters, in memory and in the broker's stream, under one suite."""

import asyncio

import pytest
from nats.aio.client import Client

from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.testing import SessionEvents
from nexuslims_contracts.topology import DEAD_LETTER_PREFIX, DEAD_LETTERS
from nexuslims_shared.dead_letters import (
    DeadLetters,
    MemoryDeadLetters,
    SessionDeadLetters,
    StreamDeadLetters,
)
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.session.status import Progress, Status, progress
from nexuslims_shared.store.memory import MemoryEventStore
from nexuslims_shared.testing.dead_letters import DeadLettersBehaviour


class TestInMemory(DeadLettersBehaviour):
    @pytest.fixture
    def letters(self) -> DeadLetters:
        return MemoryDeadLetters()


@pytest.mark.broker
class TestInTheStream(DeadLettersBehaviour):
    @pytest.fixture
    def letters(self, client: Client) -> DeadLetters:
        return StreamDeadLetters(client.jetstream())

    async def test_more_letters_than_one_answer_holds_are_all_read(self, client: Client) -> None:
        letters = StreamDeadLetters(client.jetstream())
        many = [letters.write("builder", number, "subject", "damaged") for number in range(1, 1102)]
        await asyncio.gather(*many)
        assert len([letter.number async for letter in letters.read()]) == len(many)

    @pytest.mark.parametrize("payload", [b"{]", b"[" * 100_000, b"null", b"{}"])
    async def test_one_that_cannot_be_read_is_one_too(self, client: Client, payload: bytes) -> None:
        letters = StreamDeadLetters(client.jetstream())
        await client.jetstream().publish(f"{DEAD_LETTER_PREFIX}.indexer", payload)
        await letters.write("builder", 7, "subject", "damaged")
        found = [letter async for letter in letters.read()]
        assert [letter.consumer for letter in found] == ["indexer", "builder"]
        assert "cannot be read" in found[0].reason
        await letters.remove(found[0].number)
        assert await letters.count() == 1

    async def test_a_broker_without_the_stream_has_none(self, client: Client) -> None:
        jetstream = client.jetstream()
        await jetstream.delete_stream(DEAD_LETTERS.name)
        assert [letter async for letter in StreamDeadLetters(jetstream).read()] == []


class TestInTheSession(DeadLettersBehaviour):
    @pytest.fixture
    def store(self) -> MemoryEventStore:
        return MemoryEventStore()

    @pytest.fixture
    def letters(self, store: MemoryEventStore) -> DeadLetters:
        return SessionDeadLetters(MemoryDeadLetters(), store)

    async def test_a_session_is_stuck_until_the_last_letter_of_its_service_is_closed(
        self, letters: DeadLetters, store: MemoryEventStore
    ) -> None:
        facts = SessionEvents()
        for event in facts.inputs():
            await store.append(envelop(event, source="test"))

        async def at() -> Progress:
            return progress(await SessionRepository(store).open(facts.session))

        before = await at()
        subject = facts.started().subject
        for consumer, sequence in (("builder", 3), ("extractor", 5), ("extractor", 6)):
            await letters.write(consumer, sequence, subject, f"damaged {sequence}")
        stuck = await at()
        assert (stuck.status, stuck.phase) == (Status.ERROR, "stuck")
        assert stuck.reason == "builder: damaged 3; extractor: damaged 6"
        assert len(await letters.close("builder", facts.session)) == 1
        assert len(await letters.close("extractor", facts.session, {5})) == 1
        assert (await at()).reason == "extractor: damaged 6"
        assert await letters.close("extractor", "another") == ()
        assert len(await letters.close("extractor", facts.session)) == 1
        assert await at() == before
        assert await letters.close("extractor", facts.session) == ()

    async def test_what_is_about_no_session_is_a_letter_only(
        self, letters: DeadLetters, store: MemoryEventStore
    ) -> None:
        await letters.write("harvester", 0, "calendar file, session 7", "reversed")
        await letters.write("builder", 3, "nexus.events.no token.x", "forged")
        assert len([letter async for letter in letters.read()]) == 2
        assert await store.last_sequence() == 0
