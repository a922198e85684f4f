"""People: kept, found, forgotten for good; in memory and in the broker's bucket."""

from contextlib import suppress

import nats.js.errors
import pytest
from nats.aio.client import Client

from nexuslims_contracts.topology import PEOPLE
from nexuslims_shared.bucket import BrokerBucket
from nexuslims_shared.people import BucketPeople, MemoryPeople, People, Person
from nexuslims_shared.testing.people import NED, PeopleBehaviour


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


@pytest.mark.parametrize(
    "text",
    [
        "ned",
        "NED",
        "Ned Hall",
        "hall, ned",
        "Ned.Hall",
        "ned@example.org",
        "by ned, room 7",
        r"LAB\ned",
    ],
)
def test_whom_a_text_names(text: str) -> None:
    assert NED.is_named_by(text)


@pytest.mark.parametrize(
    "text",
    [
        "Zoé Quäggström", "Zoe\u0301 Qua\u0308ggstro\u0308m", "QUÄGGSTRÖM ZOÉ", "Zoe Quaggstrom",
        "Quaeggstroem, Zoe\u0301", "zo\u00e9@example.org", "ZOE\u0301@example.org",
    ],
)  # fmt: skip
def test_whom_a_text_names_however_it_writes_letters(text: str) -> None:
    person = Person(
        username="zq", first_name="Zoé", last_name="Quäggström", email="zoé@example.org"
    )
    assert person.is_named_by(text)
    assert not person.is_named_by("Zoë Quist")
    assert Person(username="j", first_name="Jens", last_name="Ørsted").is_named_by("JENS ORSTED")


@pytest.mark.parametrize("text", ["", "Ned", "Hall", "Edna Hall", "nedhall", "ned2"])
def test_whom_a_text_does_not_name(text: str) -> None:
    person = NED.model_copy(update={"username": "nh"})
    assert not person.is_named_by(text)


@pytest.mark.parametrize(
    "text", ["Hall", "N. Hall", "nhall", "HALL_N", "nedhall", "Dr. Hall", "n.hall@lab", "nh@lab"]
)
def test_whom_a_text_may_name(text: str) -> None:
    person = NED.model_copy(update={"username": "nh"})
    assert person.may_be_named_by(text)
    assert not person.is_named_by(text)


@pytest.mark.parametrize("text", ["", "Ned", "Halle", "nhallberg", "ned2", "nhx"])
def test_whom_a_text_cannot_name(text: str) -> None:
    assert not NED.model_copy(update={"username": "nh"}).may_be_named_by(text)


def test_who_has_letters_with_marks_may_be_named_without_them() -> None:
    person = Person(username="zq", first_name="Zoé", last_name="Quäggström")
    assert all(map(person.may_be_named_by, ("Z. Quaggstrom", "zquaeggstroem", "QUÄGGSTRÖM")))


@pytest.mark.broker
async def test_a_name_that_cannot_be_read_hides_no_other(client: Client) -> None:
    people = BucketPeople(client.jetstream())
    known = await people.remember("nemo", NED)
    await BrokerBucket(client.jetstream(), PEOPLE).put("person-damaged", b"{]")
    assert await people.find("person-damaged") is None
    assert (await people.everybody())[known] == NED
