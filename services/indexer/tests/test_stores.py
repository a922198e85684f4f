"""Folders that are one dataset."""

import pytest


@pytest.mark.parametrize("strategy", ["exclusive", "inclusive"])
def test_a_store_is_one_dataset_whatever_changes_in_it(share, strategy) -> None:
    for name in (".zattrs", ".zgroup", "Experiments/a/.zattrs", "Experiments/a/data/0.0"):
        share.write(f"deep/map.ZSPY/{name}")
    share.write("a.dm3")
    seen = share.seen(strategy=strategy)
    expected = ["Titan/a.dm3", "Titan/deep/map.ZSPY/.zattrs"]
    assert seen.paths() == expected
    share.write("deep/map.ZSPY/Experiments/a/data/0.1")
    seen.look_at("Titan/deep/map.ZSPY/Experiments/a/data")
    seen.look(everything=True)
    assert seen.paths() == expected


def test_a_store_whose_ending_is_ignored_is_none(share) -> None:
    share.write("map.zspy/.zattrs")
    share.write("map.zspy/Experiments/a/data/0.0")
    assert share.found(ignore=["*.zspy"]) == []
