"""What the story of a session says of its events."""

from nexuslims_console.views import summary
from nexuslims_contracts.datasets import CuratedDataset
from nexuslims_contracts.testing import SessionEvents


def test_it_names_what_people_added_and_keeps_it_short() -> None:
    facts = SessionEvents()
    gold = CuratedDataset(location="a/1.dm3", name="1.dm3", descriptions=("Gold",), rating=5)
    assert (
        summary(facts.curated(datasets=(gold,))) == "archive: people added 1.dm3: rated 5, “Gold”"
    )
    nothing = CuratedDataset(location="a/1.dm3", name="1.dm3")
    assert summary(facts.curated(datasets=(nothing,))).endswith("1.dm3: nothing any more")
    long = gold.model_copy(update={"descriptions": ("word " * 1000,)})
    assert len(summary(facts.curated(datasets=(long,) * 50))) < 400
    assert summary(facts.curated(datasets=(long,) * 50)).endswith(" and 47 more")
