"""What is kept about a calendar beside its sessions' events.

When all its sessions were last compared with it, and the withdrawals that wait for an operator,
because so many at once look like a calendar that lost something.

What an operator approves and what a service makes of that have keys of their own, so that the
broker lets each write its own only: an approval counts until the service notes it as dealt with.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from pydantic import TypeAdapter, ValidationError

from nexuslims_contracts.topology import CALENDARS
from nexuslims_shared.bucket import BrokerBucket, Bucket

if TYPE_CHECKING:
    from nats.js import JetStreamContext

log = logging.getLogger(__name__)

_BUCKET: Final = CALENDARS.name
_SWEPT: Final = "swept"
_HELD: Final = "held"
_APPROVED: Final = "approved"
_SETTLED: Final = "settled"
_SHARE: Final = 0.25
_BY_SESSION: Final = TypeAdapter(dict[str, str])
_SESSIONS: Final = TypeAdapter(list[str])
"""How earlier releases kept approvals."""


def in_bulk(losses: int, sessions: int, at_most: int) -> bool:
    """Tell whether so many records lose most of their files at once that an operator decides.

    Parameters
    ----------
    losses
        How many there are.
    sessions
        Of how many sessions.
    at_most
        So many pass in any case, but for a quarter of few sessions; one alone always does.
    """
    return losses > at_most or (losses > 1 and losses > _SHARE * sessions)


class CalendarNotes:
    """Notes about calendars, in a bucket.

    One that cannot be understood counts as none: a calendar is gone over whole again, and what
    waits for an operator is found again.

    Parameters
    ----------
    bucket
        Where they are kept.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    @classmethod
    def on(cls, jetstream: "JetStreamContext") -> "CalendarNotes":
        """Return those of the broker."""
        return cls(BrokerBucket(jetstream, CALENDARS))

    async def swept(self, calendar: str) -> datetime | None:
        """Return when a calendar was last gone over whole, if it ever was."""
        key = f"{_SWEPT}.{calendar}"
        kept = await self._bucket.get(key)
        try:
            return datetime.fromisoformat(kept.decode()).astimezone(UTC) if kept else None
        except (ValueError, OverflowError) as error:
            _warn(key, error)
            return None

    async def note_sweep(self, calendar: str, moment: datetime) -> None:
        """Keep when a calendar was gone over whole.

        Parameters
        ----------
        calendar
            Its name.
        moment
            When that began: what changed afterwards may have been missed.
        """
        await self._bucket.put(f"{_SWEPT}.{calendar}", moment.isoformat().encode())

    async def held(self) -> dict[str, dict[str, str]]:
        """Return what waits for an operator: by calendar, each session with the reason."""
        found: dict[str, dict[str, str]] = {}
        for key in await self._bucket.keys():
            kind, _, rest = key.partition(".")
            calendar = rest.replace(".", "/", 1)
            if kind == _HELD and (sessions := await self.held_of(calendar)):
                found[calendar] = sessions
        return found

    async def held_of(self, calendar: str) -> dict[str, str]:
        """Return the sessions of one calendar that wait for an operator, with the reason."""
        return await self._by_session(_HELD, calendar)

    async def hold(self, calendar: str, sessions: Mapping[str, str]) -> None:
        """Keep what waits for an operator, instead of what waited before.

        Parameters
        ----------
        calendar
            Its name.
        sessions
            Those that are not withdrawn yet, with the reason why they would be.
        """
        if dict(sessions) != await self.held_of(calendar):
            await self._put(_HELD, calendar, sessions)

    async def approved(self, calendar: str) -> frozenset[str]:
        """Return the sessions that an operator approved to withdraw, and that still are there."""
        return frozenset(await self._open(calendar))

    async def approve(self, calendar: str, sessions: Iterable[str]) -> None:
        """Keep that sessions may be withdrawn, beside those approved before.

        Parameters
        ----------
        calendar
            Its name.
        sessions
            Tokens.
        """
        known = await self._open(calendar)
        approved = {one: uuid4().hex for one in sorted(set(sessions))} | known
        if approved != known:
            await self._put(_APPROVED, calendar, approved)

    async def settle(self, calendar: str, sessions: Iterable[str]) -> None:
        """Let the approval of sessions that were dealt with count no more: it was for that once.

        Parameters
        ----------
        calendar
            Its name.
        sessions
            Tokens of those that were withdrawn, or that the calendar has again.
        """
        known = await self._open(calendar)
        if done := {one: known[one] for one in sorted(known.keys() & set(sessions))}:
            approvals = (await self._by_session(_APPROVED, calendar)).items()
            earlier = (await self._by_session(_SETTLED, calendar)).items()
            await self._put(_SETTLED, calendar, dict(approvals & earlier) | done)

    async def _open(self, calendar: str) -> dict[str, str]:
        """Return the approvals that count, each with its id."""
        approvals = await self._by_session(_APPROVED, calendar)
        settled = await self._by_session(_SETTLED, calendar)
        return {one: own for one, own in approvals.items() if settled.get(one) != own}

    async def _by_session(self, kind: str, calendar: str) -> dict[str, str]:
        key, earlier = _key(kind, calendar), f"{kind}.{calendar}"
        kept = await self._bucket.get(key)
        if not kept and key != earlier:  # as earlier releases named it
            kept = await self._bucket.get(earlier)
        try:
            if kind == _APPROVED and kept.startswith(b"["):
                return dict.fromkeys(_SESSIONS.validate_json(kept), "")
            return _BY_SESSION.validate_json(kept or b"{}")
        except ValidationError as error:
            _warn(key, error)
            return {}

    async def _put(self, kind: str, calendar: str, sessions: Mapping[str, str]) -> None:
        await self._bucket.put(_key(kind, calendar), json.dumps(dict(sessions)).encode())


def _key(kind: str, calendar: str) -> str:
    """Return the key of a note; what is of no calendar, as ``files/Titan``, has one token more."""
    return f"{kind}.{calendar.replace('/', '.', 1)}"


def _warn(key: str, error: Exception) -> None:
    log.warning("the note %s of %s cannot be read, and counts as none: %s", key, _BUCKET, error)
