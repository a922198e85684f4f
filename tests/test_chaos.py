"""kill -9 of any one service, at any moment of a session's life: exactly one record."""

from collections import Counter
from pathlib import Path

import pytest
from demo.facility import make_facility

from nexuslims_contracts.events import RecordBuilt, RecordUploaded
from nexuslims_shared.session.status import Status, progress
from nexuslims_shared.store.port import read_session
from tests.system import PIPELINE, running

pytestmark = [pytest.mark.chaos, pytest.mark.broker]

SESSION = "file-1001"
MOMENTS = {
    "harvester": ("session-started", "session-ended"),
    "indexer": ("session-ended", "file-indexed"),
    "extractor": ("file-indexed", "metadata-extracted"),
    "builder": ("session-indexed", "metadata-extracted", "record-built"),
    "uploader": ("record-built", "record-uploaded"),
}
"""After which event each service is killed: before, in the middle of, and after its work."""


@pytest.fixture
def facility(tmp_path: Path) -> Path:
    make_facility(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("service", "moment"),
    [(service, moment) for service, moments in MOMENTS.items() for moment in moments],
)
async def test_one_record_whoever_is_killed(facility: Path, service: str, moment: str) -> None:
    async with running(facility, PIPELINE) as system:
        await system.wait_until(
            lambda item: item.event.session == SESSION and item.event.kind() == moment
        )
        system.kill(service)
        system.start(service)
        states = await system.wait_for_status([SESSION])
        assert progress(states[SESSION]).status is Status.COMPLETED
        events = [item.event for item in await read_session(system.store, SESSION)]
        built = [event for event in events if isinstance(event, RecordBuilt)]
        uploaded = [event for event in events if isinstance(event, RecordUploaded)]
        assert len({event.record.sha256 for event in built}) == 1
        assert len(built) == 1
        assert len(uploaded) == 1
        kinds = Counter(event.kind() for event in events)
        assert kinds["file-indexed"] == kinds["metadata-extracted"] == 18
        records = facility / "nexuslims-data" / "records"
        assert len(list(records.glob("*.xml"))) == 1
        assert len(list((records / "uploaded").glob("*.xml"))) == 1
