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

    async def test_an_identifier_outlives_a_username(self, people: People) -> None:
        """A user is renamed, and the name is given to somebody else."""
        john = Person(username="jsmith", first_name="John", last_name="Smith", user_id="7")
        key = await people.remember("nemo-1", john)
        renamed = john.model_copy(update={"username": "jsmith.old"})
        assert await people.remember("nemo-1", renamed) == key
        jane = Person(username="jsmith", first_name="Jane", last_name="Smith", user_id="9")
        other = await people.remember("nemo-1", jane)
        assert await people.everybody() == {key: renamed, other: jane}

    async def test_an_id_made_of_a_username_stays_in_use(self, people: People) -> None:
        """The log holds it; the identifier belongs to the first who can be that person."""
        key = await people.remember("nemo-1", NED)
        numbered = NED.model_copy(update={"user_id": "7"})
        assert await people.remember("nemo-1", numbered) == key
        married = numbered.model_copy(update={"username": "nmoss", "last_name": "Moss"})
        assert await people.remember("nemo-1", married) == key
        assert await people.everybody() == {key: married}
        successor = Person(username="ned", first_name="Edna", last_name="Hall", user_id="8")
        assert await people.remember("nemo-1", successor) != key

    async def test_a_name_of_somebody_else_is_not_taken_over(self, people: People) -> None:
        """Known by username only, and already used by another when identifiers came."""
        key = await people.remember("nemo-1", NED)
        successor = Person(username="ned", first_name="Edna", last_name="Moss", user_id="8")
        assert await people.remember("nemo-1", successor) != key
        assert await people.find(key) == NED

    async def test_who_is_forgotten_stays_so_when_identifiers_come(self, people: People) -> None:
        """And when the username changes."""
        key = await people.remember("nemo-1", NED)
        await people.forget(key)
        for username in ("ned", "nmoss"):
            numbered = NED.model_copy(update={"user_id": "7", "username": username})
            assert await people.remember("nemo-1", numbered) == key
        assert await people.everybody() == {key: None}

    async def test_a_poorer_name_never_replaces_a_richer_one(self, people: People) -> None:
        """A source that gives less, for a while or in one entry."""
        key = await people.remember("file", NED)
        assert await people.remember("file", Person(username="ned")) == key
        assert await people.find(key) == NED
        mail = Person(username="ned", email="moss@example.org")
        await people.remember("file", mail)
        assert await people.find(key) == NED.model_copy(update={"email": "moss@example.org"})

    async def test_nobody_is_nobody(self, people: People) -> None:
        """An empty bucket, an id that nobody has."""
        assert await people.everybody() == {}
        assert await people.find("person-nobody") is None

    async def test_operators_are_kept_until_they_are_forgotten(self, people: People) -> None:
        """As files name them, and whichever file names them again."""
        assert await people.operator_key() == await people.operator_key()
        await people.remember_operators({"person-1": "N. Hall", "person-2": "moss"})
        found = await people.find("person-1")
        assert found is not None
        assert found.display == "N. Hall"
        await people.forget("person-1")
        await people.remember_operators({"person-1": "N. Hall"})
        assert await people.find("person-1") is None
        assert (await people.everybody()).keys() == {"person-1", "person-2"}
