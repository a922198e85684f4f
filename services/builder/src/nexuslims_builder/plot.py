"""Drawing a time line in a terminal: when files were made, the gaps, the boundaries."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Final

BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_UNITS: Final = (("d", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 0.001))
_SHORTEST: Final = 2.0**-10
"""Seconds; what is shorter is as good as nothing."""
_LONGEST_BAR: Final = 40


def plot(times: Sequence[float], activities: Sequence[int], width: int) -> list[str]:
    """Draw files, gaps and boundaries.

    Parameters
    ----------
    times
        POSIX seconds, in ascending order.
    activities
        The number of the activity of each file.
    width
        Columns of the terminal.
    """
    if not times:
        return ["no files"]
    lines = ["files over time", *_time_line(times, activities, width)]
    if len(times) > 1:
        lines += ["", "gaps between files", *_gaps(times, activities)]
    return lines


def _time_line(times: Sequence[float], activities: Sequence[int], width: int) -> list[str]:
    """Draw how many files were made when, with a line between two activities."""
    first, length = times[0], (times[-1] - times[0]) or 1.0
    counts = [0] * width
    marks = [" "] * width

    def column(time: float) -> int:
        return min(int((time - first) / length * width), width - 1)

    for time in times:
        counts[column(time)] += 1
    for before, after in _boundaries(activities):
        marks[column((times[before] + times[after]) / 2)] = "│"
    tallest = max(counts)
    steps = len(BLOCKS) - 1
    bars = "".join(BLOCKS[math.ceil(count / tallest * steps)] for count in counts)
    start, end = (moment(time) for time in (times[0], times[-1]))
    return [bars, "".join(marks).rstrip(), f"{start}{end:>{max(width - len(start), len(end) + 1)}}"]


def _gaps(times: Sequence[float], activities: Sequence[int]) -> list[str]:
    """Draw how many gaps are how long, by powers of two, and which are between activities."""
    between = {after for _, after in _boundaries(activities)}
    within_counts: dict[int, int] = {}
    between_counts: dict[int, int] = {}
    for after in range(1, len(times)):
        power = math.floor(math.log2(max(times[after] - times[after - 1], _SHORTEST)))
        counts = between_counts if after in between else within_counts
        counts[power] = counts.get(power, 0) + 1
    powers = [*within_counts, *between_counts]
    most = max([*within_counts.values(), *between_counts.values()])
    scale = _LONGEST_BAR / math.log2(1 + most)
    lines = []
    for power in range(min(powers), max(powers) + 1):
        within, apart = within_counts.get(power, 0), between_counts.get(power, 0)
        bar = "█" * round(math.log2(1 + within) * scale) + "░" * round(math.log2(1 + apart) * scale)
        note = f"  {apart} between activities" if apart else ""
        low, high = 2.0**power, 2.0 ** (power + 1)
        label = f"{length(low)} to {length(high)}" if low > _SHORTEST else f"below {length(high)}"
        lines.append(f"{label:>20} {bar} {within or ''}{note}".rstrip())
    return lines


def _boundaries(activities: Sequence[int]) -> list[tuple[int, int]]:
    """Return the files before and after each boundary."""
    return [
        (after - 1, after)
        for after in range(1, len(activities))
        if activities[after] != activities[after - 1]
    ]


def length(seconds: float) -> str:
    """Write a length of time in the largest unit that fits."""
    for unit, factor in _UNITS:
        if seconds >= factor:
            return f"{seconds / factor:.3g} {unit}"
    return f"{seconds:g} s"


def moment(time: float) -> str:
    """Write a time in the local zone."""
    try:
        return datetime.fromtimestamp(time).astimezone().isoformat(" ", "seconds")
    except (OverflowError, ValueError, OSError):  # no calendar reaches that far
        return f"{time:g} s"
