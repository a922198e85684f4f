"""Calls to destinations: what they answer, and how patient we are with those that do not."""

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from nexuslims_shared.consume import growing_delay
from nexuslims_uploader.breaker import LONGEST_RETRY_AFTER, Away, Breaker
from nexuslims_uploader.destination import RecordToUpload
from nexuslims_uploader.errors import PermanentUploadError, TransientUploadError

log = logging.getLogger(__name__)

PATIENCE: Final = 5
"""Attempts with one record, over about half a minute, before a destination's absence is stated."""
PATIENCE_WITH_ALL: Final = timedelta(seconds=30)
"""The same for a destination that answers nobody."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Postponed:
    """A destination is away: when to come again, why, and whether that is to be stated."""

    delay: timedelta
    reason: str
    lasting: bool


class Calls:
    """All calls of one uploader; what it knows of the destinations' presence is in memory only.

    Parameters
    ----------
    destinations
        Their names.
    clock
        Seconds on a clock that only goes forward.
    now
        The time, for people.
    """

    def __init__(
        self,
        destinations: Iterable[str],
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._breakers = {name: Breaker(clock, now) for name in destinations}
        self._attempts: Counter[tuple[str, str, str]] = Counter()
        self._waiting: defaultdict[str, set[str]] = defaultdict(set)

    async def call(
        self, destination: str, record: RecordToUpload, work: Callable[[], Awaitable[T]]
    ) -> T | PermanentUploadError | Postponed:
        """Do something at a destination, unless it is to be left alone.

        Parameters
        ----------
        destination
            Its name.
        record
            What it is about.
        work
            The call.
        """
        breaker = self._breakers[destination]
        wait = breaker.wait()
        if wait is not None and breaker.away is not None:
            self._waiting[destination].add(record.session)
            return _postponed(wait, breaker.away, lasting=_lasts(breaker))
        with breaker.asking() as begun:
            outcome = await _attempt(destination, record.session, work)
            if isinstance(outcome, TransientUploadError):
                away = breaker.failed(begun, outcome)
                return self._failed(destination, record, outcome, away)
            breaker.answered()
        self._waiting[destination].discard(record.session)
        del self._attempts[destination, record.session, record.sha256]
        return outcome

    def notes(self) -> dict[str, str]:
        """Say of each destination that is away since when, why, and how many sessions wait."""
        return {
            name: f"away since {_shown(breaker.away.since)}, {breaker.away.failures} attempts;"
            f" {len(self._waiting[name])} sessions wait: {breaker.away.reason}"
            for name, breaker in self._breakers.items()
            if breaker.away is not None
        }

    def _failed(
        self, destination: str, record: RecordToUpload, error: TransientUploadError, away: Away
    ) -> Postponed:
        log.info("%s", error)
        if away.failures == 1:
            self._waiting[destination].clear()  # those of an earlier absence
        self._waiting[destination].add(record.session)
        key = (destination, record.session, record.sha256)
        self._attempts[key] += 1
        attempts = self._attempts[key]
        asked = min(error.retry_after or timedelta(), LONGEST_RETRY_AFTER)
        delay = max(timedelta(seconds=growing_delay(attempts)), asked)
        lasting = attempts >= PATIENCE or _lasts(self._breakers[destination])
        return _postponed(delay, away, lasting=lasting)


def _lasts(breaker: Breaker) -> bool:
    return breaker.away_for() >= PATIENCE_WITH_ALL


def _postponed(delay: timedelta, away: Away, *, lasting: bool) -> Postponed:
    return Postponed(delay, f"away since {_shown(away.since)}: {away.reason}", lasting)


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


async def _attempt(
    destination: str, session: str, work: Callable[[], Awaitable[T]]
) -> T | PermanentUploadError | TransientUploadError:
    try:
        return await work()
    except (PermanentUploadError, TransientUploadError) as error:
        return error
    except asyncio.CancelledError:
        raise
    except Exception as error:
        log.exception("destination %s failed in a way it should not", destination)
        return TransientUploadError(
            f"the destination failed with a {type(error).__name__}",
            destination=destination,
            session=session,
            remedy="see the uploader's log, and tell the author of the plugin",
        )
