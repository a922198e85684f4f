"""Two uploaders, and many records: never twice at once, and as many at once as configured."""

import asyncio
from collections.abc import Callable

import pytest

from nexuslims_shared.consume import RetryLater
from nexuslims_shared.leases import MemoryLeases
from nexuslims_shared.network import Network
from nexuslims_uploader.cdcs.client import CdcsClient
from nexuslims_uploader.cdcs.destination import CdcsDestination
from nexuslims_uploader.cdcs.previews import Previews
from nexuslims_uploader.cdcs.settings import CdcsSettings
from nexuslims_uploader.destination import RecordToUpload
from nexuslims_uploader.testing import FakeDestination, record_to_upload, small_record_xml
from nexuslims_uploader.testing.cdcs import FakeCdcs
from nexuslims_uploader.uploader import Uploader


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
