"""What an operator adds to a record, beside what people add at destinations at the same time."""

import json
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from nexuslims_contracts.datasets import CuratedDataset
from nexuslims_contracts.events import RecordCurated
from nexuslims_contracts.record.curation import merged_additions
from nexuslims_contracts.record.reader import read_record
from nexuslims_shared.session.state import fold
from nexuslims_shared.session.status import is_stale
from nexuslims_uploader.cdcs.content import merged_content, new_content
from nexuslims_uploader.cli import curate as curate_command
from nexuslims_uploader.curate import state_change
from nexuslims_uploader.curation import OPERATOR, Change, additions_of
from nexuslims_uploader.destination import UploadResult
from nexuslims_uploader.errors import CurationError
from nexuslims_uploader.testing import FakeDestination, small_record_xml
from nexuslims_uploader.testing.records import record_to_upload

(DATASET,) = read_record(small_record_xml()).datasets()
NAME, PLACE = DATASET.name, DATASET.location
OURS = CuratedDataset(location=PLACE, name=NAME, descriptions=("Gold",), rating=5)
THEIRS = CuratedDataset(location="b.dm3", name="b.dm3", descriptions=("Silver",))
TWO = small_record_xml("Two")

texts = st.lists(st.sampled_from("abcde"), unique=True).map(tuple)
additions = st.lists(
    st.builds(
        CuratedDataset,
        location=st.sampled_from(["x", "y"]),
        name=st.just("n"),
        descriptions=texts,
        rating=st.none() | st.integers(1, 5),
    ),
    unique_by=lambda one: one.location,
).map(tuple)


class Curated(FakeDestination):
    """A destination at which people add to the record, perhaps while it is uploaded."""

    found: tuple[CuratedDataset, ...] | None = None
    meanwhile = None

    async def upload(self, record, previous):
        where = await super().upload(record, previous)
        if self.meanwhile is not None:
            await self.meanwhile()
        return UploadResult(where.record_id, where.url, written="w", additions=self.found)


@pytest.fixture
async def held(harness):
    harness.fake = Curated()
    harness.use(harness.fake)
    await harness.begin()
    await harness.handle()
    return harness


async def change(harness, dataset: str = NAME, **values) -> None:
    await state_change(harness.context(), harness.facts.session, dataset, Change(**values))


async def test_what_an_operator_adds_is_stated_once_and_makes_the_record_stale(held) -> None:
    for _ in range(2):
        await change(held, description="Gold", rating=5)
    history = await held.history()
    statements = [one for one in history if isinstance(one.event, RecordCurated)]
    assert [one.event.datasets for one in statements] == [(OURS,)]
    assert is_stale(fold(history))
    (addition,) = additions_of(history)
    assert (addition.dataset, addition.destination) == (OURS, OPERATOR)
    assert addition.time == statements[0].envelope.time


@pytest.mark.parametrize(
    ("values", "left"),
    [
        ({"rating": 5}, {"descriptions": ("Gold",), "rating": None}),
        ({"description": "Gold"}, {"descriptions": (), "rating": 5}),
        ({}, {"descriptions": (), "rating": None}),
    ],
)
async def test_it_is_taken_back(held, values, left) -> None:
    await change(held, description="Gold", rating=5)
    await change(held, **values, undo=True)
    assert fold(await held.history()).curated_datasets() == (OURS.model_copy(update=left),)


async def test_everything_of_a_session_is_taken_back(held) -> None:
    await change(held, description="Gold")
    await change(held, "", undo=True)
    assert additions_of(await held.history()) == ()


async def test_an_unknown_dataset_and_a_session_without_record_are_refused(held) -> None:
    with pytest.raises(CurationError, match=NAME):
        await change(held, "elsewhere.dm3", rating=1)
    with pytest.raises(CurationError, match="no record"):
        await state_change(held.context(), "file-9", "", Change(undo=True))


