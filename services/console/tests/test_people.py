"""Who is forgotten with a person, and who has to be looked at."""

from nexuslims_console.actions.people import perhaps_same, same_person
from nexuslims_shared.people import Person

EVERYBODY = {
    "person-1": Person(username="nh", first_name="Ned", last_name="Hall", email="n@example.org"),
    "person-2": Person(username="Ned.Hall"),
    "person-3": Person(username=r"LAB\nh"),
    "person-4": Person(username="N. Hall"),
    "person-5": Person(username="nhall"),
    "person-6": Person(username="eh", first_name="Edna", last_name="Hall"),
    "person-7": Person(username="supervisor"),
    "person-8": None,
}


def test_whom_a_file_surely_names_is_forgotten_and_whom_it_may_name_is_listed() -> None:
    people = same_person(EVERYBODY, "person-1")
    assert people == ["person-1", "person-2", "person-3"]
    assert perhaps_same(EVERYBODY, people) == ("person-4", "person-5")
    assert perhaps_same(EVERYBODY, ["person-8"]) == ()
