"""A broker that does not answer is one error, wherever it is met."""

from pathlib import Path

import pytest

from nexuslims_shared.broker import connect, provision
from nexuslims_shared.dead_letters import StreamDeadLetters
from nexuslims_shared.embedded import start_embedded
from nexuslims_shared.errors import BrokerUnavailableError
from nexuslims_shared.people import BucketPeople, Person


@pytest.mark.broker
async def test_people_and_dead_letters_say_that_the_broker_is_gone(tmp_path: Path) -> None:
    broker = start_embedded(tmp_path)
    client = await connect(broker.url, name="test", wait=False)
    try:
        jetstream = client.jetstream(timeout=0.3)
        await provision(jetstream)
        people, letters = BucketPeople(jetstream), StreamDeadLetters(jetstream)
        assert await people.find("person-nobody") is None
    finally:
        broker.stop()
    with pytest.raises(BrokerUnavailableError, match="does not answer"):
        await people.remember("file", Person(username="ned"))
    with pytest.raises(BrokerUnavailableError, match="does not answer"):
        await letters.write("harvester", 0, "session 1", "reversed")
    await client.close()
