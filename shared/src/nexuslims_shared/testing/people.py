"""How everything behaves that keeps people's names."""

from nexuslims_shared.people import People, Person

NED = Person(username="ned", first_name="Ned", last_name="Hall", email="ned@example.org")


class PeopleBehaviour:
    """Inherit, give a fixture ``people`` that knows nobody, and pass."""

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
