"""People: kept, found, forgotten for good; in memory and in the broker's bucket."""

from contextlib import suppress

import nats.js.errors
import pytest
from nats.aio.client import Client

from nexuslims_contracts.topology import PEOPLE
from nexuslims_shared.people import BucketPeople, MemoryPeople, People, Person

NED = Person(username="ned", first_name="Ned", last_name="Hall", email="ned@example.org")


class PeopleBehaviour:
    """What everything that keeps names must do; the fixture is ``people``."""

    async def test_names_are_found_by_an_id_that_does_not_tell_them(self, people: People) -> None:
        """The id is in the log for ever."""
        key = await people.remember("nemo-1", NED)
        assert await people.find(key) == NED
        assert "ned" not in key.lower()
        assert await people.everybody() == {key: NED}

    async def test_one_person_has_one_id_in_a_calendar(self, people: People) -> None:
        """However the name is written today."""
        married = NED.model_copy(update={"username": "NED", "last_name": "Moss"})
        key = await people.remember("nemo-1", NED)
        assert await people.remember("nemo-1", married) == key
        assert await people.find(key) == married
        assert await people.remember("nemo-2", NED) != key

    async def test_who_is_forgotten_stays_so(self, people: People) -> None:
        """The calendar goes on naming them."""
        key = await people.remember("nemo-1", NED)
        assert await people.forget(key)
        assert not await people.forget(key)
        assert await people.find(key) is None
        assert await people.remember("nemo-1", NED) == key
        assert await people.find(key) is None
        assert await people.everybody() == {key: None}

    async def test_nobody_is_nobody(self, people: People) -> None:
        """An empty bucket, an id that nobody has."""
        assert await people.everybody() == {}
        assert await people.find("person-nobody") is None


class TestInMemory(PeopleBehaviour):
    """For tests."""

    @pytest.fixture
    def people(self) -> People:
        """Nobody yet."""
        return MemoryPeople()


@pytest.mark.broker
class TestInTheBucket(PeopleBehaviour):
    """On the real broker."""

    @pytest.fixture
    def people(self, client: Client) -> People:
        """Nobody yet."""
        return BucketPeople(client.jetstream())

    async def test_the_broker_holds_nothing_of_a_forgotten_name(self, client: Client) -> None:
        """One revision of a key, and that is the mark."""
        people = BucketPeople(client.jetstream())
        key = await people.remember("nemo-1", NED)
        await people.forget(key)
        stream = f"KV_{PEOPLE.name}"
        state = (await client.jetstream().stream_info(stream)).state
        kept = []
        for sequence in range(state.first_seq, state.last_seq + 1):
            with suppress(nats.js.errors.NotFoundError):
                kept.append((await client.jetstream().get_msg(stream, sequence)).data or b"")
        assert kept
        assert not any(b"Hall" in data for data in kept)
