"""Short seeds of `make chaos`: faults of every kind at once, and nothing is lost by them."""

from pathlib import Path

import pytest
from benchmarks.chaos import endure
from benchmarks.chaos_plant import PLANTED
from benchmarks.chaos_system import Surroundings

pytestmark = [pytest.mark.chaos, pytest.mark.broker, pytest.mark.timeout(400)]


async def test_a_short_chaos_leaves_nothing_lost_twice_stuck_or_divergent(tmp_path: Path) -> None:
    outcome = await endure(tmp_path, 3, Surroundings(8), faults=10, rest=120)
    assert outcome.violations == []
    assert outcome.faults.total() >= 10
    assert outcome.planted == len(PLANTED)
