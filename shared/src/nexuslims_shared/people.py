"""People: names live in a bucket, events hold only opaque ids.

The log never forgets; the bucket does. Erasing a name takes it out of everything built later; a
mark stays under the id, so that the calendar's next word does not bring the name back.

The id of a person is derived from the calendar's own identifier of the user, because user names are
changed, and given to other people later. Calendars without such identifiers have user names only.
Before there were identifiers, all ids were derived from user names; these stay in use, because the
log holds them: the key that belongs to the identifier then holds the earlier id.
"""

import logging
import re
import secrets
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol, Self

from pydantic import ValidationError, model_validator

from nexuslims_contracts.identifiers import PERSON_PREFIX, person_id
from nexuslims_contracts.model import ContractModel
from nexuslims_contracts.topology import OPERATORS, PEOPLE
from nexuslims_shared.bucket import BrokerBucket, Bucket, MemoryBucket

if TYPE_CHECKING:
    from nats.js import JetStreamContext

log = logging.getLogger(__name__)

_SALT: Final = "salt"
_FORGOTTEN: Final = b"forgotten"


_PARTED: Final = re.compile(r"[\s\\/]+")
_WORDS: Final = re.compile(r"[^\W_]+")
_WITHOUT_PARTS: Final = str.maketrans({"ø": "o", "ł": "l", "đ": "d"})
"""Letters of which Unicode does not say that they are others with a mark."""
_SPELT_OUT: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
"""How letters are written where a keyboard lacks them."""


class Person(ContractModel):
    """A person's names as a calendar gave them, and its own identifier of them, if it has any."""

    username: str = ""
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    user_id: str = ""

    @model_validator(mode="after")
    def _is_somebody(self) -> Self:
        if not (self.username or self.user_id):
            raise ValueError("a person needs a username, or the calendar's identifier as user_id")
        return self

    @property
    def display(self) -> str:
        """The incumbent's form: ``First Last (username)``."""
        name = f"{self.first_name} {self.last_name}".strip()
        username = self.username or f"user-{self.user_id}"
        return f"{name} ({username})" if name else username

    def completed_from(self, earlier: "Person") -> "Person":
        """Return the same person with what an earlier statement knew and this one does not say."""
        missing = {name: known for name, known in earlier if known and not getattr(self, name)}
        return self.model_copy(update=missing)

    def is_named_by(self, text: str) -> bool:
        """Tell whether a text that a file has for its operator names this person.

        It is the username or the e-mail address, perhaps behind the name of a domain, or has both
        names in whatever order and form, with or without the marks of letters.
        """
        if not text:
            return False
        known = {_folded(one) for one in (self.username, self.email) if one}
        tokens = {one.strip(",;:()<>[]") for one in (_folded(text), *_PARTED.split(_folded(text)))}
        words, name = _words(_folded(text)), _folded(f"{self.first_name} {self.last_name}")
        spellings = (_words(name), _words(name.translate(_SPELT_OUT)))
        return bool(known & tokens) or any(len(one) > 1 and one <= words for one in spellings)

    def may_be_named_by(self, text: str) -> bool:
        """Tell whether a text may name this person: it has the user name, or the last name.

        The last name may stand behind or before an initial or the first name, without a space.
        Others may have that name too, so somebody has to look.
        """
        words = _words(_folded(text))
        if _folded(self.username) in words:
            return True
        for letters in ({}, _SPELT_OUT):
            first, last = (
                "".join(_WORDS.findall(_unmarked(_folded(one).translate(letters))))
                for one in (self.first_name, self.last_name)
            )
            spellings = {last, first + last, last + first, first[:1] + last, last + first[:1]}
            if last and spellings & words:
                return True
        return False

    def may_be(self, other: "Person") -> bool:
        """Tell whether two statements with one user name can be about one person."""
        if {self.user_id, other.user_id} - {"", self.user_id}:
            return False
        named = [(one.first_name.casefold(), one.last_name.casefold()) for one in (self, other)]
        same_mail = self.email.casefold() == other.email.casefold() != ""
        return same_mail or ("", "") in named or named[0] == named[1]


def _folded(text: str) -> str:
    """Return a text in the one form in which letters of whatever case and composition are equal."""
    return unicodedata.normalize("NFKC", text).casefold()


def _words(folded: str) -> set[str]:
    """Return the words of a text, without the marks of letters."""
    return set(_WORDS.findall(_unmarked(folded)))


