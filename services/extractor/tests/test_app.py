"""Which files the service reads, and which it reads again, by an event store in memory."""

import errno
import os
import threading

import pytest

from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.events import (
    FileIndexed,
    FileSuperseded,
    Instrument,
    RebuildRequested,
    RetryRequested,
)
from nexuslims_contracts.identifiers import file_token
from nexuslims_contracts.paths import bytes_of, readable
from nexuslims_extractor.app import Reader
from nexuslims_extractor.core import extract_file
from nexuslims_extractor.errors import NoWorkerError
from nexuslims_extractor.share import look
from nexuslims_extractor.workers import not_read
from nexuslims_shared.artifacts import is_intact, write_artifact, write_or_stage
from nexuslims_shared.consume import RetryLater
from nexuslims_shared.dead_letters import MemoryDeadLetters
from nexuslims_shared.people import MemoryPeople
from nexuslims_shared.service import ServiceContext
from nexuslims_shared.session.state import fold
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.memory import MemoryEventStore
from nexuslims_shared.store.port import read_session

SESSION = "file-1"
TITAN = Instrument(pid="Titan", name="Titan", filestore="Titan")


class Pool:
    """Reads files in this process, and remembers which."""

    def __init__(self):
        self.read = []

    async def extract(self, job):
        self.read.append(job.path.name)
        return extract_file(
            job.path, instrument=job.instrument, relative_path=job.relative_path,
            artifacts_root=job.artifacts_root,
            write=write_or_stage if job.stage else write_artifact,
        )  # fmt: skip


class Facility:
    """A store with one session, and the service that reads its files."""

    def __init__(self, folder):
        self.root = folder / "store"
        self.titan = self.root / "Titan"
        self.titan.mkdir(parents=True)
        self.data = folder / "data"
        settings = Settings(instrument_data_path=self.root, data_path=self.data)
        self.store = MemoryEventStore()
        self.pool = Pool()
        context = ServiceContext(settings, self.store, MemoryPeople(), MemoryDeadLetters(), None)
        self.reader = Reader(context, self.pool)

    def indexed(self, path):
        """Return the event of a file that was found."""
        status = path.stat()
        relative = path.relative_to(self.root).as_posix()
        return FileIndexed(
            session=SESSION,
            file=file_token(relative, status.st_size, status.st_mtime_ns),
            path=relative,
            size=status.st_size,
            mtime_ns=status.st_mtime_ns,
            instrument=TITAN,
        )

    def file(self, name, content="words"):
        """Write a file and return its event."""
        path = self.titan / name
        path.write_text(content)
        return self.indexed(path)

    async def tell(self, event):
        """Store an event and have the service handle it; return what it did about it."""
        stored = await self.store.append(envelop(event, source="test"))
        recorded, *_ = [one async for one in self.store.read(after=stored.sequence - 1)]
        self.pool.read.clear()
        await self.reader.handle((recorded,))
        return sorted(self.pool.read)

    async def state(self):
        return fold(await read_session(self.store, SESSION))

    async def failure(self, event):
        """Return why a file could not be read."""
        failed = (await self.state()).files[event.file].failed
        return failed and failed.event


@pytest.fixture
def facility(tmp_path):
    return Facility(tmp_path)


async def test_a_file_is_read_once(facility):
    event = facility.file("a.txt")
    assert await facility.tell(event) == ["a.txt"]
    assert await facility.tell(event) == []


@pytest.fixture
async def read(facility):
    """A facility whose session has four files, read by three extractors; one failed."""
    for name, content in [("a.txt", "a"), ("b.txt", "b"), ("c.xyz", "c"), ("d.tif", "II*\0bad")]:
        await facility.tell(facility.file(name, content))
    return facility


async def test_a_request_reads_everything_again(read):
    request = RebuildRequested(session=SESSION, request="1", re_extract=True)
    assert await read.tell(request) == ["a.txt", "b.txt", "c.xyz", "d.tif"]


@pytest.mark.parametrize(
    ("extractor", "files"),
    [("text", ["a.txt", "b.txt"]), ("fallback", ["c.xyz"]), ("plain_tiff", ["d.tif"]), ("x", [])],
)
async def test_a_request_reads_the_files_of_one_extractor_again(read, extractor, files):
    request = RebuildRequested(session=SESSION, request="1", re_extract=True, extractor=extractor)
    assert await read.tell(request) == files
    assert await read.tell(request) == []  # the same request, delivered again
    state = await read.state()
    assert state.settled_count == state.indexed_count == 4
    again = [file for file in state.files.values() if file.outcome.event.request == "1"]
    assert len(again) == len(files)


async def test_a_rebuild_from_the_events_reads_nothing(read):
    assert await read.tell(RebuildRequested(session=SESSION, request="1")) == []


async def test_a_retry_reads_what_failed(read):
    assert await read.tell(RetryRequested(session=SESSION, request="1")) == ["c.xyz", "d.tif"]


async def test_a_link_that_leads_out_of_the_store_is_not_followed(facility, tmp_path):
    (tmp_path / "secret.txt").write_text("not for you")
    link = facility.titan / "link.txt"
    link.symlink_to(tmp_path / "secret.txt")
    event = facility.indexed(link)
    assert await facility.tell(event) == []
    failed = await facility.failure(event)
    assert failed.failure == "unreadable"
    assert "leads out of the instrument's folder" in failed.reason


async def test_a_link_within_the_store_is_followed(facility):
    facility.file("a.txt")
    link = facility.titan / "link.txt"
    link.symlink_to("a.txt")
    assert await facility.tell(facility.indexed(link)) == ["link.txt"]


