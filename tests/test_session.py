"""The main job on real files: the 14-file session of 2018-11-13, end to end."""

import json
import shutil
from pathlib import Path

import pytest
from lxml import etree

from nexuslims_builder.validation import validate
from nexuslims_contracts.events import RebuildRequested
from nexuslims_shared.session.status import Status, progress
from tests.system import running

pytestmark = [pytest.mark.broker, pytest.mark.corpus]

SESSION = "file-204"
NEXUS = {"n": "https://data.nist.gov/od/dm/nexus/experiment/v1.0"}
ACTIVITIES = [
    {
        "orion-zeiss_dataZeroed.tif",
        "orion-fibics_dataZeroed.tif",
        "image_001.dm3",
        "image_002.dm3",
        "image_003.dm3",
        "image_004.dm3",
    },
    {
        "tescan-pfib_dataZeroed.tif",
        "image_005.dm3",
        "image_006.dm3",
        "image_007.dm3",
        "image_008.dm3",
        "multi_signal_file_001.dm3",
        "scan_001_1.ser",
        "scan_001_2.ser",
    },
]
"""What the incumbent's record of the same session holds."""

CALENDAR = {
    "session": [
        {
            "id": "204",
            "instrument": "FEI-Titan-TEM",
            "user": {"username": "ned", "first_name": "Ned", "last_name": "Land"},
            "start": "2018-11-13T09:00:00-07:00",
            "end": "2018-11-13T15:00:00-07:00",
            "title": "EDX spectroscopy of platinum-nickel alloys & <test>",
            "purpose": "Testing",
            "samples": [
                {"id": "s-1", "name": "The sample", "elements": ["Pt", "Ni"]},
                {"id": "s-2", "ref": "abc"},
            ],
            "projects": ["P-1"],
            "consent": True,
        }
    ]
}

INSTRUMENTS = """\
[[instrument]]
pid = "FEI-Titan-TEM"
name = "FEI Titan TEM"
filestore_path = "Titan_TEM"
timezone = "America/Denver"
"""


@pytest.fixture
def facility(tmp_path: Path, corpus) -> Path:
    (tmp_path / "data").mkdir()
    corpus.session_files(tmp_path / "instruments")
    (tmp_path / "calendar.json").write_text(json.dumps(CALENDAR))
    (tmp_path / "instruments.toml").write_text(INSTRUMENTS)
    (tmp_path / ".env").write_text(
        "NX_INSTRUMENT_DATA_PATH=instruments\nNX_DATA_PATH=data\nNX_CALENDAR_FILE=calendar.json\n"
        "NX_CLUSTERING_METHOD=kde\n"
    )
    return tmp_path


def artifacts(folder: Path) -> dict[str, bytes]:
    """All files written for the session, but the pages that say when they were made."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in {".xml", ".json", ".png"}
    }


async def test_the_session_becomes_the_record_the_incumbent_builds(facility: Path, corpus) -> None:
    async with running(facility) as system:
        states = await system.wait_for_status([SESSION])
        state = states[SESSION]
        assert progress(state).status is Status.COMPLETED

        (record,) = (facility / "data" / "records").glob("*.xml")
        assert record.name == "2018-11-13_FEI-Titan-TEM_204.xml"
        content = record.read_bytes()
        assert validate(content) == []
        official = etree.XMLSchema(etree.parse(corpus.record("official-nexus-experiment.xsd")))
        document = etree.fromstring(content)
        official.assertValid(document)

        activities = document.findall("n:acquisitionActivity", NEXUS)
        names = [
            {name.text for name in activity.findall("n:dataset/n:name", NEXUS)}
            for activity in activities
        ]
        assert names == ACTIVITIES
        types = {dataset.get("type") for dataset in document.iterfind(".//n:dataset", NEXUS)}
        assert types == {"Image"}
        assert document.findtext("n:title", namespaces=NEXUS) == CALENDAR["session"][0]["title"]
        assert document.findtext("n:summary/n:experimenter", namespaces=NEXUS) == "Ned Land (ned)"
        for preview in document.iterfind(".//n:preview", NEXUS):
            assert (facility / "data" / preview.text.lstrip("/")).is_file()
        samples = {sample.get("id") for sample in document.findall("n:sample", NEXUS)}
        assert {node.text for node in document.iterfind(".//n:sampleID", NEXUS)} <= samples

        # everything again, from the events alone: the microscope's files are gone
        before = artifacts(facility / "data")
        shutil.rmtree(facility / "instruments" / "Titan_TEM")
        record.unlink()
        await system.append(RebuildRequested(session=SESSION, request="r-1"))
        rebuilt = await system.wait_until(
            lambda item: item.event.kind() == "record-built", after=state.through
        )
        assert rebuilt.sequence > state.through
        await system.wait_for_file(record)
        assert artifacts(facility / "data") == before
