"""Two uploaders, and many records: never twice at once, and as many at once as configured."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from nexuslims_shared.consume import RetryLater
from nexuslims_shared.errors import LeaseLostError
from nexuslims_shared.leases import MemoryLeases
from nexuslims_shared.network import Network
from nexuslims_uploader.archive import ArchiveDestination
from nexuslims_uploader.cdcs.client import CdcsClient
from nexuslims_uploader.cdcs.destination import CdcsDestination
from nexuslims_uploader.cdcs.previews import Previews
from nexuslims_uploader.cdcs.settings import CdcsSettings
from nexuslims_uploader.destination import RecordToUpload
from nexuslims_uploader.testing import FakeDestination, record_to_upload, small_record_xml
from nexuslims_uploader.testing.cdcs import FakeCdcs
from nexuslims_uploader.testing.fake import Fate
from nexuslims_uploader.uploader import Uploader

ONE, TWO = small_record_xml("One"), small_record_xml("Two")


class Watchful(FakeDestination):
    """Lets somebody else try while it is at work."""

    def __init__(self) -> None:
        super().__init__("fake")
        self.meanwhile: Callable[[], object] | None = None

    async def upload(self, record, previous):
        if self.meanwhile:
            await self.meanwhile()
        return await super().upload(record, previous)


async def test_two_uploaders_never_call_for_one_session_at_once(harness) -> None:
    leases, fake = MemoryLeases(), Watchful()
    one, two = (Uploader(harness.context(), (fake,), leases=leases) for _ in range(2))
    await harness.begin()

    async def intrude() -> None:
        with pytest.raises(RetryLater, match="somebody else"):
            await harness.handle(two)

    fake.meanwhile = intrude
    await harness.handle(one)
    fake.meanwhile = None
    await harness.handle(two)
    assert len(fake.calls) == 1
    assert len(await harness.upload_events()) == 1


class Stopped(FakeDestination):
    """Is stopped in the middle of its first call, and finishes it when others have gone on."""

    def __init__(self) -> None:
        super().__init__("fake")
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        self.then: list[Fate] = []

    async def upload(self, record, previous):
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is None:
            return await super().upload(record, previous)
        await meanwhile()
        await super().upload(record, previous)
        self.faults, self.then = self.then, []
        raise LeaseLostError("somebody else may be at work on it now")


@pytest.mark.parametrize("then", [[], ["away"]])
async def test_who_was_stopped_leaves_the_newer_record_where_it_is(harness, then) -> None:
    """Also where the place does not answer at first when it is asked again."""
    stopped = Stopped()
    stopped.then = list(then)
    one, other = (Uploader(harness.context(), (stopped,)) for _ in range(2))
    await harness.begin(ONE)

    async def go_on() -> None:
        await harness.build(TWO)
        await harness.handle(other)

    stopped.meanwhile = go_on
    with pytest.raises(RetryLater, match="somebody else"):
        await harness.handle(one)
    again = [TWO] * len([*then, "it is there"])
    assert [record.xml for record, _ in stopped.calls] == [TWO, ONE, *again]
    assert list(stopped.records.values()) == [TWO]
    assert len(await harness.upload_events()) == 1


async def test_who_was_stopped_shows_nothing_that_was_withdrawn(harness) -> None:
    stopped = Stopped()
    one, other = (Uploader(harness.context(), (stopped,)) for _ in range(2))
    await harness.begin(ONE)

    async def go_on() -> None:
        await harness.handle(other)
        await harness.append(harness.facts.declined())
        await harness.handle(other)

    stopped.meanwhile = go_on
    with pytest.raises(RetryLater, match="somebody else"):
        await harness.handle(one)
    assert stopped.records == {}


async def test_who_was_stopped_before_anything_was_stated_states_nothing(harness) -> None:
    stopped = Stopped()

    async def nothing() -> None:
        return

    stopped.meanwhile = nothing
    harness.use(stopped)
    await harness.begin(ONE)
    with pytest.raises(RetryLater, match="somebody else"):
        await harness.handle()
    assert await harness.upload_events() == []
    await harness.handle()
    assert len(await harness.upload_events()) == 1


async def test_no_request_goes_out_when_the_lease_is_over() -> None:
    async with FakeCdcs().running() as cdcs:
        settings = CdcsSettings(url=cdcs.url, token="admin-token")  # noqa: S106 - a fake's
        client = CdcsClient(settings, Network())
        async with MemoryLeases(lasts=0).hold("file-1"):
            with pytest.raises(LeaseLostError):
                await client.api.send("GET", "rest/", session="file-1")
        await client.api.close()
        assert cdcs.requests == []


async def test_the_archive_is_not_changed_when_the_lease_is_over(tmp_path) -> None:
    archive = ArchiveDestination(tmp_path / "records", tmp_path)
    async with MemoryLeases(lasts=0).hold("file-1"):
        with pytest.raises(LeaseLostError):
            await archive.upload(record_to_upload(), {})
    assert list((tmp_path / "records").rglob("*.xml")) == []


async def test_many_records_are_under_way_at_once(tmp_path) -> None:
    """Twenty of 100 KB to a server that takes its time: never one by one."""
    async with FakeCdcs().running() as cdcs:
        cdcs.latency = 0.02
        settings = CdcsSettings(url=cdcs.url, token="admin-token")  # noqa: S106 - a fake's
        client = CdcsClient(settings, Network())
        destination = CdcsDestination(client, settings, Previews(client, tmp_path))
        room = asyncio.Semaphore(5)
        records = [
            record_to_upload(
                small_record_xml(datasets=400, number=number, session=f"file-{number}"),
                session=f"file-{number}",
                file_name=f"{number}.xml",
            )
            for number in range(20)
        ]

        async def upload(record: RecordToUpload) -> None:
            async with room:
                await destination.upload(record, {})

        await asyncio.gather(*map(upload, records))
        await destination.close()
        assert cdcs.busiest == 5
        assert cdcs.held() == {record.session: [record.xml] for record in records}
        places = [one for one in cdcs.requests if "template" in one.path]
        assert len(places) == 1
