"""What is looked for is what is read."""

from nexuslims_formats.registry import file_kinds
from nexuslims_indexer.names import DEFAULT_KINDS


def test_until_an_extractor_tells_what_our_own_read_is_looked_for() -> None:
    ours = file_kinds()
    assert set(DEFAULT_KINDS.endings) == set(ours.endings)
    assert set(DEFAULT_KINDS.companions) == set(ours.companions)
