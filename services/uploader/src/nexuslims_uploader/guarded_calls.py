"""Calls to destinations through circuit breakers: one that does not answer is called less often."""

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from nexuslims_contracts.text import counted
from nexuslims_shared.consume import growing_delay
from nexuslims_shared.errors import LeaseError
from nexuslims_shared.telemetry.metrics import (
    BREAKER_OPEN,
    DESTINATION_AWAY,
    DESTINATION_CALLS,
    DESTINATION_WAITING,
)
from nexuslims_uploader.breaker import LONGEST_RETRY_AFTER, CircuitBreaker, Outage
from nexuslims_uploader.destination import RecordToUpload
from nexuslims_uploader.errors import PermanentUploadError, TransientUploadError

log = logging.getLogger(__name__)

ATTEMPTS_BEFORE_FAILURE: Final = 5
"""Attempts with one record, over about half a minute, before an event states that it failed."""
OUTAGE_BEFORE_FAILURE: Final = timedelta(seconds=30)
"""How long a destination may answer no record at all before events state that uploads failed."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Deferred:
    """A destination does not answer.

    Parameters
    ----------
    delay
        When to try again.
    reason
        Why it is deferred, for people.
    lasting
        Whether it has lasted so long that an event states it.
    busy
        Whether it is only that another process is at work there.
    """

    delay: timedelta
    reason: str
    lasting: bool
    busy: bool = False


class GuardedCalls:
    """All calls of one uploader; which destinations do not answer is kept in memory only.

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
        self._breakers = {name: CircuitBreaker(clock, now) for name in destinations}
        for name, breaker in self._breakers.items():
            self._publish(name, breaker)
        self._attempts: Counter[tuple[str, str, str]] = Counter()
        self._waiting: defaultdict[str, set[str]] = defaultdict(set)

    async def call(
        self, destination: str, record: RecordToUpload, work: Callable[[], Awaitable[T]]
    ) -> T | PermanentUploadError | Deferred:
        """Call a destination, unless its circuit breaker is open.

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
        if wait is not None and breaker.outage is not None:
            self._waiting[destination].add(record.session)
            return _deferred(wait, breaker.outage, lasting=_lasts(breaker))
        with breaker.asking() as begun:
            outcome = await _attempt(destination, record.session, work)
            if isinstance(outcome, TransientUploadError):
                outage = breaker.failed(begun, outcome)
                return self._failed(destination, record, outcome, outage)
            breaker.answered()
        self._waiting[destination].discard(record.session)
        del self._attempts[destination, record.session, record.sha256]
        return outcome

    def _publish(self, name: str, breaker: CircuitBreaker) -> None:
        """Have the metrics ask the breaker whenever somebody asks them."""
        for result in ("accepted", "refused", "deferred", "failed"):
            DESTINATION_CALLS.expect("upload", name, result)
        BREAKER_OPEN.labels(name).set_function(lambda: float(breaker.wait() is not None))
        DESTINATION_AWAY.labels(name).set_function(
            lambda: breaker.outage_duration().total_seconds()
        )
        DESTINATION_WAITING.labels(name).set_function(
            lambda: len(self._waiting[name]) if breaker.outage else 0
        )

    def notes(self) -> dict[str, str]:
        """Describe the outage of each destination that does not answer, for the health page."""
        return {
            name: f"away since {_minute(breaker.outage.since)},"
            f" {counted(breaker.outage.failures, 'attempt')};"
            f" {counted(len(self._waiting[name]), 'session waits', 'sessions wait')}:"
            f" {breaker.outage.reason}"
            for name, breaker in self._breakers.items()
            if breaker.outage is not None
        }

    def _failed(
        self, destination: str, record: RecordToUpload, error: TransientUploadError, outage: Outage
    ) -> Deferred:
        log.info("%s", error)
        if outage.failures == 1:
            self._waiting[destination].clear()  # those of an earlier absence
        self._waiting[destination].add(record.session)
        key = (destination, record.session, record.sha256)
        self._attempts[key] += 1
        attempts = self._attempts[key]
        asked = min(error.retry_after or timedelta(), LONGEST_RETRY_AFTER)
        delay = max(timedelta(seconds=growing_delay(attempts)), asked)
        lasting = attempts >= ATTEMPTS_BEFORE_FAILURE or _lasts(self._breakers[destination])
        return _deferred(delay, outage, lasting=lasting)


def _lasts(breaker: CircuitBreaker) -> bool:
    return breaker.outage_duration() >= OUTAGE_BEFORE_FAILURE


def _deferred(delay: timedelta, outage: Outage, *, lasting: bool) -> Deferred:
    return Deferred(delay, f"away since {_minute(outage.since)}: {outage.reason}", lasting)


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


async def _attempt(
    destination: str, session: str, work: Callable[[], Awaitable[T]]
) -> T | PermanentUploadError | TransientUploadError:
    try:
        return await work()
    except (PermanentUploadError, TransientUploadError) as error:
        return error
    except (asyncio.CancelledError, LeaseError):
        raise
    except Exception as error:
        log.exception("destination %s failed in a way it should not", destination)
        return TransientUploadError(
            f"its plugin raised a {type(error).__name__}",
            destination=destination,
            session=session,
            remedy="see the uploader's log, and tell the author of the plugin",
        )
