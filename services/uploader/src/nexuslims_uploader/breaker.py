"""A circuit breaker: a destination that does not answer is left alone for a while."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from nexuslims_shared.consume import growing_delay
from nexuslims_uploader.errors import TransientUploadError

TOLERATED: Final = 4
"""Failures in a row that may be chance: where one request in three is lost, it is no outage."""
LONGEST_RETRY_AFTER: Final = timedelta(hours=1)
_PROBE: Final = timedelta(seconds=1)
"""How long other uploads wait while one tries whether the destination answers again."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A destination that does not answer: since when, failed attempts, and the last reason."""

    since: datetime
    failures: int
    reason: str
    began: float
    """By the breaker's clock, in seconds."""


class CircuitBreaker:
    """The circuit breaker of one destination, in one uploader.

    After some failures in a row it opens, for a time that doubles, or as long as the destination
    asks for. Then one upload tries whether it answers again, before the others follow. Failures of
    uploads that were under way together count once.

    Parameters
    ----------
    clock
        Seconds on a clock that only goes forward.
    now
        The time, for people.
    """

    def __init__(self, clock: Callable[[], float], now: Callable[[], datetime]) -> None:
        self._clock = clock
        self._now = now
        self._open_until = 0.0
        self._probing = False
        self._generation = 0
        self.outage: Outage | None = None

    def wait(self) -> timedelta | None:
        """Return how long to leave the destination alone; None to try it now."""
        remaining = self._open_until - self._clock()
        if remaining > 0:
            return timedelta(seconds=remaining)
        return _PROBE if self._probing else None

    def outage_duration(self) -> timedelta:
        """Return for how long it has not answered."""
        return timedelta(seconds=self._clock() - self.outage.began if self.outage else 0)

    @contextmanager
    def asking(self) -> Iterator[int]:
        """Note that a call is under way; yields what :meth:`failed` wants to know."""
        self._probing = self.outage is not None and self.outage.failures > TOLERATED
        try:
            yield self._generation
        finally:
            self._probing = False

    def answered(self) -> None:
        """Note that the destination answered, be it with a refusal."""
        self.outage = None
        self._open_until = 0.0

    def failed(self, begun: int, error: TransientUploadError) -> Outage:
        """Note that it did not answer.

        Parameters
        ----------
        begun
            What :meth:`asking` yielded.
        error
            What happened.
        """
        known = self.outage or Outage(self._now(), 0, "", self._clock())
        if begun == self._generation or self.outage is None:
            self._generation += 1
            known = replace(known, failures=known.failures + 1, reason=error.explanation)
        asked = min(error.retry_after or timedelta(), LONGEST_RETRY_AFTER).total_seconds()
        if known.failures > TOLERATED:
            asked = max(asked, growing_delay(known.failures - TOLERATED))
        self._open_until = max(self._open_until, self._clock() + asked)
        self.outage = known
        return known
