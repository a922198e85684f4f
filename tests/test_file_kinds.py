"""What is looked for is what is read."""

from nexuslims_formats.registry import file_kinds
from nexuslims_indexer.names import DEFAULT_KINDS


def test_what_is_looked_for_before_an_extractor_tells_is_read_by_our_own() -> None:
    ours = file_kinds()
    assert set(DEFAULT_KINDS.endings) <= set(ours.endings)
    assert set(DEFAULT_KINDS.companions) <= set(ours.companions)
