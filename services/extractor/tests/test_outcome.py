"""From an extraction to its event; what is too long for an event is in the artifact."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from nexuslims_contracts.datasets import Dataset, ExtractorVersion
from nexuslims_contracts.envelope import encode, envelop
from nexuslims_contracts.events import (
    ExtractionFailed,
    FileIndexed,
    Instrument,
    MetadataExtracted,
)
from nexuslims_contracts.identifiers import file_token
from nexuslims_extractor import extract
from nexuslims_extractor.cage.reading import Job
from nexuslims_extractor.extraction import Extraction, FileFacts
from nexuslims_extractor.outcome import to_event
from nexuslims_extractor.workers import WorkerPool
from nexuslims_shared.errors import DiskError

FILE = FileIndexed(
    session="file-1",
    file=file_token("a.dm3", 1, 2),
    path="a.dm3",
    size=1,
    mtime_ns=2,
    instrument=Instrument(pid="T", name="T", filestore="T"),
)
FACTS = FileFacts("a.dm3", 1, "2026-01-01T00:00:00+00:00", "ab")
EXTRACTOR = ExtractorVersion(name="dm", version="1", reader="own")


def dataset(**changes):
    facts = {
        "index": 0,
        "name": "a.dm3",
        "dataset_type": "Image",
        "data_type": "TEM_Imaging",
        "creation_time": datetime(2026, 1, 1, tzinfo=UTC),
        "extensions": {"gatan_x": 1},
    }
    return Dataset(**{**facts, **changes})


def extraction(**changes):
    facts = {"file": FACTS, "outcome": "extracted", "extractor": EXTRACTOR}
    return Extraction(**{**facts, "datasets": (dataset(),), **changes})


def test_what_is_too_long_for_an_event_is_a_failure():
    long = extraction(datasets=tuple(dataset(name="n" * 1000) for _ in range(300)))
    event = to_event(long, FILE)
    assert isinstance(event, ExtractionFailed)
    assert (event.failure, event.extractor) == ("failed", EXTRACTOR)
    assert "longer than an event may be" in event.reason
    talkative = to_event(extraction(outcome="partial", reason="x" * 500_000), FILE)
    assert isinstance(talkative, MetadataExtracted)
    encode(envelop(talkative, source="test"))


def test_what_was_read_is_stated_with_who_read_it():
    event = to_event(extraction(), FILE, "r1")
    assert isinstance(event, MetadataExtracted)
    assert (event.file, event.sha256, event.request) == (FILE.file, "ab", "r1")
    assert event.extractor == EXTRACTOR
    assert not event.extensions_in_artifact


def test_a_partial_reading_says_what_is_missing():
    event = to_event(extraction(outcome="partial", reason="no preview"), FILE)
    assert (event.outcome, event.reason) == ("partial", "no preview")


def test_a_failure_keeps_its_kind_and_reason():
    event = to_event(extraction(outcome="failed", failure="crashed", reason="SIGSEGV"), FILE)
    assert isinstance(event, ExtractionFailed)
    assert (event.failure, event.reason) == ("crashed", "SIGSEGV")


def test_extensions_too_long_for_an_event_stay_in_the_artifact():
    tags = {f"gatan_{number}": "x" * 100 for number in range(4000)}
    event = to_event(extraction(datasets=(dataset(extensions=tags),)), FILE)
    assert event.extensions_in_artifact
    assert event.datasets[0].extensions == {}
    encode(envelop(event, source="test"))


def test_the_artifact_has_the_extensions_where_the_builder_looks(fei_tiff, tmp_path):
    path = fei_tiff("a.tif", np.zeros((8, 8), np.uint8), "[Beam]\r\nHV=15000\r\nOdd=7\r\n")
    done = extract(path, artifacts_root=tmp_path / "data", relative_path="T/a.tif")
    (artifact,) = done.metadata_artifacts
    document = json.loads((tmp_path / "data" / artifact.path).read_text())
    extensions = document["nx_meta"]["extensions"]
    assert done.datasets[0].extensions
    assert extensions.keys() == done.datasets[0].extensions.keys()


async def test_a_full_disk_is_no_failure_of_the_file(fei_tiff, tmp_path):
    path = fei_tiff("a.tif", np.zeros((8, 8), np.uint8), "[Beam]\r\nHV=15000\r\n")
    blocked = tmp_path / "data"
    blocked.write_text("a file where a folder is needed")
    async with WorkerPool(1) as pool:
        with pytest.raises(DiskError, match="check space and permissions"):
            await pool.extract(Job(path=path, artifacts_root=blocked, previews=True))
