"""Made-up time lines of sessions, with the activities that a person would see in them.

Each kind draws one time line from a random generator: modification times in POSIX seconds, and for
each the number of the activity that it belongs to. All lengths are in seconds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Draw: TypeAlias = Callable[[np.random.Generator], "TimeLine"]

T0: Final = 1542110400.0
MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86400.0


@dataclass(frozen=True, slots=True)
class TimeLine:
    """Times in ascending order, and the activity of each."""

    times: Floats
    activities: NDArray[np.int64]


def join(bursts: Sequence[Floats], pauses: Sequence[float]) -> TimeLine:
    """Put bursts one after the other.

    Parameters
    ----------
    bursts
        The times between the files of each activity; an empty one is a single file.
    pauses
        From the last file of each to the first of the next.
    """
    times, labels, now = [], [], T0
    for number, (gaps, pause) in enumerate(zip(bursts, [*pauses, 0.0], strict=True)):
        own = now + np.concatenate(([0.0], np.cumsum(gaps)))
        times.append(own)
        labels.append(np.full(own.size, number))
        now = float(own[-1]) + pause
    return TimeLine(np.concatenate(times), np.concatenate(labels))


def sizes(random: np.random.Generator, total: int, count: int) -> list[int]:
    """Split a number of files into bursts of unequal sizes, each two or more."""
    parts = random.dirichlet(np.full(count, 2.0)) * (total - 2 * count)
    return [2 + int(part) for part in parts]


def uniform(low: float, high: float) -> Callable[[np.random.Generator, int], Floats]:
    """Draw gaps between two lengths."""
    return lambda random, count: random.uniform(low, high, count)


def exponential(mean: float) -> Callable[[np.random.Generator, int], Floats]:
    """Draw gaps of files that come at random."""
    return lambda random, count: random.exponential(mean, count)


def lognormal(median: float, spread: float) -> Callable[[np.random.Generator, int], Floats]:
    """Draw gaps of people at work: mostly alike, now and then longer."""
    return lambda random, count: median * np.exp(random.normal(0, spread, count))


def log_uniform(low: float, high: float) -> Callable[[np.random.Generator, int], Floats]:
    """Draw gaps of every order of magnitude alike."""
    return lambda random, count: np.exp(random.uniform(np.log(low), np.log(high), count))


def regular(period: float, jitter: float = 0.0) -> Callable[[np.random.Generator, int], Floats]:
    """Draw gaps of a machine, ``jitter`` being a part of the period."""
    return lambda random, count: period * (1 + jitter * random.uniform(-1, 1, count))


def session(
    random: np.random.Generator,
    counts: Sequence[int],
    within: Callable[[np.random.Generator, int], Floats],
    between: Callable[[np.random.Generator, int], Floats],
) -> TimeLine:
    """Draw bursts of one kind.

    Parameters
    ----------
    random
        The generator.
    counts
        Files of each burst.
    within, between
        How to draw the gaps in bursts, and the pauses between them.
    """
    bursts = [within(random, count - 1) for count in counts]
    return join(bursts, list(between(random, len(counts) - 1)))


def equal(total: int, count: int) -> list[int]:
    """Split a number of files into bursts as equal as can be."""
    return [len(part) for part in np.array_split(np.arange(total), count)]


def groups_of(
    line: TimeLine, size: int, apart: float, random: np.random.Generator | None = None
) -> TimeLine:
    """Save some files in place of each.

    Parameters
    ----------
    line
        When one file each is saved.
    size
        How many are.
    apart
        Seconds between them.
    random
        If given, how far they are apart varies by a tenth.
    """
    steps = np.full((line.times.size, size), apart)
    if random is not None:
        steps *= random.uniform(0.9, 1.1, steps.shape)
    steps[:, 0] = 0
    times = (line.times[:, None] + np.cumsum(steps, axis=1)).ravel()
    labels = np.repeat(line.activities, size)
    order = np.argsort(times, kind="stable")
    return TimeLine(times[order], labels[order])


def rounded(line: TimeLine, resolution: float) -> TimeLine:
    """Store times as a file system of a coarse clock does."""
    return TimeLine(np.floor(line.times / resolution) * resolution, line.activities)


def days(random: np.random.Generator, count: int, bursts: int, files: int) -> TimeLine:
    """Draw sessions that go on for days, with bursts in each."""
    pauses = [
        random.uniform(1200, 3600) if (number + 1) % bursts else random.uniform(0.5, 0.8) * DAY
        for number in range(count * bursts - 1)
    ]
    return join([random.uniform(3, 40, files - 1) for _ in range(count * bursts)], pauses)


def mixed(
    random: np.random.Generator,
    bursts: Sequence[tuple[int, Callable[[np.random.Generator, int], Floats]]],
    between: Callable[[np.random.Generator, int], Floats],
) -> TimeLine:
    """Draw bursts of different kinds, given as number of files and how to draw their gaps."""
    return join(
        [within(random, count - 1) for count, within in bursts],
        list(between(random, len(bursts) - 1)),
    )


def slowing(low: float, high: float) -> Callable[[np.random.Generator, int], Floats]:
    """Draw gaps that grow from one length to another."""
    return lambda random, count: np.geomspace(low, high, count) * random.uniform(0.8, 1.25, count)


HAND: Final = uniform(2, 30)
BREAKS: Final = uniform(900, 3600)

KINDS: Final[dict[str, Draw]] = {
    "10 files in 8 bursts": lambda r: session(r, equal(10, 8), HAND, BREAKS),
    "30 files in 8 bursts": lambda r: session(r, equal(30, 8), HAND, BREAKS),
    "100 files in 8 bursts": lambda r: session(r, equal(100, 8), HAND, BREAKS),
    "1,000 files in 8 bursts": lambda r: session(r, equal(1000, 8), HAND, BREAKS),
    "10,000 files in 8 bursts": lambda r: session(r, equal(10_000, 8), HAND, BREAKS),
    "bursts of a machine": lambda r: session(r, equal(90, 6), regular(10), uniform(600, 1800)),
    "files at random in 6 bursts": lambda r: session(r, equal(120, 6), exponential(20), BREAKS),
    "2,000 at random in 10": lambda r: session(r, equal(2000, 10), exponential(20), BREAKS),
    "people at work": lambda r: session(
        r, sizes(r, 150, 6), lognormal(20, 0.8), lognormal(1800, 0.4)
    ),
    "people at work, 3,000 files": lambda r: session(
        r, sizes(r, 3000, 12), lognormal(20, 0.8), lognormal(1800, 0.4)
    ),
    "people with long thoughts": lambda r: session(
        r, sizes(r, 300, 8), lognormal(20, 1.0), lognormal(2400, 0.5)
    ),
    "at random, slowly": lambda r: session(r, sizes(r, 200, 6), exponential(60), BREAKS),
    "short pauses": lambda r: session(r, sizes(r, 100, 5), uniform(8, 30), uniform(200, 500)),
    "unequal bursts": lambda r: session(r, sizes(r, 200, 7), HAND, BREAKS),
    "one large burst and small ones": lambda r: session(r, [2000, 6, 4, 5, 8], HAND, BREAKS),
    "pauses of all lengths": lambda r: session(
        r, sizes(r, 160, 9), HAND, lambda g, n: 600 + 1800 * np.exp(g.normal(0, 1.2, n))
    ),
    "evenly spaced": lambda r: session(r, [50], regular(30), BREAKS),
    "evenly spaced with jitter": lambda r: session(r, [80], regular(30, 0.1), BREAKS),
    "50 at random": lambda r: session(r, [50], exponential(30), BREAKS),
    "1,000 at random": lambda r: session(r, [1000], exponential(30), BREAKS),
    "10,000 at random": lambda r: session(r, [10_000], exponential(5), BREAKS),
    "5,000 by a person": lambda r: session(r, [5000], lognormal(10, 0.8), BREAKS),
    "20 by a person": lambda r: session(r, [20], lognormal(60, 0.6), BREAKS),
    "12 at random": lambda r: session(r, [12], exponential(60), BREAKS),
    "200 by a person": lambda r: session(r, [200], lognormal(25, 0.7), BREAKS),
    "slower and slower": lambda r: session(r, [100], slowing(4, 60), BREAKS),
    "copied within seconds": lambda r: session(r, [120], uniform(0.001, 0.03), BREAKS),
    "six maps in a row": lambda r: session(r, [6], regular(1200, 0.1), BREAKS),
    "all at one time": lambda r: rounded(session(r, [7], HAND, BREAKS), DAY),
    "a late file": lambda r: session(r, [40, 1], HAND, uniform(6 * HOUR, 14 * HOUR)),
    "an early file": lambda r: session(r, [1, 40], HAND, uniform(HOUR, 3 * HOUR)),
    "lone files between bursts": lambda r: session(r, [20, 1, 15, 1, 30], HAND, BREAKS),
    "two days, regular": lambda r: session(r, [10, 10], regular(1), regular(DAY)),
    "three days of 4 bursts": lambda r: days(r, 3, 4, 15),
    "two days of 8 bursts": lambda r: days(r, 2, 8, 12),
    "films and images": lambda r: mixed(
        r,
        [(200, regular(0.1, 0.05)), (15, uniform(20, 60)), (40, uniform(2, 5)), (12, HAND)],
        uniform(600, 1800),
    ),
    "a slow run between bursts": lambda r: mixed(
        r,
        [(30, uniform(5, 20)), (20, regular(600, 0.02)), (30, uniform(5, 20))],
        uniform(2400, 5400),
    ),
    "a run by night": lambda r: mixed(
        r,
        [(20, HAND), (25, HAND), (15, HAND), (100, regular(300, 0.02))],
        uniform(1500, 3600),
    ),
    "tilt series after overviews": lambda r: mixed(
        r,
        [(5, uniform(15, 60)), (60, regular(12)), (4, uniform(15, 60)), (60, regular(12))],
        uniform(600, 1500),
    ),
    "bursts that slow down": lambda r: session(r, equal(100, 5), slowing(3, 30), BREAKS),
    "slow bursts": lambda r: session(r, equal(60, 4), uniform(300, 600), uniform(7200, 14400)),
    "two files each time": lambda r: groups_of(session(r, equal(60, 5), HAND, BREAKS), 2, 0.05),
    "three detectors each time": lambda r: groups_of(
        session(r, equal(60, 5), lognormal(40, 0.4), BREAKS), 3, 0.02, r
    ),
    "two files each time, no pause": lambda r: groups_of(
        session(r, [40], uniform(20, 60), BREAKS), 2, 0.05
    ),
    "three detectors, no pause": lambda r: groups_of(
        session(r, [30], uniform(20, 60), BREAKS), 3, 0.05, r
    ),
    "four detectors, two days": lambda r: groups_of(days(r, 2, 3, 20), 4, 0.05, r),
    "rates that differ tenfold": lambda r: mixed(
        r, [(20, uniform(2 * s, 6 * s)) for s in (1, 3, 10, 2, 6)], BREAKS
    ),
    "pauses of minutes to hours": lambda r: session(
        r, sizes(r, 150, 8), uniform(5, 30), log_uniform(180, 3 * HOUR)
    ),
    "films among images": lambda r: mixed(
        r,
        [(20, HAND), (3000, regular(0.05, 0.05)), (25, HAND), (3000, regular(0.05, 0.05))],
        uniform(600, 2400),
    ),
    "heavy tails": lambda r: session(
        r, sizes(r, 150, 5), lambda g, n: 8 * (1 + g.pareto(3, n)), uniform(1200, 4000)
    ),
    "focus series of five": lambda r: groups_of(
        session(r, equal(40, 4), uniform(40, 90), BREAKS), 5, 1.0, r
    ),
    "batches of an export": lambda r: session(
        r, equal(120, 4), uniform(0.05, 0.5), uniform(1800, 5400)
    ),
    "a clock of seconds": lambda r: rounded(session(r, equal(90, 6), HAND, BREAKS), 1),
    "a clock of 2 seconds, fast": lambda r: rounded(
        session(r, equal(200, 6), uniform(0.5, 6), uniform(300, 1200)), 2
    ),
    "times that repeat": lambda r: groups_of(session(r, equal(50, 5), HAND, BREAKS), 2, 0),
    "three batches of one time each": lambda r: groups_of(
        session(r, [1, 1, 1], HAND, BREAKS), 6, 0
    ),
    "stacks of one time each": lambda r: groups_of(session(r, [8], uniform(20, 60), BREAKS), 6, 0),
    "three bursts of three": lambda r: session(r, [3, 3, 3], HAND, BREAKS),
    "two bursts of four": lambda r: session(r, [4, 4], HAND, BREAKS),
    "a few small bursts": lambda r: session(r, list(r.integers(2, 6, 5)), HAND, BREAKS),
}
"""Name of each kind of time line, and how to draw one."""


@dataclass(frozen=True, slots=True)
class KnownFiles:
    """A time line, and what is known of its files beside the times."""

    line: TimeLine
    techniques: list[str]
    durations: list[float]


def techniques_in_turn(random: np.random.Generator) -> KnownFiles:
    """Draw images, then diffraction patterns, then images, with a minute between, not an hour."""
    line = session(random, [15, 12, 18], uniform(4, 20), uniform(50, 80))
    names = ("TEM_Imaging", "TEM_Diffraction", "TEM_Imaging")
    return KnownFiles(line, [names[one] for one in line.activities], [0.0] * line.times.size)


def maps_among_images(random: np.random.Generator) -> KnownFiles:
    """Draw activities of images, each with a map that took as long as a pause."""
    bursts, durations = [], []
    for _ in range(4):
        gaps, own = uniform(5, 20)(random, 10), np.zeros(11)
        own[7] = random.uniform(900, 1800)
        gaps[6] += own[7]
        bursts.append(gaps)
        durations.extend(own.tolist())
    line = join(bursts, list(BREAKS(random, 3)))
    return KnownFiles(line, ["STEM_Imaging"] * line.times.size, durations)


def maps_in_a_row(random: np.random.Generator) -> KnownFiles:
    """Draw two activities of maps alone: from map to map it is minutes, and the pause two hours."""
    durations = random.uniform(600, 2400, 12)
    gaps = durations[1:] * random.uniform(0.95, 1.05, 11) + random.uniform(20, 60, 11)
    gaps[5] += random.uniform(5400, 9000)
    line = join([gaps[:5], gaps[6:]], [float(gaps[5])])
    return KnownFiles(line, ["EDS_Spectrum_Image"] * line.times.size, durations.tolist())


def exposures_of_some(random: np.random.Generator) -> KnownFiles:
    """Draw one activity of exposures without a pause; of three files in ten it is not known."""
    line = session(random, [60], uniform(65, 90), BREAKS)
    gaps = np.diff(line.times, prepend=line.times[0])
    known = np.arange(60) % 10 < 7  # noqa: PLR2004 - see above
    durations = gaps * random.uniform(0.9, 1.0, 60) * known
    return KnownFiles(line, ["TEM_Imaging"] * 60, durations.tolist())


WITH_EVIDENCE: Final[dict[str, Callable[[np.random.Generator], KnownFiles]]] = {
    "techniques in turn": techniques_in_turn,
    "maps among images": maps_among_images,
    "maps in a row": maps_in_a_row,
    "exposures of some": exposures_of_some,
}
"""Kinds in which the times alone mislead."""


def adjusted_rand_index(one: Sequence[int], other: Sequence[int]) -> float:
    """Return how far two partitions agree: 1 for equal ones, about 0 by chance.

    Hubert and Arabie 1985, Journal of Classification 2, 193.

    Parameters
    ----------
    one, other
        The group of each element.
    """
    table = np.zeros((max(one) + 1, max(other) + 1))
    np.add.at(table, (np.asarray(one), np.asarray(other)), 1)

    def pairs(counts: Floats) -> float:
        return float((counts * (counts - 1) / 2).sum())

    together, total = pairs(table), pairs(np.asarray([len(one)], dtype=np.float64))
    rows, columns = pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    expected = rows * columns / total if total else 0.0
    largest = (rows + columns) / 2
    return 1.0 if largest == expected else (together - expected) / (largest - expected)
