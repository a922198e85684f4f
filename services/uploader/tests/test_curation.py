"""What people add to a record at a destination comes back as an event."""

import pytest

from nexuslims_contracts.datasets import CuratedDataset
from nexuslims_contracts.events import RecordCurated, RecordUploaded, RecordWithdrawn, UploadFailed
from nexuslims_shared.session.state import fold
from nexuslims_shared.session.status import is_stale
from nexuslims_uploader.destination import UploadResult
from nexuslims_uploader.errors import EditedError
from nexuslims_uploader.testing import Crash, FakeDestination, small_record_xml

TWO, THREE = small_record_xml("Two"), small_record_xml("Three")
GOLD = CuratedDataset(location="a.dm3", name="a.dm3", descriptions=("Gold",), rating=5)


class Curated(FakeDestination):
    """A destination at which people add to the record."""

    additions: tuple[CuratedDataset, ...] = ()
    is_edited: bool = False

    async def upload(self, record, previous):
        if self.is_edited and not record.overwrite:
            raise EditedError("the title", destination=self.name, session=record.session)
        where = await super().upload(record, previous)
        return UploadResult(where.record_id, where.url, written="w", additions=self.additions)

    async def withdraw(self, record, previous):
        await super().withdraw(record, previous)
        return self.additions


@pytest.fixture
async def curated(harness):
    """A record at a destination at which somebody then describes a dataset."""
    fake = harness.fake = Curated()
    harness.use(fake)
    await harness.begin()
    await harness.handle()
    fake.additions = (GOLD,)
    await harness.build(TWO, 4)
    await harness.handle()
    return harness


async def kinds(harness) -> list[type]:
    return [type(one.event) for one in await harness.history()][3:]


async def test_it_is_stated_before_the_upload_and_makes_the_record_stale(curated) -> None:
    events = await curated.history()
    assert [type(one.event) for one in events[-2:]] == [RecordCurated, RecordUploaded]
    assert events[-2].event.datasets == (GOLD,)
    assert events[-1].event.written == "w"
    state = fold(events)
    assert state.curated_datasets() == (GOLD,)
    assert is_stale(state)


async def test_later_records_know_it_and_it_is_stated_once(curated) -> None:
    await curated.build(THREE, 12)
    await curated.handle()
    record, previous = curated.fake.calls[-1]
    assert record.additions == (GOLD,)
    assert previous["fake"].written == "w"
    assert (await kinds(curated)).count(RecordCurated) == 1


async def test_what_goes_and_comes_back_is_stated_each_time(curated) -> None:
    for number, additions in enumerate(((), (GOLD,), (), (GOLD,))):
        curated.fake.additions = additions
        await curated.build(small_record_xml(f"{number}"), 20 + number)
        await curated.handle()
        assert fold(await curated.history()).curated_datasets() == additions
    assert (await kinds(curated)).count(RecordCurated) == 5


async def test_a_crash_before_the_event_states_it_later(curated) -> None:
    silver = GOLD.model_copy(update={"descriptions": ("Silver",)})
    curated.fake.additions = (silver,)
    curated.fake.faults.append("crashes after accepting")
    await curated.build(THREE, 12)
    with pytest.raises(Crash):
        await curated.handle()
    await curated.handle()
    assert fold(await curated.history()).curated_datasets() == (silver,)


async def test_what_was_added_since_the_last_upload_is_stated_before_the_withdrawal(
    curated, facts
) -> None:
    silver = GOLD.model_copy(update={"descriptions": ("Silver",)})
    curated.fake.additions = (silver,)
    await curated.append(facts.declined(after=1))
    await curated.handle()
    assert curated.fake.records == {}
    assert (await kinds(curated))[-2:] == [RecordCurated, RecordWithdrawn]
    assert fold(await curated.history()).curated_datasets() == (silver,)


async def test_a_change_that_cannot_be_kept_waits_for_the_operator(curated, facts) -> None:
    curated.fake.is_edited = True
    await curated.build(THREE, 12)
    for _ in range(2):
        await curated.handle()
    failures = [one for one in await curated.upload_events() if isinstance(one, UploadFailed)]
    assert [one.permanent for one in failures] == [True]
    assert "nexuslims retry file-1 --overwrite" in failures[0].reason
    await curated.append(facts.retry("plain"))
    await curated.handle()
    assert curated.fake.records == {"file-1": TWO}
    await curated.append(facts.retry("decided", overwrite=True))
    await curated.handle()
    assert curated.fake.records == {"file-1": THREE}
    await curated.build(TWO, 30)
    await curated.handle()
    assert curated.fake.records == {"file-1": THREE}, "the decision was for one upload"
