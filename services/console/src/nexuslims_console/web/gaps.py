"""The picture of a session's activities: when files were written, and the pauses between them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

WIDTH: Final = 1000
"""Units of the picture's width; its height is 100."""
_HEIGHT: Final = 60
_LEAST_LABELLED: Final = 34


@dataclass(frozen=True, slots=True)
class Column:
    """Files of one activity written at about the same time, as a bar of the picture."""

    x: int
    height: float
    activity: int


@dataclass(frozen=True, slots=True)
class Band:
    """The time of one activity; ``label`` is whether there is room for its number."""

    activity: int
    x: float
    width: float
    files: int
    first: datetime
    last: datetime
    label: bool


@dataclass(frozen=True, slots=True)
class Gap:
    """A pause between two activities, in seconds; ``x`` is its middle."""

    before: int
    after: int
    seconds: float
    x: float


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn; ``longest_within`` is the longest pause inside any activity, in seconds."""

    columns: list[Column]
    bands: list[Band]
    gaps: list[Gap]
    longest_within: float


def picture(activities: Sequence[Sequence[float]]) -> Picture | None:
    """Draw activities; None if there are no files.

    Parameters
    ----------
    activities
        For each the times of its files, POSIX seconds.
    """
    grouped = [(number, sorted(times)) for number, times in enumerate(activities, 1) if times]
    every = sorted(time for _, times in grouped for time in times)
    if not every:
        return None
    first, length = every[0], (every[-1] - every[0]) or 1.0

    def place(time: float) -> float:
        return 4 + (time - first) / length * (WIDTH - 8)

    counts = Counter(
        (int(place(time)) // 4 * 4, number) for number, times in grouped for time in times
    )
    tallest = max(counts.values())
    bands = [
        Band(
            activity=number,
            x=place(times[0]) - 3,
            width=place(times[-1]) - place(times[0]) + 6,
            files=len(times),
            first=datetime.fromtimestamp(times[0], UTC),
            last=datetime.fromtimestamp(times[-1], UTC),
            label=place(times[-1]) - place(times[0]) + 6 >= _LEAST_LABELLED or len(grouped) <= 12,  # noqa: PLR2004 - they fit
        )
        for number, times in grouped
    ]
    gaps = [
        Gap(before, after, later[0] - earlier[-1], (place(earlier[-1]) + place(later[0])) / 2)
        for (before, earlier), (after, later) in pairwise(grouped)
    ]
    within = [later - earlier for _, times in grouped for earlier, later in pairwise(times)]
    columns = [
        Column(x, round(12 + (_HEIGHT - 12) * count / tallest, 1), number)
        for (x, number), count in sorted(counts.items())
    ]
    return Picture(columns, bands, gaps, max(within, default=0.0))