def _unmarked(folded: str) -> str:
    parts = unicodedata.normalize("NFKD", folded).translate(_WITHOUT_PARTS)
    return "".join(one for one in parts if not unicodedata.combining(one))


class People(Protocol):
    """Where names are kept."""

    async def remember(self, calendar: str, person: Person) -> str:
        """Return the id that events use, and keep the names, unless they are to be forgotten.

        Names that were kept stay where the calendar no longer gives them.

        Parameters
        ----------
        calendar
            Its name: a person has one id in each calendar.
        person
            As the calendar has them now.
        """
        ...

    async def operator_key(self) -> bytes:
        """Return what ids of people are derived with whom files name, and calendars may not."""
        ...

    async def remember_operators(self, named: Mapping[str, str]) -> None:
        """Keep how files name people, unless they are to be forgotten: the name by the id."""
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


def _person(kept: bytes) -> Person | None:
    if kept in (b"", _FORGOTTEN) or _is_id(kept):
        return None
    try:
        return Person.model_validate_json(kept)
    except ValidationError:
        log.warning("a name in the bucket of people cannot be read: it counts as forgotten")
        return None


def _is_id(kept: bytes) -> bool:
    return kept.startswith(PERSON_PREFIX.encode())


class KeptPeople:
    """Names in buckets.

    Parameters
    ----------
    bucket
        Where those are that calendars give.
    operators
        Where those are that files have: what reads files need not see the others.
    """

    def __init__(self, bucket: Bucket, operators: Bucket) -> None:
        self._bucket, self._operators = bucket, operators

    async def remember(self, calendar: str, person: Person) -> str:
        """Keep a person's names; see the port."""
        key = await self._key(calendar, person)
        kept = await self._bucket.get(key)
        if kept != _FORGOTTEN:
            earlier = _person(kept)
            now = person.completed_from(earlier) if earlier else person
            if now != earlier:
                await self._bucket.put(key, now.model_dump_json().encode())
        return key

    async def operator_key(self) -> bytes:
        """Return the key for ids of operators; see the port."""
        return await _salt_of(self._operators)

    async def remember_operators(self, named: Mapping[str, str]) -> None:
        """Keep how files name people; see the port."""
        for key, name in named.items():
            person = Person(username=name)
            await self._operators.create(key, person.model_dump_json().encode())

    async def find(self, person_id: str) -> Person | None:
        """Return a person's names; see the port."""
        kept = await self._bucket.get(person_id) or await self._operators.get(person_id)
        return _person(kept)

    async def forget(self, person_id: str) -> bool:
        """Erase a person's names; see the port."""
        known = await self.find(person_id) is not None
        named_by_files = await self._operators.get(person_id) != b""
        bucket = self._operators if named_by_files else self._bucket
        await bucket.put(person_id, _FORGOTTEN)
        return known

    async def everybody(self) -> dict[str, Person | None]:
        """Return all names; see the port."""
        kept = {
            key: await bucket.get(key)
            for bucket in (self._bucket, self._operators)
            for key in await bucket.keys()
            if key != _SALT
        }
        return {key: _person(value) for key, value in kept.items() if not _is_id(value)}

    async def _key(self, calendar: str, person: Person) -> str:
        """Return a person's id: that of the identifier, or an earlier one that it stands for."""
        salt = await _salt_of(self._bucket)
        by_name = person_id(salt, calendar, person.username.casefold())
        if not person.user_id:
            return by_name
        own = person_id(salt, calendar, f"\0{person.user_id}")
        kept = await self._bucket.get(own)
        if kept:
            return kept.decode() if _is_id(kept) else own
        former = await self._bucket.get(by_name) if person.username else b""
        earlier = _person(former)
        if former == _FORGOTTEN or (earlier is not None and person.may_be(earlier)):
            await self._bucket.put(own, by_name.encode())
            return by_name
        return own


async def _salt_of(bucket: Bucket) -> bytes:
    """Return a bucket's secret: whoever comes first makes it, all others use it."""
    return await bucket.create(_SALT, secrets.token_hex(16).encode())


class MemoryPeople(KeptPeople):
    """Names in memory, for tests."""

    def __init__(self) -> None:
        super().__init__(MemoryBucket(), MemoryBucket())


class BucketPeople(KeptPeople):
    """Names in a bucket of the broker."""

    def __init__(self, jetstream: "JetStreamContext") -> None:
        super().__init__(BrokerBucket(jetstream, PEOPLE), BrokerBucket(jetstream, OPERATORS))
