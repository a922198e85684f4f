"""Activities by gaps: boundaries where the time between two files is clearly longer than usual.

What a person sees on a time line. Only ratios of gaps matter, so stretching all times changes
nothing. From the sorted gaps a length is derived that separates activities:

- A *break* is a place in the sorted gaps where the next longer one is several times longer. The
  finest break counts whose activities hold more than two files on average.
- Files that are saved together, such as the images of several detectors, are no activity: where
  the groups below a break are small and many, each counts as one file.
- Where there is no break, as among thousands of files, the minimum of the density between usual
  gaps and a second population of long ones counts.
- Files of a slow series stand alone beside fast ones: a chain of them is judged by its own gaps.

Evidence beside time: a gap that the acquisition of the next file explains is no pause, and where
the technique changes between two series, a shorter pause is enough.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Flags: TypeAlias = NDArray[np.bool_]

CLEAR: Final = (4.0, 3.2, 2.5)
"""How many times longer the next gap is at a break, by how many longer gaps there are: 1, 2, more.
The longest of many similar gaps is easily alone; several that are all longer are no coincidence."""

CLEAR_OF_FEW: Final = 8.0
"""The same, at a break whose activities hold two files or fewer on average."""

EVIDENCE: Final = 100.0
"""Files that come at random show a ratio r above their k shortest gaps with probability
``r ** -k`` (order statistics of a Poisson process): at most one in this many may pass for a break.
"""

WITHIN: Final = 0.2
"""At least this part of the gaps is within activities: a few files saved together, among many that
are not, are no reason to set all others apart."""

SAVED_TOGETHER: Final = 4
SAVED_OFTEN: Final = 12
"""Groups of one and the same size up to the first, at least as many as the second, are no
activities: a program that saves several files each time makes them."""

BATCHES_APART_S: Final = 300.0
"""Seconds between batches of files of one time each that are activities: a machine that saves whole
stacks at a time does it more often."""

SERIES: Final = 10
REGULAR_SERIES: Final = 6
REGULAR: Final = 1.3
"""Lone files one after the other are a series if there are so many gaps between them, or fewer that
differ by no more than the ratio."""

EXPLAINED: Final = 0.5
"""What stays at least of an ordinary gap."""

PLAUSIBLE: Final = 1.1
"""An acquisition may seem to take so many times as long as the time since the file before: files
are stored a moment early or late."""

SMOOTHING: Final = 0.25
"""Standard deviation of the density of gaps, in the natural logarithm of their length."""

SMOOTHED_BINS: Final = 5
"""Bins in which that density is counted within one standard deviation."""

LONGER: Final = 6.0
DEPTH: Final = 0.5
FEWEST: Final = 3
ENOUGH: Final = 20
"""A second population of gaps: so many times longer than the usual ones, with a minimum before it
that is so deep, of so many gaps at least; not looked for among fewer than the last."""

CHANGE: Final = 2.0
RUN: Final = 3
"""Between series of at least so many files by different techniques, a gap separates that is so many
times the median within both."""


def gap_boundaries(
    times: "Floats",
    sensitivity: float,
    techniques: Sequence[str] = (),
    durations: Sequence[float] = (),
) -> tuple[float, ...]:
    """Middles of the pauses between activities.

    Parameters
    ----------
    times
        POSIX seconds, shape (n,), two or more, distinct and ascending.
    sensitivity
        Divides the length from which on a gap separates activities; above 0.
    techniques
        How each file was acquired, such as ``STEM_Imaging``; empty if not known.
    durations
        How long acquiring each file took, in seconds, 0 where it is not known; or empty.
    """
    import numpy as np  # noqa: PLC0415 - the command line pays for it only here

    gaps = np.diff(times)
    idle = idle_times(gaps, np.asarray(durations[1:])) if len(durations) else gaps
    lengths = separating_lengths(idle)
    if len(techniques):
        lengths = np.minimum(lengths, lengths_at_changes(idle, techniques))
    middles = times[:-1] + gaps / 2
    return tuple(float(middle) for middle in middles[idle * sensitivity > lengths])


def batch_boundaries(
    times: "Floats", files: "NDArray[np.intp]", sensitivity: float
) -> tuple[float, ...]:
    """Middles between a few batches of files that have one time each, as a copy gives them.

    Their gaps tell nothing, as there is none within a batch.

    Parameters
    ----------
    times
        As for :func:`gap_boundaries`.
    files
        How many there are of each time.
    sensitivity
        As for :func:`gap_boundaries`.

    Returns
    -------
    tuple of float
        None where a batch is no larger than what is saved together, or where there are many.
    """
    import numpy as np  # noqa: PLC0415

    gaps = np.diff(times)
    if files.min() <= SAVED_TOGETHER or files.size >= SAVED_OFTEN:
        return ()
    if (gaps * sensitivity).min() < BATCHES_APART_S:
        return ()
    return tuple(float(middle) for middle in times[:-1] + gaps / 2)


def idle_times(gaps: "Floats", durations: "Floats") -> "Floats":
    """Take the time that acquiring the next file took from each gap.

    Parameters
    ----------
    gaps
        Seconds between files, shape (n - 1,).
    durations
        Of the later file of each gap, in seconds; a duration clearly longer than the gap is not
        plausible and does not count.

    Returns
    -------
    numpy.ndarray
        No shorter than the median of what is left and half of that of the gaps, or than the gap
        itself: where few durations are known, those of the others are no pauses.
    """
    import numpy as np  # noqa: PLC0415

    left = gaps - np.where(durations <= PLAUSIBLE * gaps, durations, 0.0)
    usual = max(np.median(left), EXPLAINED * np.median(gaps))
    idle: Floats = np.maximum(left, np.minimum(gaps, usual))
    return idle


def separating_lengths(gaps: "Floats") -> "Floats":
    """Return, for each gap, the length from which on it separates two activities.

    Parameters
    ----------
    gaps
        In the order of time, one or more, above 0.
    """
    import numpy as np  # noqa: PLC0415

    length = separating_length(gaps)
    lengths = np.full(gaps.size, length)
    for start, end in _chains(gaps > length):
        inner = gaps[start:end]
        if end - start >= SERIES or inner.max() <= REGULAR * inner.min():
            lengths[start:end] = separating_lengths(inner)
    return lengths


def separating_length(gaps: "Floats") -> float:
    """Return the length from which on a gap separates activities.

    Parameters
    ----------
    gaps
        In the order of time, one or more, above 0.

    Returns
    -------
    float
        The geometric middle of the break; without one, a length that no gap reaches.
    """
    import numpy as np  # noqa: PLC0415

    ordered = np.sort(gaps)
    breaks = _breaks(ordered)
    activities = gaps.size - breaks + 1
    length = None
    for place, below in enumerate(breaks):
        length = float(np.sqrt(ordered[below - 1] * ordered[below]))
        if _saved_together(gaps > length, activities[place + 1 :]):
            return separating_length(gaps[gaps > length])
        if gaps.size + 1 > 2 * activities[place]:
            return length
    if length is None:
        length = _minimum_of_density(ordered)
        if length is not None and _saved_together(gaps > length):
            return separating_length(gaps[gaps > length])
    return length or float(2 * ordered[-1])


def lengths_at_changes(gaps: "Floats", techniques: Sequence[str]) -> "Floats":
    """Return the length from which on a gap separates two series by different techniques.

    Parameters
    ----------
    gaps
        In the order of time, shape (n - 1,).
    techniques
        Of the n files.

    Returns
    -------
    numpy.ndarray
        Infinite where the technique does not change, or not between two series.
    """
    import numpy as np  # noqa: PLC0415

    lengths = np.full(gaps.size, np.inf)
    names = np.asarray(techniques)
    starts = np.concatenate(([0], np.flatnonzero(names[1:] != names[:-1]) + 1, [names.size]))
    for before, change, after in zip(starts, starts[1:], starts[2:], strict=False):
        if min(change - before, after - change) >= RUN:
            within = np.concatenate((gaps[before : change - 1], gaps[change : after - 1]))
            lengths[change - 1] = CHANGE * np.median(within)
    return lengths


def _breaks(gaps: "Floats") -> "NDArray[np.intp]":
    """Return how many gaps are below each break, from the finest to the coarsest."""
    import numpy as np  # noqa: PLC0415

    below = np.arange(1, gaps.size)
    above = gaps.size - below
    ratios = gaps[1:] / gaps[:-1]
    clear = np.asarray(CLEAR)[np.minimum(above, len(CLEAR)) - 1]
    clear[gaps.size + 1 <= 2 * (above + 1)] = CLEAR_OF_FEW
    needed = np.maximum(clear, EVIDENCE ** (1 / below))
    found: NDArray[np.intp] = below[(ratios >= needed) & (below >= WITHIN * gaps.size)]
    return found


def _saved_together(apart: "Flags", coarser: Iterable[int] = ()) -> bool:
    """Tell groups of files that are saved together from activities.

    Parameters
    ----------
    apart
        Which gaps are between groups.
    coarser
        Into how many activities coarser breaks divide the groups.
    """
    import numpy as np  # noqa: PLC0415

    ends = np.flatnonzero(np.concatenate((apart, [True])))
    sizes = np.diff(ends, prepend=-1)
    alike = sizes.min() == sizes.max() <= SAVED_TOGETHER
    if alike and sizes[0] > 1 and sizes.size >= SAVED_OFTEN:
        return True
    return any(sizes.mean() < sizes.size / count for count in coarser)


def _minimum_of_density(gaps: "Floats") -> float | None:
    """Return the length between usual gaps and a second population of longer ones, if there is one.

    Parameters
    ----------
    gaps
        In ascending order.
    """
    import numpy as np  # noqa: PLC0415

    if gaps.size < ENOUGH:
        return None
    middle = gaps[gaps.size // 2]
    logs, step = np.log(gaps / middle), SMOOTHING / SMOOTHED_BINS
    edges = np.arange(np.percentile(logs, 25) - 4 * SMOOTHING, logs[-1] + 8 * SMOOTHING, step)
    density = _smoothed(np.histogram(logs, edges)[0] * 1.0)
    rises = (density[1:-1] > density[:-2]) & (density[1:-1] >= density[2:])
    maxima = np.flatnonzero(rises) + 1
    if not maxima.size:
        return None
    usual = maxima[np.argmax(density[maxima])]
    for longer in maxima[edges[maxima] - edges[usual] > np.log(LONGER)]:
        lowest = usual + np.argmin(density[usual:longer])
        above = int((logs > edges[lowest]).sum())
        deep = density[lowest] < DEPTH * density[longer]
        if deep and above >= FEWEST and gaps.size + 1 > 2 * (above + 1):
            return float(middle * np.exp(edges[lowest]))
    return None


def _smoothed(counts: "Floats") -> "Floats":
    """Smooth counts by a Gaussian of five bins; there is nothing beyond the ends.

    What is the same on both sides stays so to the last digit: each pair of neighbours is added
    before it is weighted. All of scipy would be three times the rest of the builder.
    """
    import numpy as np  # noqa: PLC0415

    reach = 4 * SMOOTHED_BINS
    weights = np.exp(-0.5 / SMOOTHED_BINS**2 * np.arange(-reach, reach + 1) ** 2)
    weights = (weights / weights.sum())[reach:]
    padded = np.pad(counts, reach)
    total: Floats = counts * weights[0]
    for distance in range(reach, 0, -1):
        before = padded[reach - distance : reach - distance + counts.size]
        after = padded[reach + distance : reach + distance + counts.size]
        total += (before + after) * weights[distance]
    return total


def _chains(apart: "Flags") -> list[tuple[int, int]]:
    """Return where gaps between lone files are, as half-open ranges.

    A gap between a lone file and an activity is at neither end of a range.
    """
    import numpy as np  # noqa: PLC0415

    edges = np.flatnonzero(np.diff(np.concatenate(([False], apart, [False])).astype(np.int8)))
    chains = [
        (int(start) + (start > 0), int(end) - (end < apart.size))
        for start, end in zip(edges[::2], edges[1::2], strict=True)
    ]
    return [
        (start, end)
        for start, end in chains
        if end - start >= REGULAR_SERIES and end - start < apart.size
    ]
