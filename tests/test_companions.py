"""A file that is read with another one and comes after that was read, through all services."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree
from PIL import Image

from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.events import MetadataExtracted
from nexuslims_shared.session.status import Status
from tests.system import running

pytestmark = pytest.mark.broker

SESSION = "file-1"
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
END = datetime(2026, 3, 2, 10, tzinfo=UTC)
WRITTEN = datetime(2026, 3, 2, 9, 30, tzinfo=UTC).timestamp()
NEXUS = {"n": "https://data.nist.gov/od/dm/nexus/experiment/v1.0"}


@pytest.fixture
def facility(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "instruments" / "SEM").mkdir(parents=True)
    image = tmp_path / "instruments" / "SEM" / "a.png"
    Image.new("L", (8, 8)).save(image)
    os.utime(image, (WRITTEN, WRITTEN))
    session = {
        "id": "1",
        "instrument": "SEM",
        "user": {"username": "ned"},
        "start": START.isoformat(),
        "end": END.isoformat(),
        "consent": True,
    }
    (tmp_path / "calendar.json").write_text(json.dumps({"session": [session]}))
    (tmp_path / "instruments.toml").write_text(
        '[[instrument]]\npid = "SEM"\nfilestore_path = "SEM"\n'
    )
    (tmp_path / ".env").write_text(
        "NX_INSTRUMENT_DATA_PATH=instruments\nNX_DATA_PATH=data\nNX_CALENDAR_FILE=calendar.json\n"
        "NX_FILE_STRATEGY=inclusive\nNX_FILE_SETTLE_SECONDS=0\n"
    )
    return tmp_path


async def test_one_that_comes_late_is_in_the_record(facility: Path) -> None:
    async with running(facility) as system:
        await system.wait_for_status([SESSION], [Status.COMPLETED])
        assert system.terminate("indexer") == 0
        before = await system.store.last_sequence()
        header = facility / "instruments" / "SEM" / "a-png.hdr"
        header.write_text("[MAIN]\nDevice=TIMA\nMagnification=100\n[SEM]\nHV=25000\n")
        os.utime(header, (WRITTEN, WRITTEN))
        system.start("indexer")

        read = await system.wait_until(_is_read, after=before)
        await system.wait_for_status([SESSION], [Status.COMPLETED], after=read.sequence)
    record = etree.parse(facility / "data" / "records" / "uploaded" / "2026-03-02_SEM_1.xml")
    locations = record.xpath("//n:dataset/n:location/text()", namespaces=NEXUS)
    assert locations == ["/SEM/a.png"]
    assert "TIMA" in record.xpath("//n:dataset/n:meta/text()", namespaces=NEXUS)


def _is_read(item: Recorded) -> bool:
    return isinstance(item.event, MetadataExtracted)
