"""The incumbent's clustering: minima of the density of files in time.

A Gaussian kernel density over the distinct times, its bandwidth chosen by leave-one-out
cross-validation among 35 values between the smallest and the largest gap; boundaries are the strict
minima of the log density on a grid of ten points per time.

Same boundaries, except that rounding decides where files are spaced evenly, and far fewer
operations: times are sorted, so the sum over all other times is a sum over neighbours, nearest
first, until a term no longer changes it. Sums are kept relative to their largest term, as a
log-sum-exp: nothing underflows.
"""

from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

BANDWIDTHS: Final = 35
GRID_PER_TIME: Final = 10
ALL_PAIRS: Final = 100
"""Up to so many times the sums go over all pairs, at once."""

NEGLIGIBLE: Final = 60.0
"""Terms ``exp(-60)`` times the largest are left out: 9e-27, where a double resolves 1e-16."""


def kde_boundaries(times: "Floats", sensitivity: float) -> tuple[float, ...]:
    """Minima of the density.

    Parameters
    ----------
    times
        POSIX seconds, two or more, distinct and ascending.
    sensitivity
        Divides the bandwidth; above 0.
    """
    import numpy as np  # noqa: PLC0415

    gaps = np.diff(times)
    bandwidths = np.logspace(np.log(gaps.min()), np.log(gaps.max()), BANDWIDTHS, base=np.e)
    scores = [left_out_score(times, float(bandwidth)) for bandwidth in bandwidths]
    bandwidth = float(bandwidths[int(np.argmax(scores))]) / sensitivity
    grid = np.linspace(times[0], times[-1], GRID_PER_TIME * times.size)
    density = log_sums(grid, times, bandwidth)
    lower = (density[1:-1] < density[:-2]) & (density[1:-1] < density[2:])
    return tuple(float(point) for point in grid[1:-1][lower])


def left_out_score(times: "Floats", bandwidth: float) -> float:
    """Mean, over all times, of the log density there as all the others give it.

    Parameters
    ----------
    times
        Two or more, distinct and ascending.
    bandwidth
        Standard deviation of the Gaussians, in the unit of the times.
    """
    import numpy as np  # noqa: PLC0415

    norm = np.log((times.size - 1) * bandwidth * np.sqrt(2 * np.pi))
    if times.size <= ALL_PAIRS:
        return float(np.mean(_log_sums_of_pairs(times, bandwidth)) - norm)
    places = np.arange(times.size)
    sums = _log_sums(times, times, bandwidth, before=places - 1, after=places + 1)
    return float(np.mean(sums) - norm)


def _log_sums_of_pairs(times: "Floats", bandwidth: float) -> "Floats":
    """Sum, for each time, over all others: quickest where they are few."""
    import numpy as np  # noqa: PLC0415

    exponents = 0.5 * ((times[:, None] - times) / bandwidth) ** 2
    np.fill_diagonal(exponents, np.inf)
    nearest = exponents.min(axis=1)
    result: Floats = np.log(np.exp(nearest[:, None] - exponents).sum(axis=1)) - nearest
    return result


def log_sums(points: "Floats", times: "Floats", bandwidth: float) -> "Floats":
    """Log, at each point, of the sum of unnormalised Gaussians at all times.

    Parameters
    ----------
    points
        Shape (m,).
    times
        Shape (n,), ascending.
    bandwidth
        Standard deviation of the Gaussians, in the unit of the times.
    """
    import numpy as np  # noqa: PLC0415

    after = np.searchsorted(times, points, side="left")
    return _log_sums(points, times, bandwidth, before=after - 1, after=after)


def _log_sums(
    points: "Floats",
    times: "Floats",
    bandwidth: float,
    *,
    before: "NDArray[np.intp]",
    after: "NDArray[np.intp]",
) -> "Floats":
    """Sum over the times up to index ``before`` and from index ``after`` on, outwards.

    Both sides advance together, so that points which mirror each other get the same rounding.
    """
    import numpy as np  # noqa: PLC0415

    padded = np.concatenate(([-np.inf], times, [np.inf]))
    left, right = before + 1, after + 1
    last = padded.size - 1

    def exponents(where: "NDArray[np.intp]", indices: "NDArray[np.intp]") -> "Floats":
        distances = (points[where] - padded[np.clip(indices, 0, last)]) / bandwidth
        return 0.5 * distances * distances

    active = np.arange(points.size)
    nearest = np.minimum(exponents(active, left), exponents(active, right))
    sums = np.zeros(points.size)
    step = 0
    while active.size:
        low = exponents(active, left[active] - step) - nearest[active]
        high = exponents(active, right[active] + step) - nearest[active]
        sums[active] += np.exp(-low) + np.exp(-high)
        active = active[np.minimum(low, high) < NEGLIGIBLE]
        step += 1
    result: Floats = np.log(sums) - nearest
    return result
