"""Dead letters, in memory and in the broker's stream, under one suite."""

import pytest
from nats.aio.client import Client

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
