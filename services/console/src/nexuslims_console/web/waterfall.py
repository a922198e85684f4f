"""A session's events as a waterfall: each from what caused it to when it was stated."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from nexuslims_console.lists import FILE_EVENTS
from nexuslims_console.views import EventRow

_IDLE_S: Final = 60.0
"""Pauses longer than this are drawn as breaks of the time line."""
_BREAK: Final = 0.03
"""Share of the width that a break takes; many of them share a third of it."""
_MOST_BREAKS: Final = 10

_FAILED: Final = frozenset(
    {
        "extraction.failed",
        "record.rejected",
        "upload.failed",
        "withdrawal.failed",
        "record.lost",
        "handling.failed",
        "consent.declined",
        "reservation.missing",
        "files.not-found",
        "file.missing",
    }
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One event; ``left`` and ``width`` are shares of the time line, ``seconds`` None at a start.

    ``cause`` is the sequence of the event that led to it, 0 if that is not known here. ``about``
    is the file that it is about.
    """

    event: EventRow
    left: float
    width: float
    seconds: float | None
    cause: int
    about: str
    failed: bool

    @property
    def service(self) -> str:
        """Who stated it."""
        return self.event.source.removeprefix("nexuslims/")


@dataclass(frozen=True, slots=True)
class Break:
    """A pause that is not drawn to scale: where it is, and how long it was in seconds."""

    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Waterfall:
    """All bars in the order of the log, those of files apart, and the breaks."""

    bars: list[Bar]
    files: list[Bar]
    breaks: list[Break]


class TimeLine:
    """Places moments on a line on which long pauses are short.

    Parameters
    ----------
    moments
        All that will be placed.
    """

    def __init__(self, moments: Iterable[datetime]) -> None:
        times = sorted({moment.timestamp() for moment in moments})
        gaps = [after - before for before, after in pairwise(times)]
        pauses = sum(gap > _IDLE_S for gap in gaps)
        share = min(_BREAK, _BREAK * _MOST_BREAKS / pauses) if pauses else 0.0
        busy = sum(gap for gap in gaps if gap <= _IDLE_S)
        scale = (1 - share * pauses) / busy if busy else 0.0
        self.breaks: list[Break] = []
        self._places = {}
        at = 0.0
        for number, time in enumerate(times):
            if number:
                gap = gaps[number - 1]
                if gap > _IDLE_S:
                    self.breaks.append(Break(at + share / 2, gap))
                    at += share if busy else 1 / pauses
                else:
                    at += gap * scale
            self._places[time] = min(at, 1.0)

    def place(self, moment: datetime) -> float:
        """Return where a moment is, from 0 to 1."""
        return self._places[moment.timestamp()]


def waterfall(events: Sequence[EventRow]) -> Waterfall:
    """Lay out the events of one session.

    Parameters
    ----------
    events
        In the order of the log; some may be left out.
    """
    line = TimeLine(event.time for event in events)
    by_id = {event.id: event for event in events}
    bars: list[Bar] = []
    files: list[Bar] = []
    for event in events:
        bar = _bar(event, by_id, line)
        (files if event.type in FILE_EVENTS else bars).append(bar)
    return Waterfall(bars, files, line.breaks)


def _bar(event: EventRow, by_id: Mapping[str, EventRow], line: TimeLine) -> Bar:
    cause = by_id.get(event.causation)
    end = line.place(event.time)
    start = min(line.place(cause.time), end) if cause else end
    about = cause.summary.rpartition(", ")[0] if cause and cause.type == "file.indexed" else ""
    if event.type == "file.indexed":
        about = event.summary.rpartition(", ")[0]
    return Bar(
        event=event,
        left=start,
        width=end - start,
        seconds=max((event.time - cause.time).total_seconds(), 0.0) if cause else None,
        cause=cause.sequence if cause else 0,
        about=about,
        failed=event.type in _FAILED,
    )


def slowest(bars: Sequence[Bar], count: int) -> list[Bar]:
    """Return the failed bars, and then those that took longest, in the order of the log.

    Parameters
    ----------
    bars
        Of files.
    count
        How many at most.
    """
    outcomes = [bar for bar in bars if bar.event.type != "file.indexed"]
    ranked = sorted(outcomes, key=lambda bar: (not bar.failed, -(bar.seconds or 0.0)))[:count]
    return sorted(ranked, key=lambda bar: bar.event.sequence)
