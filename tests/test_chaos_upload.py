"""A share of `make chaos-upload`: requests fail, the uploader dies, each record is there once."""

import argparse
from pathlib import Path

import pytest
from benchmarks.chaos_upload import endure

pytestmark = [pytest.mark.chaos, pytest.mark.broker]


async def test_each_record_is_exactly_once_in_each_destination(tmp_path: Path) -> None:
    options = argparse.Namespace(count=10, probability=0.3, deaths=2, every=25, limit=100)
    report = await endure(tmp_path, options)
    assert {name: bar.value for name, bar in report.bars.items() if not bar.ok} == {}
    assert report.figures["of them failed"] > 0
