"""Clustering into activities: what a person would see, how fast, and the incumbent's exactly.

``make bench-cluster``. Made-up time lines of many kinds are clustered and compared with the
activities they were made of, by the adjusted Rand index: 1 for the same, about 0 by chance. The
incumbent's method is compared with its description, computed pair by pair without any shortcut.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from tests.corpus import find_corpus

from benchmarks.report import Bar, Report
from benchmarks.timelines import (
    KINDS,
    WITH_EVIDENCE,
    Draw,
    Floats,
    TimeLine,
    adjusted_rand_index,
    lognormal,
    session,
    sizes,
)
from nexuslims_builder.clustering import NO_EVIDENCE, Evidence, cluster
from nexuslims_builder.kde_clustering import BANDWIDTHS, GRID_PER_TIME

DRAWS: Final = 10
SLOW_FOR_KDE: Final = 500
GENERATED: Final = 200


def main() -> None:
    """Run the benchmark."""
    report = Report("cluster")
    scores = {name: _scores(draw) for name, draw in track(KINDS.items(), "kinds", transient=True)}
    report.figures["kinds"] = len(scores)
    report.figures["exact_share"] = float(
        np.mean([one == 1 for row in scores.values() for one in row])
    )
    report.figures["mean_ari_kde_up_to_500_files"] = _score_of_kde()
    report.bars["mean_ari"] = Bar(float(np.mean(list(scores.values()))), 0.98, at_least=True)
    for name, draw in WITH_EVIDENCE.items():
        known, blind = [], []
        for seed in range(DRAWS):
            files = draw(np.random.default_rng(seed))
            evidence = Evidence(files.techniques, files.durations)
            known.append(_score(files.line, evidence=evidence))
            blind.append(_score(files.line))
        label = name.replace(" ", "_")
        report.figures[f"mean_ari_{label}_times_alone"] = float(np.mean(blind))
        report.bars[f"mean_ari_{label}"] = Bar(float(np.mean(known)), 0.98, at_least=True)
    report.bars["cpu_s_10000_files"] = Bar(_cpu_of_many(), 0.1)
    report.bars["kde_differences"] = Bar(_differences_of_kde(report), 0)
    _show(scores)
    report.finish()


def _scores(draw: Draw) -> list[float]:
    return [_score(draw(np.random.default_rng(seed))) for seed in range(DRAWS)]


def _score(line: TimeLine, method: str = "gaps", evidence: Evidence = NO_EVIDENCE) -> float:
    clusters = cluster(line.times.tolist(), method=method, evidence=evidence)
    found = [n for n, activity in enumerate(clusters.activities) for _ in activity]
    return adjusted_rand_index(line.activities.tolist(), found)


def _score_of_kde() -> float:
    lines = [draw(np.random.default_rng(0)) for draw in KINDS.values()]
    return float(np.mean([_score(one, "kde") for one in lines if one.times.size <= SLOW_FOR_KDE]))


def _cpu_of_many() -> float:
    """CPU seconds for 10,000 files, the slower of two kinds, once all is imported."""
    lines = [KINDS[name](np.random.default_rng(1)).times.tolist()
             for name in ("10,000 files in 8 bursts", "10,000 at random")]  # fmt: skip
    for line in lines:
        cluster(line)
    spent = []
    for line in lines:
        begun = time.process_time()
        cluster(line)
        spent.append(time.process_time() - begun)
    return max(spent)


def _differences_of_kde(report: Report) -> int:
    """Count the sessions on which the incumbent's method is not as it is described."""
    sessions = [_generated(np.random.default_rng(seed)) for seed in range(GENERATED)]
    real = _corpus_sessions()
    report.figures["kde_sessions_compared"] = len(sessions) + len(real)
    return sum(
        not _same(cluster(times, method="kde").boundaries, kde_by_description(times))
        for times in track([*sessions, *real], "kde", transient=True)
    )


def _generated(random: np.random.Generator) -> list[float]:
    counts = sizes(random, int(random.integers(12, 90)), int(random.integers(1, 6)))
    line = session(random, counts, lognormal(20, 0.9), lognormal(1500, 0.7))
    return [float(one) for one in line.times]


def _corpus_sessions() -> list[list[float]]:
    """Times of the files of the corpus's session; none where the corpus is not there."""
    corpus = find_corpus()
    if corpus is None:
        return []
    with TemporaryDirectory() as folder:
        corpus.session_files(Path(folder))
        return [sorted(one.stat().st_mtime for one in Path(folder).rglob("*") if one.is_file())]


def kde_by_description(times: Sequence[float]) -> tuple[float, ...]:
    """Compute the incumbent's boundaries as it describes them, pair by pair.

    Parameters
    ----------
    times
        POSIX seconds, with two or more distinct ones.
    """
    distinct = np.unique(np.asarray(times, dtype=np.float64))
    gaps = np.diff(distinct)
    bandwidths = np.logspace(np.log(gaps.min()), np.log(gaps.max()), BANDWIDTHS, base=np.e)
    best = max(bandwidths, key=lambda bandwidth: _left_out(distinct, bandwidth))
    grid = np.linspace(distinct[0], distinct[-1], GRID_PER_TIME * distinct.size)
    density = _log_sum(-0.5 * ((grid[:, None] - distinct[None, :]) / best) ** 2)
    lower = (density[1:-1] < density[:-2]) & (density[1:-1] < density[2:])
    return tuple(grid[1:-1][lower].tolist())


def _left_out(times: Floats, bandwidth: float) -> float:
    exponents = -0.5 * ((times[:, None] - times[None, :]) / bandwidth) ** 2
    np.fill_diagonal(exponents, -np.inf)
    return float(np.mean(_log_sum(exponents)) - np.log(bandwidth))


def _log_sum(exponents: Floats) -> Floats:
    largest = exponents.max(axis=1)
    sums: Floats = largest + np.log(np.exp(exponents - largest[:, None]).sum(axis=1))
    return sums


def _same(one: Sequence[float], other: Sequence[float]) -> bool:
    return len(one) == len(other) and bool(np.allclose(one, other, rtol=0, atol=1e-6))


def _show(scores: dict[str, list[float]]) -> None:
    table = Table("kind", "mean ARI", "worst", title=f"{DRAWS} time lines of each kind")
    for name, row in sorted(scores.items(), key=lambda one: float(np.mean(one[1]))):
        table.add_row(name, f"{np.mean(row):.3f}", f"{min(row):.3f}")
    Console().print(table)


if __name__ == "__main__":
    main()
