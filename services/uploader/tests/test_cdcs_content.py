"""What people add in CDCS, mixed with rebuilds, retries, withdrawals and undos in any order."""

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from nexuslims_contracts.datasets import CuratedDataset
from nexuslims_contracts.record.curation import additions_to, curated, key_of
from nexuslims_contracts.record.model import Activity, Curation, Dataset, Experiment
from nexuslims_contracts.record.reader import read_record
from nexuslims_contracts.record.writer import write_record
from nexuslims_uploader.cdcs.content import (
    Edited,
    Written,
    additions_there,
    merged_content,
    new_content,
)
from nexuslims_uploader.testing import record_to_upload

FILES = ("a.dm3", "b.dm3", "c.dm3")


@dataclass
class World:
    """A CDCS with one record, the events of its session, and all that people ever wrote there."""

    title: str = "0"
    there: str | None = None
    written: Written | None = None
    additions: tuple[CuratedDataset, ...] = ()
    texts: dict[str, set[str]] = field(default_factory=dict)
    ratings: dict[str, int] = field(default_factory=dict)
    is_held: bool = False

    def built(self) -> Experiment:
        """The record as the builder makes it by now, with remarks of its own."""
        datasets = tuple(
            Dataset(name, name, descriptions=(f"remark {self.title}",)) for name in FILES
        )
        plain = Experiment(title=self.title, activities=(Activity(datasets=datasets),))
        return curated(plain, self.additions, judgements=False)

    def upload(self, *, overwrite: bool = False) -> None:
        record = record_to_upload(write_record(self.built()))
        record = replace(record, additions=self.additions, overwrite=overwrite)
        if self.there is None:
            content = new_content(record)
        else:
            content = merged_content(record, self.there, self.written)
        self.is_held = isinstance(content, Edited)
        if not isinstance(content, Edited):
            self.there, self.written = content.xml, content.written
            self.additions = content.additions

    def withdraw(self) -> None:
        if self.there is not None:
            record = record_to_upload(write_record(self.built()))
            record = replace(record, additions=self.additions)
            found = additions_there(record, self.there, self.written)
            self.additions = self.additions if found is None else found
            self.there, self.written = None, None

    def edit(self, name: str, text: str, rating: int | None) -> None:
        if self.there is None:
            return
        whole = read_record(self.there.encode())
        (activity,) = whole.activities

        def change(one: Dataset) -> Dataset:
            if one.name != name:
                return one
            texts = one.descriptions if text in one.descriptions else (*one.descriptions, text)
            judgement = one.curation if rating is None else Curation(rating)
            return replace(one, descriptions=texts, curation=judgement)

        changed = replace(activity, datasets=tuple(map(change, activity.datasets)))
        self.there = write_record(replace(whole, activities=(changed,))).decode()
        self.texts.setdefault(name, set()).add(text)
        if rating is not None:
            self.ratings[name] = rating


edits = st.tuples(
    st.sampled_from(FILES),
    st.sampled_from(["mine", "yours", "<b>&", "third area"]),
    st.none() | st.integers(1, 5),
)
steps = st.lists(edits | st.sampled_from(["rebuild", "retry", "withdraw", "undo"]), max_size=15)


def assert_complete(world: World) -> None:
    """All that people wrote is there, and of our remarks only those of the last record."""
    assert world.there is not None
    datasets = {one.name: one for one in read_record(world.there.encode()).datasets()}
    for name, texts in world.texts.items():
        assert texts <= set(datasets[name].descriptions)
    for dataset in datasets.values():
        remarks = [text for text in dataset.descriptions if text.startswith("remark")]
        assert remarks == [f"remark {world.title}"]
    for name, rating in world.ratings.items():
        assert datasets[name].curation == Curation(rating)


@settings(max_examples=200)
@given(steps)
def test_every_edit_is_in_the_final_record(steps) -> None:
    world = World()
    world.upload()
    for number, step in enumerate(steps, start=1):
        match step:
            case "rebuild":
                world.title = str(number)
                if world.there is not None:
                    world.upload()
            case "retry" if world.there is not None:
                world.upload()
            case "withdraw":
                world.withdraw()
            case "undo":
                world.upload()
            case (name, text, rating):
                world.edit(name, text, rating)
        assert not world.is_held
    world.upload()
    assert world.there is not None
    assert_complete(world)
    before = world.there
    world.upload()
    assert world.there == before


@given(steps)
def test_a_title_that_a_person_changed_is_kept_until_the_operator_decides(steps) -> None:
    world = World()
    world.upload()
    assert world.there is not None
    world.there = world.there.replace("<title>0<", "<title>theirs<")
    for number, step in enumerate(steps, start=1):
        world.title = str(number)
        if isinstance(step, tuple):
            world.edit(*step)
        world.upload()
        assert world.is_held
        assert "<title>theirs<" in world.there
    world.title = "last"
    world.upload(overwrite=True)
    assert not world.is_held
    assert "<title>last<" in world.there


def test_what_is_put_into_a_record_is_found_in_it_again() -> None:
    ours = World().built()
    one = CuratedDataset(location="a.dm3", name="a.dm3", descriptions=("mine",), rating=3)
    there = curated(ours, [one], judgements=True)
    assert additions_to(ours, there, (), descriptions=True) == (one,)
    assert [key_of(dataset) for dataset in there.datasets()] == [(name, name) for name in FILES]
