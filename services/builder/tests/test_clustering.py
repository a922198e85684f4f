"""The incumbent's clustering: exact, on the cases it was measured on, and by brute force."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexuslims_builder.clustering import Evidence, cluster
from nexuslims_builder.errors import ClusteringError
from nexuslims_builder.kde_clustering import left_out_score, log_sums

EPOCH = 1542110400.0


def boundaries(times: list[float], **options: float) -> int:
    return len(cluster(times, method="kde", **options).boundaries)


def bursts(count: int, seed: int = 20181113) -> list[float]:
    """Eight bursts of files, seconds apart, with pauses of a quarter to a whole hour."""
    generator = np.random.default_rng(seed)
    now, times = EPOCH, []
    for burst in np.array_split(np.arange(count), 8):
        inside = np.cumsum(generator.uniform(2, 30, burst.size - 1))
        times += [now, *(now + inside)]
        now = times[-1] + generator.uniform(900, 3600)
    return [float(time) for time in times]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0, 60], 0),
        ([0, 1, 3600], 0),
        ([EPOCH + 30.0 * n for n in range(50)], 38),
        ([10.0 * n for n in range(20)] + [43200.0], 1),
        # the valley floor of two symmetric bursts has two equal points: no strict minimum
        ([EPOCH + n for n in range(10)] + [EPOCH + 86400 + n for n in range(10)], 0),
        ([EPOCH], 0),
        ([EPOCH, EPOCH, EPOCH], 0),
    ],
)
def test_measured_cases(times: list[float], expected: int) -> None:
    assert boundaries(times) == expected


@pytest.mark.parametrize(("count", "expected"), [(10, 1), (100, 8), (1000, 29), (5000, 61)])
def test_the_incumbents_activities_grow_with_the_files(count: int, expected: int) -> None:
    assert len(cluster(bursts(count), method="kde").activities) == expected


def test_no_times_no_activities() -> None:
    assert cluster([]).activities == ()


@pytest.mark.parametrize(
    ("batch", "apart", "count", "expected"),
    [(6, 1800.0, 3, 3), (5, 900.0, 2, 2), (4, 1800.0, 3, 1), (6, 30.0, 3, 1), (6, 1800.0, 12, 1)],
)
def test_a_few_batches_of_one_time_each_are_activities(
    batch: int, apart: float, count: int, expected: int
) -> None:
    times = [apart * (number // batch) for number in range(batch * count)]
    assert len(cluster(times).activities) == expected
    assert len(cluster(times, sensitivity=0).activities) == 1


def test_equal_times_stay_together_and_indices_follow_time() -> None:
    clusters = cluster([5000.0, 0.0, 0.0, 1.0, 5003.0, 5001.0, 2.0])
    assert [index for activity in clusters.activities for index in activity] == list(range(7))
    assert clusters.activities[0][:2] == (0, 1)


def test_sensitivity() -> None:
    times = bursts(100)
    assert len(cluster(times, sensitivity=0, method="kde").activities) == 1
    assert len(cluster(times, sensitivity=20, method="kde").activities) > 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "magic"}, "unknown method 'magic'"),
        ({"sensitivity": -1}, "use 0 or more"),
        ({"sensitivity": math.nan}, "use 0 or more"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ClusteringError, match=message):
        cluster([1.0, 2.0], **options)


def test_a_time_that_is_no_number_is_refused() -> None:
    with pytest.raises(ClusteringError, match="not a number"):
        cluster([1.0, math.nan])


def reference_log_sums(points: np.ndarray, times: np.ndarray, bandwidth: float) -> np.ndarray:
    exponents = -0.5 * ((points[:, None] - times[None, :]) / bandwidth) ** 2
    largest = exponents.max(axis=1)
    return largest + np.log(np.exp(exponents - largest[:, None]).sum(axis=1))


TIMES = st.lists(
    st.floats(0, 1e5, allow_nan=False).map(lambda x: round(x, 3)),
    min_size=2,
    max_size=40,
    unique=True,
).map(sorted)


@given(TIMES, st.floats(0.01, 1e5))
@settings(deadline=None, max_examples=80)
def test_sums_over_neighbours_are_the_sums_over_all(times: list[float], bandwidth: float) -> None:
    array = np.array(times)
    points = np.linspace(array[0], array[-1], 50)
    assert log_sums(points, array, bandwidth) == pytest.approx(
        reference_log_sums(points, array, bandwidth), rel=1e-12, abs=1e-12
    )


@given(TIMES, st.floats(0.01, 1e5))
@settings(deadline=None, max_examples=80)
def test_the_score_is_the_formula(times: list[float], bandwidth: float) -> None:
    array = np.array(times)
    logs = [
        reference_log_sums(array[i : i + 1], np.delete(array, i), bandwidth)[0]
        for i in range(array.size)
    ]
    norm = math.log((array.size - 1) * bandwidth * math.sqrt(2 * math.pi))
    assert left_out_score(array, bandwidth) == pytest.approx(
        float(np.mean(logs)) - norm, rel=1e-9, abs=1e-9
    )


@given(
    st.lists(st.floats(0, 1e6, allow_nan=False).map(lambda x: round(x, 3)), max_size=40),
    st.sampled_from(["kde", "gaps"]),
)
@settings(deadline=None, max_examples=60)
def test_every_file_is_in_one_activity(times: list[float], method: str) -> None:
    clusters = cluster(times, method=method)
    members = [index for activity in clusters.activities for index in activity]
    assert members == list(range(len(times)))
    assert all(clusters.activities)


def activities(times: list[float], sensitivity: float = 1.0) -> int:
    return len(cluster(times, sensitivity=sensitivity).activities)


@given(st.integers(10, 400), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_gaps_find_eight_bursts_at_every_size(count: int, seed: int) -> None:
    assert activities(bursts(count, seed)) == 8


def test_gaps_find_eight_bursts_among_ten_thousand_files() -> None:
    assert activities(bursts(10_000)) == 8


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([], 0),
        ([0], 1),
        ([0, 60], 1),
        ([0, 1, 3600], 2),
        ([EPOCH + 30.0 * n for n in range(50)], 1),
        ([EPOCH + 30.0 * n + (n * 37 % 19) / 10 for n in range(50)], 1),
        ([EPOCH + n for n in range(10)] + [EPOCH + 86400 + n for n in range(10)], 2),
        ([EPOCH + n for n in range(5)] + [EPOCH + 604 + n for n in range(5)], 2),
        ([10.0 * n for n in range(20)] + [43200.0], 2),
        # two files saved together, then others a minute apart: no reason to set those apart
        ([0, 0.1, *(60.0 * n for n in range(1, 20))], 1),
    ],
)
def test_gaps_find_what_a_person_would(times: list[float], expected: int) -> None:
    assert activities(times) == expected


def test_gaps_keep_files_that_are_saved_together_in_their_burst() -> None:
    assert activities([time + later for time in bursts(100) for later in (0, 0.1)]) == 8


def test_gaps_see_the_bursts_of_two_days() -> None:
    times = bursts(100)
    assert activities(times + [time + 2 * 86400 for time in times]) == 16


@given(TIMES, st.integers(-8, 8))
@settings(deadline=None, max_examples=80)
def test_gaps_do_not_change_with_the_scale(times: list[float], power: int) -> None:
    stretched = [time * 2.0**power for time in times]
    assert cluster(stretched).activities == cluster(times).activities


@given(TIMES, st.floats(0, 100), st.floats(0, 100))
@settings(deadline=None, max_examples=80)
def test_more_sensitivity_gives_more_activities(times: list[float], one: float, two: float) -> None:
    low, high = sorted((one, two))
    assert activities(times, low) <= activities(times, high)
    assert activities(times, 0) == 1


def test_gaps_keep_files_of_several_detectors_together_without_any_pause() -> None:
    series = [30.0 * n + 7 * (n * n % 5) for n in range(25)]
    assert activities([time + later for time in series for later in (0, 0.02, 0.04)]) == 1


def test_gaps_find_pauses_that_overlap_with_the_longest_thoughts() -> None:
    generator = np.random.default_rng(3)
    within = [20 * np.exp(generator.normal(0, 1.0, 299)) for _ in range(6)]
    gaps = [gap for burst in within for gap in (*burst, generator.uniform(1800, 4000))]
    assert activities([float(time) for time in np.cumsum(gaps)[:-1]]) == 6


def test_gaps_keep_a_slow_series_beside_fast_ones() -> None:
    fast, slow = [10.0] * 20, [600.0 + n % 3 for n in range(15)]
    gaps = [*fast, 3600, *slow, 4000, *fast]
    clusters = cluster([float(time) for time in np.cumsum([0, *gaps])])
    assert [len(activity) for activity in clusters.activities] == [21, 16, 21]


def sizes(times: list[float], **evidence: list[Any]) -> list[int]:
    clusters = cluster(times, evidence=Evidence(**evidence))
    return [len(activity) for activity in clusters.activities]


def test_a_change_of_technique_makes_a_shorter_pause_enough() -> None:
    times = [float(time) for time in np.cumsum([0, *[10] * 5, 30, *[10] * 5])]
    names = ["TEM_Imaging"] * 6 + ["TEM_Diffraction"] * 6
    assert sizes(times) == [12]
    assert sizes(times, techniques=names) == [6, 6]


def test_techniques_in_turn_are_one_activity() -> None:
    times = [float(time) for time in np.cumsum([0, *[10] * 5, 30, *[10] * 5])]
    assert sizes(times, techniques=["STEM_Imaging", "STEM_EELS"] * 6) == [12]


def test_a_change_of_technique_without_a_pause_is_none() -> None:
    times = [10.0 * n for n in range(12)]
    assert sizes(times, techniques=["TEM_Imaging"] * 6 + ["TEM_Diffraction"] * 6) == [12]


def test_a_long_acquisition_is_no_pause() -> None:
    times = [float(time) for time in np.cumsum([0, *[10] * 5, 1210, *[10] * 5, 1800, *[10] * 5])]
    durations = [0.0] * 18
    durations[6] = 1200.0
    assert sizes(times) == [6, 6, 6]
    assert sizes(times, durations=durations) == [12, 6]


def test_an_acquisition_longer_than_the_gap_before_it_is_not_believed() -> None:
    times = [float(time) for time in np.cumsum([0, *[10] * 5, 1210, *[10] * 5])]
    assert sizes(times, durations=[0.0] * 6 + [99_999.0] + [0.0] * 5) == [6, 6]


def test_evidence_belongs_to_its_file_in_whatever_order_files_are_given() -> None:
    times = [float(time) for time in np.cumsum([0, *[10] * 5, 1210, *[10] * 5])]
    durations = [0.0] * 6 + [1200.0] + [0.0] * 5
    assert sizes(times[::-1], durations=durations[::-1]) == [12]
    assert sizes([*times, times[6]], durations=[*durations, 0.0]) == [13]


def test_a_pause_among_long_acquisitions_is_seen_by_what_they_leave_of_the_gaps() -> None:
    gaps = [700.0, 1500.0, 2300.0, 1000.0, 1900.0, 7000.0, 800.0, 2200.0, 1200.0]
    times = [0.0]
    for gap in gaps:
        times.append(times[-1] + gap)
    durations = [600.0, *(gap - 40.0 for gap in gaps)]
    durations[6] = 1400.0
    durations[3] = 1.05 * gaps[2]
    assert sizes(times) == [10]
    assert sizes(times, durations=durations) == [6, 4]
