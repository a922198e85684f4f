"""What folders of people may be called: their user names, and the usual forms of their names."""

from dataclasses import dataclass, field

from nexuslims_shared.people import People, Person


@dataclass(slots=True)
class FolderNames:
    """Names of folders, by the id of a person; kept in memory only.

    Parameters
    ----------
    people
        Where the names of people are.
    """

    people: People
    _known: dict[str, frozenset[str]] = field(default_factory=dict)

    async def of(self, person_id: str) -> frozenset[str]:
        """Return what a folder of a person may be called, lower case; nothing if forgotten."""
        known = self._known.get(person_id)
        if known is None:
            person = await self.people.find(person_id)
            known = self._known[person_id] = _names_of(person) if person else frozenset()
        return known


def _names_of(person: Person) -> frozenset[str]:
    first, last = person.first_name, person.last_name
    names = {person.username, person.email.partition("@")[0]}
    if first and last:
        names |= {f"{first} {last}", f"{first}_{last}", f"{last}_{first}", f"{last}, {first}"}
    return frozenset(name.lower() for name in names if name)
