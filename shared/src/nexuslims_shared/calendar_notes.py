"""What is kept about a calendar beside its sessions' events.

When all its sessions were last compared with it, and the withdrawals that wait for an operator,
because so many at once look like a calendar that lost something.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

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
_SHARE: Final = 0.25
_HELD_SESSIONS: Final = TypeAdapter(dict[str, str])
_APPROVED_SESSIONS: Final = TypeAdapter(frozenset[str])


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
            kind, _, calendar = key.partition(".")
            if kind == _HELD and (sessions := await self.held_of(calendar)):
                found[calendar] = sessions
        return found

    async def held_of(self, calendar: str) -> dict[str, str]:
        """Return the sessions of one calendar that wait for an operator, with the reason."""
        key = f"{_HELD}.{calendar}"
        try:
            return _HELD_SESSIONS.validate_json(await self._bucket.get(key) or b"{}")
        except ValidationError as error:
            _warn(key, error)
            return {}

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
            await self._bucket.put(f"{_HELD}.{calendar}", json.dumps(dict(sessions)).encode())

    async def approved(self, calendar: str) -> frozenset[str]:
        """Return the sessions that an operator approved to withdraw."""
        key = f"{_APPROVED}.{calendar}"
        try:
            return _APPROVED_SESSIONS.validate_json(await self._bucket.get(key) or b"[]")
        except ValidationError as error:
            _warn(key, error)
            return frozenset()

    async def approve(self, calendar: str, sessions: Iterable[str]) -> None:
        """Keep which sessions may be withdrawn, instead of those approved before.

        Parameters
        ----------
        calendar
            Its name.
        sessions
            Tokens; none, when all were dealt with.
        """
        approved = sorted(sessions)
        if frozenset(approved) != await self.approved(calendar):
            await self._bucket.put(f"{_APPROVED}.{calendar}", json.dumps(approved).encode())

    async def settle(self, calendar: str, sessions: Iterable[str]) -> None:
        """Take back the approval of sessions that were dealt with: it was for that once.

        Parameters
        ----------
        calendar
            Its name.
        sessions
            Tokens of those that were withdrawn, or that the calendar has again.
        """
        approved = await self.approved(calendar)
        if left := approved & frozenset(sessions):
            await self.approve(calendar, approved - left)


def _warn(key: str, error: Exception) -> None:
    log.warning("the note %s of %s cannot be read, and counts as none: %s", key, _BUCKET, error)
