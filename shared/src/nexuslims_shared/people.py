"""People: names live in a bucket, events hold only opaque ids.

The log never forgets; the bucket does. Erasing a name takes it out of everything built later; a
mark stays under the id, so that the calendar's next word does not bring the name back.
"""

import asyncio
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Protocol

import nats.js.errors

from nexuslims_contracts.model import ContractModel
from nexuslims_contracts.topology import PEOPLE
from nexuslims_shared.store.jetstream import one_error_for_silence

if TYPE_CHECKING:
    from nats.js import JetStreamContext
    from nats.js.kv import KeyValue

_SALT = "salt"
_FORGOTTEN = b"forgotten"


class Person(ContractModel):
    """A person's names, as the calendar gave them."""

    username: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""

    @property
    def display(self) -> str:
        """The incumbent's form: ``First Last (username)``."""
        name = f"{self.first_name} {self.last_name}".strip()
        return f"{name} ({self.username})" if name else self.username


class People(Protocol):
    """Where names are kept."""

    async def remember(self, calendar: str, person: Person) -> str:
        """Keep a person's names, unless they were erased, and return the id that events use.

        Parameters
        ----------
        calendar
            Name of the calendar that knows the person.
        person
            The names, as they are today.
        """
        ...

    async def find(self, person_id: str) -> Person | None:
        """Return a person's names, None if they were forgotten."""
        ...

    async def forget(self, person_id: str) -> bool:
        """Erase a person's names, for good; False if there were none."""
        ...

    async def everybody(self) -> dict[str, Person | None]:
        """Return all names by id; None for who is forgotten."""
        ...


def person_id(salt: bytes, calendar: str, username: str) -> str:
    """Return the id of a person, from which nobody finds the name who does not know the salt.

    Parameters
    ----------
    salt
        Secret of the facility, kept in the bucket.
    calendar
        Name of the calendar; the same username in another calendar is another person.
    username
        The person's name in that calendar, in any case of letters.
    """
    message = f"{calendar}\0{username.casefold()}".encode()
    return "person-" + hmac.digest(salt, message, hashlib.sha256).hex()[:20]


def _person(kept: bytes) -> Person | None:
    return None if kept in (b"", _FORGOTTEN) else Person.model_validate_json(kept)


class MemoryPeople:
    """Names in memory, for tests."""

    def __init__(self, salt: bytes = b"salt") -> None:
        self._salt = salt
        self._people: dict[str, Person | None] = {}

    async def remember(self, calendar: str, person: Person) -> str:
        """Keep a person's names; see the port."""
        key = person_id(self._salt, calendar, person.username)
        self._people.setdefault(key, person)
        if self._people[key] is not None:
            self._people[key] = person
        return key

    async def find(self, person_id: str) -> Person | None:
        """Return a person's names; see the port."""
        return self._people.get(person_id)

    async def forget(self, person_id: str) -> bool:
        """Erase a person's names; see the port."""
        known = self._people.get(person_id) is not None
        self._people[person_id] = None
        return known

    async def everybody(self) -> dict[str, Person | None]:
        """Return all names; see the port."""
        return dict(sorted(self._people.items()))


class BucketPeople:
    """Names in a key-value bucket of the broker."""

    def __init__(self, jetstream: "JetStreamContext") -> None:
        self._js = jetstream
        self._bucket: KeyValue | None = None
        self._salt: bytes | None = None
        self._lock = asyncio.Lock()

    async def remember(self, calendar: str, person: Person) -> str:
        """Keep a person's names; see the port."""
        with one_error_for_silence():
            bucket = await self._open()
            key = person_id(await self._read_salt(bucket), calendar, person.username)
            kept = await self._read(key)
            if kept not in (_FORGOTTEN, written := person.model_dump_json().encode()):
                await bucket.put(key, written)
        return key

    async def find(self, person_id: str) -> Person | None:
        """Return a person's names; see the port."""
        return _person(await self._read(person_id))

    async def forget(self, person_id: str) -> bool:
        """Erase a person's names; see the port."""
        known = await self.find(person_id) is not None
        with one_error_for_silence():
            bucket = await self._open()
            await bucket.purge(person_id)
            await bucket.put(person_id, _FORGOTTEN)
        return known

    async def everybody(self) -> dict[str, Person | None]:
        """Return all names; see the port."""
        prefix = f"$KV.{PEOPLE.name}."
        with one_error_for_silence():
            info = await self._js.stream_info(f"KV_{PEOPLE.name}", subjects_filter=f"{prefix}>")
        keys = {subject.removeprefix(prefix) for subject in info.state.subjects or ()} - {_SALT}
        return {key: await self.find(key) for key in sorted(keys)}

    async def _read(self, person_id: str) -> bytes:
        """Return what is kept under an id, nothing if there is no such key."""
        try:
            with one_error_for_silence():
                return (await (await self._open()).get(person_id)).value or b""
        except nats.js.errors.KeyNotFoundError:
            return b""

    async def _open(self) -> "KeyValue":
        if self._bucket is None:
            self._bucket = await self._js.key_value(PEOPLE.name)
        return self._bucket

    async def _read_salt(self, bucket: "KeyValue") -> bytes:
        """Whoever comes first makes the salt; all others use it."""
        async with self._lock:
            if self._salt is None:
                try:
                    await bucket.create(_SALT, secrets.token_hex(16).encode())
                except nats.js.errors.KeyWrongLastSequenceError:
                    self._salt = None
                self._salt = (await bucket.get(_SALT)).value
            return self._salt or b""