async def test_an_instruments_folder_may_be_a_link(facility, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    facility.titan.rmdir()
    facility.titan.symlink_to(tmp_path / "elsewhere")
    assert await facility.tell(facility.file("a.txt")) == ["a.txt"]


async def test_a_file_that_was_away_is_read_when_it_is_back(facility):
    event = facility.file("a.txt")
    path = facility.titan / "a.txt"
    away = path.rename(facility.root / "a.txt")
    assert await facility.tell(event) == []
    assert (await facility.failure(event)).failure == "missing"
    assert await facility.tell(event.model_copy(update={"after": 1})) == []
    away.rename(path)
    back = event.model_copy(update={"after": 3})
    assert await facility.tell(back) == ["a.txt"]
    assert await facility.tell(back.model_copy(update={"after": 9})) == []


async def test_nobody_is_told_of_a_file_that_moved_before_it_was_read(facility):
    event = facility.file("a.txt")
    (facility.titan / "a.txt").unlink()
    found = await facility.store.append(envelop(event, source="test"))
    moved = FileSuperseded(
        session=SESSION, file=event.file, reason="moved", by="b", after=found.sequence
    )
    await facility.store.append(envelop(moved, source="test"))
    assert await facility.tell(event) == []
    state = await facility.state()
    assert state.files[event.file].outcome is None


async def test_names_of_any_bytes_and_of_any_length_are_read(facility):
    for name in (b"caf\xe9.txt", b"L" * 251 + b".txt"):
        path = facility.titan / os.fsdecode(name)
        path.write_text("words")
        relative = os.fsdecode(b"Titan/" + name)
        status = path.stat()
        event = FileIndexed(
            session=SESSION,
            file=file_token(relative, status.st_size, status.st_mtime_ns),
            path=readable(relative),
            path_bytes=bytes_of(relative),
            size=status.st_size,
            mtime_ns=status.st_mtime_ns,
            instrument=TITAN,
        )
        await facility.tell(event)
        extracted = (await facility.state()).files[event.file].extracted.event
        (artifact,) = extracted.artifacts
        assert (facility.data / artifact.path).is_file()
        assert len(artifact.path.rpartition("/")[2].encode()) <= 255


async def extracted(facility, event):
    """Return what the newest event says of a file."""
    return (await facility.state()).files[event.file].extracted.event


async def test_an_artifact_takes_anothers_place_only_when_its_event_is_stored(
    facility, monkeypatch
):
    first = facility.file("a.txt", "one")
    await facility.tell(first)
    before = (await extracted(facility, first)).artifacts[0]
    second = facility.file("a.txt", "other words")
    commit = facility.reader._commit

    async def died(event):
        raise OSError("killed")

    monkeypatch.setattr(facility.reader, "_commit", died)
    with pytest.raises(OSError, match="killed"):
        await facility.tell(second)
    after = (await extracted(facility, second)).artifacts[0]
    assert (before.path, is_intact(facility.data, before)) == (after.path, True)
    monkeypatch.setattr(facility.reader, "_commit", commit)
    assert await facility.tell(second) == [], "it is delivered again, and only committed"
    assert is_intact(facility.data, after)
    assert not list(facility.data.rglob("*.staged"))


async def test_an_artifact_that_is_lost_is_made_again(facility):
    event = facility.file("a.txt", "one")
    await facility.tell(event)
    (artifact,) = (await extracted(facility, event)).artifacts
    (facility.data / artifact.path).unlink()
    assert await facility.tell(event) == ["a.txt"]
    assert is_intact(facility.data, artifact)


async def test_a_file_waits_where_no_worker_can_be_started(facility, monkeypatch):
    event = facility.file("a.txt")

    async def nobody(job):
        raise NoWorkerError(f"{job.path.name}: no worker could be started")

    with monkeypatch.context() as patch:
        patch.setattr(facility.pool, "extract", nobody)
        with pytest.raises(RetryLater, match="no worker could be started"):
            await facility.tell(event)
    assert await facility.failure(event) is None
    assert await facility.tell(event) == ["a.txt"]


@pytest.mark.parametrize("code", [errno.ESTALE, errno.EIO])
async def test_a_file_waits_while_its_share_is_cut_off(facility, monkeypatch, code):
    event = facility.file("a.txt")
    path = facility.titan / "a.txt"

    async def fail(job):
        return not_read(job.path, os.strerror(code))

    def cut_off(*_, **__):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as broken:
        broken.setattr(facility.pool, "extract", fail)
        broken.setattr("nexuslims_extractor.share.os.open", cut_off)
        broken.setattr("nexuslims_extractor.share.os.scandir", cut_off)
        with pytest.raises(RetryLater, match=f"{path}: its share fails"):
            await facility.tell(event)
        assert await facility.failure(event) is None
        broken.undo()
    assert await facility.tell(event) == ["a.txt"]


async def test_a_file_that_alone_cannot_be_read_is_no_matter_of_its_share(facility, monkeypatch):
    event = facility.file("a.txt")

    async def fail(job):
        return not_read(job.path, "damaged")

    def bad_sector(*_, **__):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(facility.pool, "extract", fail)
    monkeypatch.setattr("nexuslims_extractor.share.os.open", bad_sector)
    await facility.tell(event)
    assert (await facility.failure(event)).reason.endswith("damaged")


async def test_a_share_that_does_not_answer_keeps_nobody_waiting(tmp_path):
    answers = threading.Event()
    try:
        with pytest.raises(RetryLater, match="does not answer"):
            await look(tmp_path, answers.wait, patience=0.01)
    finally:
        answers.set()
