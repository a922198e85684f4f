"""Clustering files into acquisition activities by their modification times.

Two methods: ``gaps`` finds what a person would see, in :mod:`nexuslims_builder.gap_clustering`;
``kde`` is the incumbent's, in :mod:`nexuslims_builder.kde_clustering`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from nexuslims_builder.errors import ClusteringError
from nexuslims_builder.gap_clustering import batch_boundaries, gap_boundaries
from nexuslims_builder.kde_clustering import kde_boundaries

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Method: TypeAlias = Literal["gaps", "kde"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)


@dataclass(frozen=True, slots=True)
class Clusters:
    """Activities as indices in the order of time, and the times between them."""

    activities: tuple[tuple[int, ...], ...]
    boundaries: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of files beside their times; each in the order of the times, or empty.

    Parameters
    ----------
    techniques
        How each was acquired, such as ``STEM_Imaging``.
    durations
        How long acquiring it took, in seconds; 0 where it is not known.
    """

    techniques: Sequence[str] = field(default=())
    durations: Sequence[float] = field(default=())


NO_EVIDENCE: Final = Evidence()


def cluster(
    times: Sequence[float],
    *,
    sensitivity: float = 1.0,
    method: str = "gaps",
    evidence: Evidence = NO_EVIDENCE,
) -> Clusters:
    """Group times into activities.

    Parameters
    ----------
    times
        POSIX seconds, in any order.
    sensitivity
        Divides the length of a gap that separates, or the bandwidth: higher gives more activities;
        0 one.
    method
        ``gaps``, by clear pauses; or ``kde``, the incumbent's.
    evidence
        Beside the times; the incumbent's method knows none.

    Returns
    -------
    Clusters
        Indices count the times in ascending order. A time belongs to the first boundary that is
        not before it.

    Raises
    ------
    ClusteringError
        If the method is unknown, the sensitivity negative, or a time no number.
    """
    import numpy as np  # noqa: PLC0415 - the command line pays for it only here

    if method not in METHODS:
        raise ClusteringError(f"unknown method {method!r}: use one of {', '.join(METHODS)}")
    if not sensitivity >= 0:
        raise ClusteringError(f"the sensitivity is {sensitivity}: use 0 or more")
    given = np.asarray(times, dtype=np.float64)
    if not np.isfinite(given).all():
        raise ClusteringError("a modification time is not a number")
    ordered = np.sort(given)
    distinct, counts = np.unique(ordered, return_counts=True)
    boundaries: tuple[float, ...] = ()
    if distinct.size > 1 and sensitivity > 0 and method == "kde":
        boundaries = kde_boundaries(distinct, sensitivity)
    elif distinct.size > 1 and sensitivity > 0:
        boundaries = gap_boundaries(distinct, sensitivity, *_of_distinct(given, evidence))
        boundaries = boundaries or batch_boundaries(distinct, counts, sensitivity)
    groups = np.searchsorted(np.asarray(boundaries, dtype=np.float64), ordered, side="left")
    starts = np.flatnonzero(np.diff(groups)) + 1
    parts = np.split(np.arange(ordered.size), starts)
    return Clusters(tuple(tuple(part.tolist()) for part in parts if part.size), boundaries)


def _of_distinct(
    times: "NDArray[np.float64]", evidence: Evidence
) -> tuple[Sequence[str], Sequence[float]]:
    """Return the first file's technique, and the longest duration, at each distinct time."""
    import numpy as np  # noqa: PLC0415

    _, first, place = np.unique(times, return_index=True, return_inverse=True)
    techniques = [evidence.techniques[index] for index in first] if evidence.techniques else ()
    if not evidence.durations:
        return techniques, ()
    longest = np.zeros(first.size)
    np.maximum.at(longest, place, np.asarray(evidence.durations, dtype=np.float64))
    return techniques, longest.tolist()
