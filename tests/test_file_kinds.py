"""What is looked for is what is read."""

import pytest

from nexuslims_formats.registry import file_kinds
from nexuslims_indexer.names import DEFAULT_KINDS, Names
from nexuslims_shared.settings import Settings

INCUMBENT = ("*.mib", "*.db", "*.emi", "*.hdr")
"""The default of NexusLIMS 2, which stands in the settings of facilities that move in."""


def default_patterns() -> tuple[str, ...]:
    patterns: tuple[str, ...] = Settings.model_fields["ignore_patterns"].default
    return patterns


def test_what_is_looked_for_before_an_extractor_tells_is_what_our_own_read() -> None:
    ours = file_kinds()
    assert set(DEFAULT_KINDS.endings) == set(ours.endings)
    assert set(DEFAULT_KINDS.companions) == set(ours.companions)


@pytest.mark.parametrize("ending", file_kinds().endings)
def test_nothing_that_is_read_is_hidden_by_default(ending: str) -> None:
    names = Names("exclusive", default_patterns())
    assert names.choose([f"a.{ending}", f"B.{ending.upper()}"]).files == [
        f"a.{ending}",
        f"B.{ending.upper()}",
    ]


def test_a_raw_dataset_of_merlin_is_found_with_its_header_beside_it() -> None:
    folder = ["scan.mib", "scan.hdr", "scan.dm4", "Thumbs.db", "map.emi", "map_1.ser"]
    assert Names("exclusive", default_patterns()).choose(folder).files == [
        "scan.mib",
        "scan.dm4",
        "map_1.ser",
    ]
    # who has the incumbent's own patterns among the settings has its meaning, too
    assert Names("exclusive", INCUMBENT).choose(folder).files == ["scan.dm4", "map_1.ser"]
