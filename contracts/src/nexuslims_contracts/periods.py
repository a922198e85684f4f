"""Periods: the log is one stream, or one for each year, quarter or month.

A session belongs to the period of its first known start, for ever, so its whole history is in one
stream. Events know nothing of periods: their subjects and ids are the same in each. Only the stream
has the period in its subjects, in place of ``nexus.events``: ``nexus.period.<period>.<session>...``

The first stream that a facility had, ``NEXUS_EVENTS``, is the period ``all``.

A *sequence* tells where in the log an event is: the number of its period, and behind that, in ten
digits, the number of its message in the period's stream. ``2026070000000034`` is message 34 of July
2026. The number of the period ``all`` is 0, so there both are the same; and every sequence is small
enough for a JSON number (2**53).
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from nexuslims_contracts import subjects

PeriodLength: TypeAlias = Literal["all", "year", "quarter", "month"]

MESSAGES: Final = 10**10
"""More messages than a stream ever holds: some 27 TB."""

PREFIX: Final = "nexus.period"
FIRST_STREAM: Final = "NEXUS_EVENTS"
_QUARTERS: Final = 20
_NAME: Final = re.compile(r"(\d{4})(?:-(?:Q([1-4])|(0[1-9]|1[0-2])))?")


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """One period of the log.

    Parameters
    ----------
    number
        0 for ``all``; otherwise year, and month (``00`` for a whole year, ``21`` to ``24`` for its
        quarters): ``202607`` is July 2026.
    """

    number: int

    @classmethod
    def named(cls, name: str) -> "Period":
        """Return the period of a name: ``all``, ``2026``, ``2026-Q3`` or ``2026-07``.

        Raises
        ------
        ValueError
            If it is no such name.
        """
        if name == "all":
            return ALL
        found = _NAME.fullmatch(name)
        if found is None:
            raise ValueError(f"{name!r} is no period such as 2026, 2026-Q3, 2026-07 or all")
        year, quarter, month = found.groups()
        within = _QUARTERS + int(quarter) if quarter else int(month or 0)
        return cls(100 * int(year) + within)

    @classmethod
    def holding(cls, start: datetime, length: PeriodLength) -> "Period":
        """Return the period of a session.

        Parameters
        ----------
        start
            Its first known start; what counts is the date in UTC.
        length
            How long periods are.
        """
        day = start.astimezone(UTC)
        within = {
            "year": 0,
            "quarter": _QUARTERS + (day.month + 2) // 3,
            "month": day.month,
        }
        return ALL if length == "all" else cls(100 * day.year + within[length])

    @classmethod
    def of(cls, sequence: int) -> "Period":
        """Return the period that a sequence is in."""
        return cls(sequence // MESSAGES)

    @classmethod
    def of_stream(cls, stream: str) -> "Period | None":
        """Return the period whose stream it is; None for another stream."""
        if stream == FIRST_STREAM:
            return ALL
        try:
            return cls.named(stream.removeprefix(f"{FIRST_STREAM}_"))
        except ValueError:
            return None

    @property
    def name(self) -> str:
        """As people write it."""
        year, within = divmod(self.number, 100)
        if not self.number:
            return "all"
        if within > _QUARTERS:
            return f"{year:04}-Q{within - _QUARTERS}"
        return f"{year:04}-{within:02}" if within else f"{year:04}"

    @property
    def stream(self) -> str:
        """Name of its stream."""
        return f"{FIRST_STREAM}_{self.name}" if self.number else FIRST_STREAM

    @property
    def prefix(self) -> str:
        """What its subjects begin with, before the session."""
        return f"{PREFIX}.{self.name}" if self.number else subjects.PREFIX

    @property
    def begin(self) -> int:
        """The sequence before that of its first event."""
        return self.number * MESSAGES

    def sequence(self, message: int) -> int:
        """Return the sequence of a message of its stream."""
        return self.begin + message

    def subject(self, of_event: str) -> str:
        """Return the subject in its stream of an event, or of a filter for events."""
        return f"{self.prefix}{of_event.removeprefix(subjects.PREFIX)}"

    def without(self, in_stream: str) -> str:
        """Return the subject of an event whose subject in the stream is given."""
        if not self.number:
            return in_stream
        return f"{subjects.PREFIX}{in_stream.removeprefix(self.prefix)}"


ALL: Final = Period(0)
"""The period of a facility that has only one; its stream is the one of all releases so far."""


def message_of(sequence: int) -> int:
    """Return the number of the message that a sequence stands for, in its stream."""
    return sequence % MESSAGES


@lru_cache(maxsize=1024)
def any_period(of_event: str) -> tuple[str, ...]:
    """Return the subjects of an event, or of a filter, in the streams of all periods."""
    return (of_event, f"{PREFIX}.*{of_event.removeprefix(subjects.PREFIX)}")


def upcoming(now: datetime, length: PeriodLength) -> tuple[Period, ...]:
    """Return the periods of sessions that begin now, and of those that begin next.

    Parameters
    ----------
    now
        The time.
    length
        How long periods are.
    """
    current = Period.holding(now, length)
    day = now.astimezone(UTC)
    months = [day.year * 12 + day.month - 1 + ahead for ahead in range(1, 13)]
    starts = (datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in months)
    later = (Period.holding(start, length) for start in starts)
    following = next((period for period in later if period != current), None)
    return (current, following) if following else (current,)
