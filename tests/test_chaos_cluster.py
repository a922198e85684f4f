"""A share of `make chaos-cluster`: the leader of three brokers dies; nothing is lost or doubled."""

from pathlib import Path

import pytest
from benchmarks.chaos_cluster import endure

pytestmark = [pytest.mark.chaos, pytest.mark.broker]


async def test_a_killed_leader_costs_no_event_that_was_acknowledged(tmp_path: Path) -> None:
    report = await endure(tmp_path, 1)
    assert {name: bar.value for name, bar in report.bars.items() if not bar.ok} == {}
    assert report.figures["acknowledged"] > 0
