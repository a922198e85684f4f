"""The local archive: one record of each session, and pages a person can open."""

import asyncio
import errno
import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from nexuslims_contracts.record import NAMESPACE
from nexuslims_shared import artifacts
from nexuslims_uploader.archive import ArchiveDestination
from nexuslims_uploader.errors import PermanentUploadError, TransientUploadError
from nexuslims_uploader.testing import (
    HOSTILE,
    DestinationBehaviour,
    record_to_upload,
    small_record_xml,
)


class Page(HTMLParser):
    """What a browser would see of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data):
        self.text += data

    def targets(self) -> Iterator[Path]:
        """Files that its relative links lead to."""
        for link in self.links:
            if not urlsplit(link).scheme:
                yield (self.path.parent / unquote(link)).resolve()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def records(data: Path) -> Path:
    return data / "records"


@pytest.fixture
def destination(records: Path, data: Path) -> ArchiveDestination:
    return ArchiveDestination(records, data)


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


class TestArchive(DestinationBehaviour):
    @pytest.fixture
    def held(self, records: Path):
        def read() -> dict[str, list[bytes]]:
            catalogue = json.loads((records / "uploaded/catalogue.json").read_text())
            files = {path.name: path.read_bytes() for path in (records / "uploaded").glob("*.xml")}
            found = {entry["session"]: [files.pop(entry["file"])] for entry in catalogue}
            assert not files, "a record that no session owns"
            assert len(list((records / "uploaded").glob("*.html"))) == len(found)
            return found

        return read


async def test_the_same_bytes_again_touch_nothing(destination, records) -> None:
    record = record_to_upload()
    await destination.upload(record, {})
    before = contents(records)
    await destination.upload(record, {})
    assert contents(records) == before


async def test_the_pages_link_to_what_is_there(destination, records, data) -> None:
    record = record_to_upload(small_record_xml(datasets=3), file_name="2018 #1?%41_Ω.xml")
    for preview in record.previews:
        target = data / preview.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"png")
    result = await destination.upload(record, {})
    index = Page(records / "index.html")
    page = Page(Path(unquote(urlsplit(result.url).path)))
    assert page.path in list(index.targets())
    assert records / "uploaded" / record.file_name in list(page.targets())
    assert sum(path.suffix == ".png" for path in page.targets()) == 6
    for one in (index, page):
        assert all(target.is_file() for target in one.targets()), list(one.targets())


async def test_the_pages_say_what_the_record_says(destination, records) -> None:
    record = record_to_upload(small_record_xml("Grain boundaries", datasets=2))
    await destination.upload(record, {})
    index = Page(records / "index.html").text
    page = Page(records / "uploaded/2018-11-13_FEI-Titan-TEM_204.html").text
    for text in ("Grain boundaries", "FEI Titan TEM", "2018-11-13"):
        assert text in index
        assert text in page
    for text in ("Acceleration Voltage", "300.0 kV", "00001.dm3", "Stage X", "unreliable", "09:30"):
        assert text in page


async def test_what_people_write_stays_text(destination, records) -> None:
    link = 'javascript:alert("1")'
    escaped = link.replace('"', "&quot;")
    xml = (
        small_record_xml(HOSTILE)
        .replace(b"https://calendar.example.org/204", escaped.encode())
        .replace(b"<acquisitionActivity", f'<sample ref="{escaped}"/><acquisitionActivity'.encode())
        .replace(b"00000.dm3", b"&lt;img src=x onerror=alert(1)&gt;.dm3")
    )
    await destination.upload(record_to_upload(xml), {})
    for path in (records / "index.html", records / "uploaded/2018-11-13_FEI-Titan-TEM_204.html"):
        page = Page(path)
        assert HOSTILE in page.text
        assert "script" not in page.tags
        assert not any(address.startswith("javascript") for address in page.links)


async def test_the_newest_is_first(destination, records) -> None:
    for number, name in enumerate(("b", "a", "c")):
        record = record_to_upload(
            small_record_xml(f"Title {name}"), session=f"s-{number}", file_name=f"{name}.xml"
        )
        await destination.upload(record, {})
    text = Page(records / "index.html").text
    assert text.index("Title c") < text.index("Title b") < text.index("Title a")


async def test_the_records_may_lie_elsewhere(tmp_path: Path, data: Path) -> None:
    records = tmp_path / "elsewhere" / "deep"
    record = record_to_upload()
    picture = data / record.previews[0].path
    picture.parent.mkdir(parents=True)
    picture.touch()
    await ArchiveDestination(records, data).upload(record, {})
    assert picture in list(Page(records / "index.html").targets())
    assert picture in list(Page(records / "uploaded/2018-11-13_FEI-Titan-TEM_204.html").targets())


async def test_another_sessions_file_is_not_overwritten(destination, records) -> None:
    await destination.upload(record_to_upload(session="file-1"), {})
    before = contents(records)
    with pytest.raises(PermanentUploadError, match="file-1"):
        await destination.upload(record_to_upload(small_record_xml("B"), session="file-2"), {})
    assert contents(records) == before


async def test_a_full_disk_is_trouble_that_passes(destination, records, monkeypatch) -> None:
    first = record_to_upload(small_record_xml("One"))
    await destination.upload(first, {})
    before = contents(records)

    def no_space(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    second = record_to_upload(small_record_xml("Two"))
    with monkeypatch.context() as full:
        full.setattr(artifacts.os, "fsync", no_space)
        with pytest.raises(TransientUploadError, match="No space left") as caught:
            await destination.upload(second, {})
    assert (caught.value.destination, caught.value.session) == ("archive", "file-1")
    assert contents(records) == before
    await destination.upload(second, {})
    assert (records / "uploaded" / second.file_name).read_bytes() == second.xml


@pytest.mark.parametrize("survived", range(5))
async def test_a_crash_between_any_two_writes_is_made_good(
    destination, records, tmp_path, monkeypatch, survived
) -> None:
    """The process dies after so many changes; the next attempt leaves what one without it does."""
    old = record_to_upload(small_record_xml("Old"))
    new = record_to_upload(small_record_xml("New"), file_name="2018-11-14_FEI-Titan-TEM_204.xml")
    await destination.upload(old, {})
    changes = 0
    write, remove = ArchiveDestination._put, ArchiveDestination._remove

    def counting(method):
        def change(*arguments):
            nonlocal changes
            if changes == survived:
                raise KeyboardInterrupt
            changes += 1
            method(*arguments)

        return change

    with monkeypatch.context() as mortal:
        mortal.setattr(ArchiveDestination, "_put", counting(write))
        mortal.setattr(ArchiveDestination, "_remove", counting(remove))
        with pytest.raises(KeyboardInterrupt):
            destination._store(new)
    await destination.upload(new, {})

    elsewhere = tmp_path / "other" / "records"
    await ArchiveDestination(elsewhere, elsewhere.parent).upload(new, {})
    left, clean = contents(records), contents(elsewhere)
    assert {name: left[name][0] for name in left} == {name: clean[name][0] for name in clean}


def upload_many(records: Path, data: Path, worker: int, count: int) -> None:
    archive = ArchiveDestination(records, data)

    async def run() -> None:
        await asyncio.gather(
            *(
                archive.upload(
                    record_to_upload(session=f"s-{worker}-{n}", file_name=f"{worker}-{n}.xml"), {}
                )
                for n in range(count)
            )
        )

    asyncio.run(run())


def test_many_uploaders_lose_nothing(records: Path, data: Path) -> None:
    spawn = multiprocessing.get_context("fork")
    workers = [spawn.Process(target=upload_many, args=(records, data, w, 10)) for w in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert len(json.loads((records / "uploaded/catalogue.json").read_text())) == 30
    assert sum(link.endswith(".html") for link in Page(records / "index.html").links) == 30


async def test_thousands_of_datasets_and_of_records(destination, records) -> None:
    """CPU seconds on two shared cores: well under these bounds, and not quadratic."""
    large = record_to_upload(small_record_xml("Large", datasets=5000))
    begin = time.process_time()
    await destination.upload(large, {})
    assert time.process_time() - begin < 5
    assert Page(records / "uploaded/2018-11-13_FEI-Titan-TEM_204.html").tags.count("img") == 5000

    catalogue = records / "uploaded/catalogue.json"
    (entry,) = json.loads(catalogue.read_text())
    entries = [{**entry, "session": f"s-{n}", "file": f"{n}.xml"} for n in range(5000)]
    catalogue.write_text(json.dumps(entries))
    small = record_to_upload(session="one-more", file_name="one-more.xml")
    begin = time.process_time()
    await destination.upload(small, {})
    assert time.process_time() - begin < 2
    assert Page(records / "index.html").tags.count("img") == 5001


async def test_what_is_wrong_is_said_beforehand(destination, records, tmp_path, data) -> None:
    await destination.upload(record_to_upload(), {})
    assert await destination.check() == []
    catalogue = records / "uploaded/catalogue.json"
    catalogue.write_text("[{]")
    (problem,) = await destination.check()
    assert "catalogue.json is damaged" in problem
    with pytest.raises(TransientUploadError, match="is damaged"):
        await destination.upload(record_to_upload(small_record_xml("B")), {})
    assert catalogue.read_text() == "[{]"


async def test_a_file_in_the_place_of_the_folder_is_said(tmp_path: Path, data: Path) -> None:
    (tmp_path / "file").touch()
    archive = ArchiveDestination(tmp_path / "file", data)
    assert await archive.check()
    with pytest.raises(TransientUploadError, match="see to space and permissions"):
        await archive.upload(record_to_upload(f'<Experiment xmlns="{NAMESPACE}"/>'.encode()), {})
