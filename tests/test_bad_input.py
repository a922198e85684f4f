"""Files that cannot be read: the record is still built, and says so."""

import json
import os
from pathlib import Path

import pytest
from demo.facility import make_facility
from lxml import etree

from nexuslims_contracts.events import RetryRequested
from nexuslims_shared.session.status import Status, progress
from tests.system import running

pytestmark = pytest.mark.broker

SESSION = "file-1001"
NEXUS = {"n": "https://data.nist.gov/od/dm/nexus/experiment/v1.0"}

PLUGIN = '''
"""An extractor that does what no extractor should."""

import os
import signal


class Villain:
    name = "villain"
    version = "1"
    priority = 1000
    extensions = ("dm3",)

    def supports(self, path, head):
        return head.startswith(b"villain")

    def open(self, path):
        if b"kill" in path.read_bytes():
            os.kill(os.getpid(), signal.SIGSEGV)
        signal.pause()
'''


@pytest.fixture
def facility(tmp_path: Path) -> Path:
    make_facility(tmp_path)
    folder = tmp_path / "instrument-data" / "Quanta" / "ned" / "2026-03-02"
    first = folder / "np7_001.tif"
    moment = first.stat().st_mtime + 1
    for name, content in (
        ("empty.dm3", b""),
        ("kills.dm3", b"villain: kill"),
        ("hangs.dm3", b"villain: hang"),
        ("broken.tif", b"II*\x00" + b"\xff" * 100),
    ):
        (folder / name).write_bytes(content)
        os.utime(folder / name, (moment, moment))
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "villain.py").write_text(PLUGIN)
    metadata = tmp_path / "plugins" / "villain-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: villain\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(
        "[nexuslims.extractors]\nvillain = villain:Villain\n"
    )
    return tmp_path


async def test_the_record_is_built_and_says_what_could_not_be_read(facility: Path) -> None:
    async with running(
        facility,
        NX_EXTRACTOR_TIMEOUT="3",
        PYTHONPATH=str(facility / "plugins"),
    ) as system:
        states = await system.wait_for_status([SESSION])
        state = states[SESSION]
        assert progress(state).status is Status.COMPLETED
        failures = {
            file.indexed.event.path.rpartition("/")[2]: file.failed.event
            for file in state.files.values()
            if file.indexed is not None and file.failed is not None
        }
        assert {name: event.failure for name, event in failures.items()} == {
            "empty.dm3": "unreadable",
            "kills.dm3": "crashed",
            "hangs.dm3": "timeout",
        } | ({"broken.tif": failures["broken.tif"].failure} if "broken.tif" in failures else {})
        assert "SIGSEGV" in failures["kills.dm3"].reason
        assert "3 s" in failures["hangs.dm3"].reason
        assert "empty" in failures["empty.dm3"].reason

        (record,) = (facility / "nexuslims-data" / "records").glob("*.xml")
        document = etree.fromstring(record.read_bytes())
        reasons = {
            dataset.findtext("n:name", namespaces=NEXUS): dataset.findtext(
                "n:description", namespaces=NEXUS
            )
            for dataset in document.iterfind(".//n:dataset", NEXUS)
        }
        assert len(reasons) == 22
        assert "SIGSEGV" in (reasons["kills.dm3"] or "")
        assert reasons["np7_001.tif"] is None

        # the file is repaired; a retry takes it up, and nothing else is lost
        folder = facility / "instrument-data" / "Quanta" / "ned" / "2026-03-02"
        status = (folder / "kills.dm3").stat()
        (folder / "kills.dm3").write_bytes((folder / "np7_002.tif").read_bytes())
        os.utime(folder / "kills.dm3", ns=(status.st_atime_ns, status.st_mtime_ns))
        await system.append(RetryRequested(session=SESSION, request="again"))
        await system.wait_until(
            lambda item: item.event.kind() == "record-uploaded", after=state.through
        )
        document = etree.fromstring(record.read_bytes())
        described = json.dumps([node.text for node in document.iterfind(".//n:description", NEXUS)])
        assert "SIGSEGV" not in described
        assert len(document.findall(".//n:dataset", NEXUS)) == 22
