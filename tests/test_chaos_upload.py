"""A share of `make chaos-upload`: requests fail, the uploader dies, each record is there once."""

import argparse
from pathlib import Path

import pytest
from benchmarks.chaos_upload import endure

pytestmark = [pytest.mark.chaos, pytest.mark.broker, pytest.mark.timeout(300)]


async def test_each_record_is_exactly_once_in_each_destination(tmp_path: Path) -> None:
    options = argparse.Namespace(count=6, probability=0.15, deaths=2, every=40, limit=200)
    report = await endure(tmp_path, options)
    assert {name: bar.value for name, bar in report.bars.items() if not bar.ok} == {}
    assert report.figures["of them failed"] > 0
