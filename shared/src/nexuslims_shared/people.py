"""People: names live in a bucket, events hold only opaque ids.

The log never forgets; the bucket does. Erasing a key takes the name out of everything built later.
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
        """Keep a person's names and return the id that events use."""
        ...

    async def find(self, person_id: str) -> Person | None:
        """Return a person's names, None if they were forgotten."""
        ...

    async def forget(self, person_id: str) -> bool:
        """Erase a person's names; False if there were none."""
        ...


def person_id(salt: bytes, calendar: str, username: str) -> str:
    """Derive an id that is the same each time, and tells nothing without the salt."""
    message = f"{calendar}\0{username.casefold()}".encode()
    return "person-" + hmac.digest(salt, message, hashlib.sha256).hex()[:20]


class MemoryPeople:
    """Names in memory, for tests."""

    def __init__(self, salt: bytes = b"salt") -> None:
        self._salt = salt
        self._people: dict[str, Person] = {}

    async def remember(self, calendar: str, person: Person) -> str:
        """Keep a person's names; see the port."""
        key = person_id(self._salt, calendar, person.username)
        self._people[key] = person
        return key

    async def find(self, person_id: str) -> Person | None:
        """Return a person's names; see the port."""
        return self._people.get(person_id)

    async def forget(self, person_id: str) -> bool:
        """Erase a person's names; see the port."""
        return self._people.pop(person_id, None) is not None


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
            if await self.find(key) != person:
                await bucket.put(key, person.model_dump_json().encode())
        return key

    async def find(self, person_id: str) -> Person | None:
        """Return a person's names; see the port."""
        try:
            with one_error_for_silence():
                entry = await (await self._open()).get(person_id)
        except nats.js.errors.KeyNotFoundError:
            return None
        return Person.model_validate_json(entry.value or b"")

    async def forget(self, person_id: str) -> bool:
        """Erase a person's names; see the port."""
        bucket = await self._open()
        known = await self.find(person_id) is not None
        await bucket.purge(person_id)
        return known

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