async def test_what_is_added_during_an_upload_is_not_lost(held) -> None:
    async def meanwhile() -> None:
        await change(held, description="Gold", rating=5)

    held.fake.meanwhile, held.fake.found = meanwhile, (THEIRS,)
    await held.build(TWO, 4)
    await held.handle()
    assert set(fold(await held.history()).curated_datasets()) == {OURS, THEIRS}


async def test_the_destination_learns_what_it_has_and_what_it_lacks(held) -> None:
    await change(held, description="Gold")
    await held.build(TWO, 9)
    await held.handle()
    record, _ = held.fake.calls[-1]
    assert record.last_additions == ()
    assert record.additions == (OURS.model_copy(update={"rating": None}),)
    await held.build(small_record_xml("Three"), 20)
    await held.handle()
    record, _ = held.fake.calls[-1]
    assert record.last_additions == record.additions


@given(additions, additions, additions)
def test_nothing_that_either_place_added_is_lost(before, theirs, ours) -> None:
    merged = {one.location: one for one in merged_additions(before, theirs, ours)}
    nothing = CuratedDataset(location="", name="")
    for place in ("x", "y"):
        former, there, here, both = (
            {one.location: one for one in some}.get(place, nothing)
            for some in (before, theirs, ours, merged.values())
        )
        new = (set(there.descriptions) | set(here.descriptions)) - set(former.descriptions)
        kept = set(there.descriptions) & set(here.descriptions)
        assert set(both.descriptions) == new | kept
        assert both.rating == (here if there.rating == former.rating else there).rating


@given(additions, additions)
def test_a_change_in_one_place_is_taken_as_it_is(before, changed) -> None:
    def saying(some):
        every = {one.location: (set(one.descriptions), one.rating) for one in some}
        return {place: what for place, what in every.items() if what != (set(), None)}

    assert saying(merged_additions(before, changed, before)) == saying(changed)
    assert saying(merged_additions(before, before, changed)) == saying(changed)


def test_an_undo_reaches_cdcs_beside_what_a_person_added_there(record_with) -> None:
    record = record_with(additions=(OURS,))
    first = new_content(record)
    edited = first.xml.replace("Gold", "Gold</description><description>Theirs")
    gone = OURS.model_copy(update={"descriptions": (), "rating": None})
    undone = record_with(additions=(gone,), last_additions=(OURS,))
    content = merged_content(undone, edited, first.written)
    assert content.additions == (gone.model_copy(update={"descriptions": ("Theirs",)}),)
    assert "Gold" not in content.xml
    assert "Theirs" in content.xml


@pytest.fixture
def record_with():
    return lambda **values: replace(record_to_upload(), **values)


@pytest.mark.parametrize("arguments", [["--rating", "3"], ["--dataset", "a"], ["--rating", "6"]])
def test_the_command_refuses_half_a_request(arguments) -> None:
    app = typer.Typer()
    app.command()(curate_command)
    assert CliRunner().invoke(app, ["file-1", *arguments]).exit_code == 2


@pytest.fixture
def command(monkeypatch, held):
    """The command, on the events of the test."""

    @asynccontextmanager
    async def context(settings, name):
        yield held.context()

    monkeypatch.setattr("nexuslims_uploader.curate.command_context", context)
    monkeypatch.setattr("nexuslims_shared.settings.read_settings", lambda: held.settings)
    app = typer.Typer()
    app.command()(curate_command)
    return lambda *arguments: CliRunner().invoke(app, ["file-1", *arguments])


def test_the_command_adds_and_lists(command) -> None:
    result = command("--dataset", NAME, "--description", "Gold", "--rating", "5", "--featured")
    assert result.exit_code == 0, result.output
    (listed,) = json.loads(command("--json").stdout)
    assert listed["destination"] == OPERATOR
    assert listed["rating"] == 5
    assert "Gold" in command().stdout
    assert "nobody" in command("--undo").stdout
