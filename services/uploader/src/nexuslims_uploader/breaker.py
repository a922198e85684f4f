"""Leaving a destination alone while it is away: its records wait, the others go on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from nexuslims_shared.consume import growing_delay
from nexuslims_uploader.errors import TransientUploadError

TOLERATED: Final = 4
"""Failures in a row that may be chance: where one request in three is lost, it is no absence."""
LONGEST_RETRY_AFTER: Final = timedelta(hours=1)
_PROBE: Final = timedelta(seconds=1)
"""How long others wait while one asks whether the destination is back."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A destination that does not answer: since when, how often, and what happened last."""

    since: datetime
    failures: int
    reason: str
    began: float
    """By the breaker's clock, in seconds."""


class CircuitBreaker:
    """What one uploader knows of one destination's presence.

    After some failures in a row it is left alone, for a while that doubles, or as long as it asks
    for. Then one upload finds out whether it is back, before the others follow. Failures of uploads
    that began before the last one was known count once.

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
        """Say how long to leave the destination alone; None to try it now."""
        remaining = self._open_until - self._clock()
        if remaining > 0:
            return timedelta(seconds=remaining)
        return _PROBE if self._probing else None

    def outage_duration(self) -> timedelta:
        """Say for how long nothing was answered."""
        return timedelta(seconds=self._clock() - self.outage.began if self.outage else 0)

    @contextmanager
    def asking(self) -> Iterator[int]:
        """Note that somebody asks the destination; gives what :meth:`failed` wants to know."""
        self._probing = self.outage is not None and self.outage.failures > TOLERATED
        try:
            yield self._generation
        finally:
            self._probing = False

    def answered(self) -> None:
        """Note that the destination took or refused something: it is there."""
        self.outage = None
        self._open_until = 0.0

    def failed(self, begun: int, error: TransientUploadError) -> Outage:
        """Note that it did not answer.

        Parameters
        ----------
        begun
            What :meth:`asking` gave.
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
