"""A share of `make chaos-cluster`: the leader of three brokers dies; nothing is lost or doubled."""

from pathlib import Path

import pytest
from benchmarks.chaos_cluster import endure

pytestmark = [pytest.mark.chaos, pytest.mark.broker]


async def test_a_killed_leader_costs_no_event_that_was_acknowledged(tmp_path: Path) -> None:
    report = await endure(tmp_path, 1)
    assert (report.bars["lost"].value, report.bars["twice"].value) == (0, 0)
    assert report.figures["acknowledged"] > 0
