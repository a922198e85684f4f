"""Dead letters, in memory and in the broker's stream, under one suite."""

import asyncio

import pytest
from nats.aio.client import Client

from nexuslims_contracts.topology import DEAD_LETTERS
from nexuslims_shared.dead_letters import DeadLetters, MemoryDeadLetters, StreamDeadLetters
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

    async def test_a_broker_without_the_stream_has_none(self, client: Client) -> None:
        jetstream = client.jetstream()
        await jetstream.delete_stream(DEAD_LETTERS.name)
        assert [letter async for letter in StreamDeadLetters(jetstream).read()] == []
