"""CDCS: what people change in a record there is kept, or held until the operator decides."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from services.uploader.tests.cdcs.records import ONE, TWO

from nexuslims_contracts.datasets import CuratedDataset
from nexuslims_contracts.record.model import Curation, Dataset, Experiment
from nexuslims_contracts.record.reader import read_record
from nexuslims_contracts.record.writer import write_record
from nexuslims_uploader.destination import UploadResult
from nexuslims_uploader.errors import (
    EditedError,
)
from nexuslims_uploader.testing import (
    EditableDestinationBehaviour,
    record_to_upload,
    small_record_xml,
)
from nexuslims_uploader.testing.cdcs import FakeCdcs


def there(cdcs: FakeCdcs) -> Experiment:
    (record,) = cdcs.records.values()
    return read_record(record.xml.encode())


def person(cdcs: FakeCdcs, change: Callable[[Dataset], Dataset], **of_record: object) -> None:
    """Somebody changes the first dataset, and other parts of the record, in the front-end."""
    (record,) = cdcs.records.values()
    (activity,), whole = there(cdcs).activities, there(cdcs)
    first, *others = activity.datasets
    activity = replace(activity, datasets=(change(first), *others))
    record.xml = write_record(replace(whole, activities=(activity,), **of_record)).decode()


def describe(text: str) -> Callable[[Dataset], Dataset]:
    return lambda one: replace(one, descriptions=(*one.descriptions, text))


def rate(rating: int | None, *, featured: bool | None = None) -> Callable[[Dataset], Dataset]:
    return lambda one: replace(one, curation=Curation(rating, featured))


class TestWhatPeopleAdd(EditableDestinationBehaviour):
    @pytest.fixture
    def edit(self, cdcs):
        return lambda remark: person(cdcs, describe(remark))

    @pytest.fixture
    def remarks(self, cdcs):
        return lambda: {text for one in there(cdcs).datasets() for text in one.descriptions}


async def test_judgements_are_kept_and_given_back(cdcs, destination) -> None:
    first = await destination.upload(ONE, {})
    assert first.additions == ()
    person(cdcs, rate(5, featured=True))
    second = await destination.upload(TWO, {"cdcs": first})
    (dataset,) = there(cdcs).datasets()
    assert dataset.curation == Curation(5, featured=True)
    assert there(cdcs).title == "Two"
    (addition,) = second.additions
    assert (addition.name, addition.rating, addition.featured) == (dataset.name, 5, True)


async def test_what_people_took_back_is_gone(cdcs, destination) -> None:
    first = await destination.upload(ONE, {})
    person(cdcs, describe("wrong"))
    second = await destination.upload(TWO, {"cdcs": first})
    person(cdcs, lambda one: replace(one, descriptions=("right",)))
    known = replace(TWO, additions=second.additions)
    third = await destination.upload(known, {"cdcs": second})
    assert [one.descriptions for one in there(cdcs).datasets()] == [("right",)]
    assert [one.descriptions for one in third.additions] == [("right",)]


async def test_a_record_that_is_made_again_has_what_people_added(cdcs, destination) -> None:
    first = await destination.upload(ONE, {})
    person(cdcs, rate(4))
    second = await destination.upload(ONE, {"cdcs": first})
    person(cdcs, describe("at the last moment"))
    additions = await destination.withdraw(ONE, {"cdcs": second})
    assert cdcs.records == {}
    await destination.upload(replace(ONE, additions=additions), {})
    (dataset,) = there(cdcs).datasets()
    assert (dataset.curation, dataset.descriptions) == (Curation(4), ("at the last moment",))


async def test_an_addition_to_a_dataset_that_is_gone_is_not_forgotten(cdcs, destination) -> None:
    gone = CuratedDataset(location="gone.dm3", name="gone.dm3", descriptions=("mine",))
    result = await destination.upload(replace(ONE, additions=(gone,)), {})
    assert result.additions == (gone,)
    person(cdcs, rate(1))
    result = await destination.upload(replace(TWO, additions=(gone,)), {"cdcs": result})
    assert gone in result.additions
    assert len(result.additions) == 2


async def test_another_change_is_held_until_the_operator_decides(cdcs, destination) -> None:
    first = await destination.upload(ONE, {})
    person(cdcs, describe("kept"), title="A better title")
    for _ in range(2):
        with pytest.raises(EditedError, match=r"more than descriptions.*--overwrite"):
            await destination.upload(TWO, {"cdcs": first})
        assert there(cdcs).title == "A better title"
    overwritten = await destination.upload(replace(TWO, overwrite=True), {"cdcs": first})
    assert there(cdcs).title == "Two"
    assert [one.descriptions for one in overwritten.additions] == [("kept",)]
    await destination.upload(TWO, {"cdcs": overwritten})


async def test_a_change_of_what_an_earlier_release_wrote_is_held(cdcs, destination) -> None:
    """Its event has the digest of the record, and no more."""
    first = await destination.upload(ONE, {})
    former = UploadResult(first.record_id, written=ONE.sha256)
    second = await destination.upload(TWO, {"cdcs": former})
    person(cdcs, rate(2))
    former = UploadResult(second.record_id, written=TWO.sha256)
    await destination.upload(TWO, {"cdcs": former})
    assert [one.curation for one in there(cdcs).datasets()] == [Curation(2)]
    with pytest.raises(EditedError, match="more than"):
        await destination.upload(record_to_upload(small_record_xml("Three")), {"cdcs": former})


@pytest.mark.parametrize("damage", ["", "<half", "<other/>"])
async def test_what_is_no_record_any_more_is_held(cdcs, destination, damage) -> None:
    first = await destination.upload(ONE, {})
    (record,) = cdcs.records.values()
    record.xml = damage
    with pytest.raises(EditedError, match="no record any more"):
        await destination.upload(TWO, {"cdcs": first})
    await destination.upload(replace(TWO, overwrite=True), {"cdcs": first})
    assert cdcs.held() == {"file-1": [TWO.xml]}


async def test_what_people_added_is_read_back_without_a_change(cdcs, destination) -> None:
    first = await destination.upload(ONE, {})
    assert await destination.additions(ONE, {"cdcs": first}) is None
    person(cdcs, rate(5))
    before = cdcs.held()
    (addition,) = await destination.additions(ONE, {"cdcs": first})
    assert addition.rating == 5
    assert cdcs.held() == before
    cdcs.records.clear()
    assert await destination.additions(ONE, {"cdcs": first}) is None
    assert await destination.additions(ONE, {}) is None


async def test_two_people_add_to_one_dataset_between_two_updates(cdcs, destination) -> None:
    first = await destination.upload(ONE, {})
    person(cdcs, describe("by one"))
    person(cdcs, rate(2))
    person(cdcs, describe("by another"))
    result = await destination.upload(TWO, {"cdcs": first})
    (dataset,) = there(cdcs).datasets()
    assert (dataset.descriptions, dataset.curation) == (("by one", "by another"), Curation(2))
    elsewhere = CuratedDataset(
        location=dataset.location, name=dataset.name, descriptions=("in a notebook",), rating=5
    )
    person(cdcs, describe("by a third"))
    known = replace(TWO, additions=(elsewhere,), last_additions=result.additions)
    (addition,) = (await destination.upload(known, {"cdcs": result})).additions
    assert set(addition.descriptions) == {"in a notebook", "by a third"}
    assert addition.rating == 5, "nobody changed it here since"
