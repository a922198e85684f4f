"""Boundaries between activities where the pauses are clearly longer than those within.

What a person sees on a time line. The pauses between files, sorted, are searched for clear breaks:
places where the next longer one is several times longer. The finest break whose activities hold
more than two files on average divides pauses within activities from pauses between them; if there
is none, the coarsest. Only ratios matter, so stretching all times changes nothing; and the number
of files does not matter.
"""

from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

CLEAR: Final = 4.0
"""How many times longer a pause between activities is, at the least."""

EVIDENCE: Final = 20.0
"""Files that come at random show a ratio r above their k shortest pauses with probability
``r ** -k`` (order statistics of a Poisson process): at most one in this many may pass for a break.
"""

WITHIN: Final = 0.2
"""At least this part of the pauses is within activities: a few files saved together, among many
that are not, are no reason to set all others apart."""


def gap_boundaries(times: "Floats", sensitivity: float) -> tuple[float, ...]:
    """Middles of the pauses between activities.

    Parameters
    ----------
    times
        POSIX seconds, shape (n,), two or more, distinct and ascending.
    sensitivity
        Divides the length from which on a pause separates activities; above 0.
    """
    import numpy as np  # noqa: PLC0415 - the command line pays for it only here

    gaps = np.diff(times)
    threshold = separating_pause(np.sort(gaps)) / sensitivity
    middles = times[:-1] + gaps / 2
    return tuple(float(middle) for middle in middles[gaps > threshold])


def separating_pause(gaps: "Floats") -> float:
    """Return the length from which on a pause separates activities.

    Parameters
    ----------
    gaps
        Pauses in ascending order, one or more.

    Returns
    -------
    float
        The geometric middle of the break; without a clear break, a length that no pause reaches.
    """
    import numpy as np  # noqa: PLC0415

    within = np.arange(1, gaps.size)
    ratios = gaps[1:] / gaps[:-1]
    needed = np.maximum(CLEAR, EVIDENCE ** (1 / within))
    breaks = within[(ratios >= needed) & (within >= WITHIN * gaps.size)]
    if not breaks.size:
        return float(gaps[-1] * np.sqrt(CLEAR))
    files, activities = gaps.size + 1, gaps.size - breaks + 1
    full = breaks[files > 2 * activities]
    chosen = full[0] if full.size else breaks[-1]
    return float(np.sqrt(gaps[chosen - 1] * gaps[chosen]))
