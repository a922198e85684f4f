"""The local archive: one record of each session, and pages a person can open."""

import asyncio
import errno
import json
import multiprocessing
import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from services.uploader.tests.archive.pages import Page, contents, listed, mortal

from nexuslims_contracts.record import NAMESPACE
from nexuslims_shared import artifacts
from nexuslims_uploader import catalogue
from nexuslims_uploader.archive import ArchiveDestination
from nexuslims_uploader.errors import PermanentUploadError, TransientUploadError
from nexuslims_uploader.testing import (
    HOSTILE,
    DestinationBehaviour,
    record_to_upload,
    small_record_xml,
)


class TestArchive(DestinationBehaviour):
    @pytest.fixture
    def held(self, records: Path):
        def read() -> dict[str, list[bytes]]:
            folder = records / "uploaded"
            files = {path.name: path.read_bytes() for path in folder.glob("*.xml")}
            sessions = sorted((folder / "sessions").glob("*"))
            found = {path.name: [files.pop(path.read_text())] for path in sessions}
            assert not files, "a record that no session owns"
            entries = [json.loads(path.read_text()) for path in folder.glob("*.json")]
            assert {entry["session"] for entry in entries} == set(found)
            assert len(entries) == len(list(folder.glob("*.html"))) == len(found)
            assert sorted(entry["session"] for entry in listed(records)) == sorted(found)
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
        assert HOSTILE.replace("\u202e", r"\u202e") in page.text
        assert "script" not in page.tags
        assert not any(address.startswith("javascript") for address in page.links)


async def test_no_text_turns_what_stands_behind_it_about(destination, records) -> None:
    turned = "\u202e3md"
    xml = small_record_xml(turned).replace(b"00000.dm3", f"{turned}.dm3".encode())
    await destination.upload(record_to_upload(xml), {})
    for path in (records / "index.html", records / "uploaded/2018-11-13_FEI-Titan-TEM_204.html"):
        text = path.read_text(encoding="utf-8")
        assert "\u202e" not in text
        assert r"\u202e3md" in text


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


async def test_a_month_of_many_records_has_many_lists(destination, records, monkeypatch) -> None:
    monkeypatch.setattr(catalogue, "ENTRIES_ON_A_PAGE", 2)
    uploaded = [record_to_upload(session=f"s-{n}", file_name=f"{n}.xml") for n in range(5)]
    for record in uploaded:
        await destination.upload(record, {})
    month = records / "index/2018-11"
    assert sorted(path.name for path in month.iterdir()) == [
        *("1.html", "1.json", "2.html", "2.json", "3.json", "index.html")
    ]
    assert len(listed(records)) == 5
    page, seen = Page(month / "index.html"), set()
    while True:
        seen |= {path.name for path in page.targets() if path.parent.name == "uploaded"}
        earlier = [
            path for path in page.targets() if path.stem.isdecimal() and path.parent == month
        ]
        if not earlier:
            break
        page = Page(earlier[0])
    assert seen == {f"{n}.html" for n in range(5)}
    for record in uploaded[2:]:
        await destination.withdraw(record, {})
    assert sorted(path.name for path in month.iterdir()) == ["1.json", "index.html"]
    assert len(listed(records)) == 2
    for record in uploaded[:2]:
        await destination.withdraw(record, {})
    assert not list((records / "index").iterdir())
    assert "There are no records yet." in Page(records / "index.html").text


def former_catalogue(records: Path, count: int) -> list[dict[str, Any]]:
    """An archive as release 0.1 left it."""
    folder = records / "uploaded"
    folder.mkdir(parents=True)
    entries = [
        {
            "session": f"s-{n}",
            "file": f"{n}.xml",
            "title": f"Title {n}",
            "instrument": "Titan",
            "start": f"2018-{1 + n % 12:02}-13T09:00:00-07:00",
            "experimenters": ["Ada"],
            "activities": 1,
            "datasets": 1,
            "preview": "",
        }
        for n in range(count)
    ]
    for entry in entries:
        (folder / entry["file"]).write_bytes(small_record_xml(entry["title"]))
        (folder / entry["file"]).with_suffix(".html").write_text(entry["title"])
    (folder / "catalogue.json").write_text(json.dumps(entries))
    return entries


@pytest.mark.parametrize("survives", [0, 1, 5, 1000])
async def test_an_archive_of_the_first_release_is_taken_over(
    destination, records, monkeypatch, survives
) -> None:
    monkeypatch.setattr("nexuslims_uploader.catalogue_migration.ENTRIES_ON_A_PAGE", 2)
    former_catalogue(records, 40)
    with mortal(monkeypatch, survives):
        destination._store(record_to_upload())
    await destination.upload(record_to_upload(), {})
    assert not (records / "uploaded/catalogue.json").exists()
    entries = listed(records)
    assert len(entries) == 41
    assert len(list((records / "index").iterdir())) == 12
    again = record_to_upload(small_record_xml("New"), session="s-7", file_name="7.xml")
    await destination.upload(again, {})
    with pytest.raises(PermanentUploadError, match="s-8"):
        await destination.upload(record_to_upload(session="another", file_name="8.xml"), {})
    await destination.withdraw(record_to_upload(session="s-9", file_name="9.xml"), {})
    assert len(listed(records)) == 40
    assert not (records / "uploaded/9.xml").exists()


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
    assert len(listed(records)) == 30
    assert len(list((records / "uploaded/sessions").iterdir())) == 30


async def test_thousands_of_datasets(destination, records) -> None:
    """CPU seconds on two shared cores: well under the bound, and not quadratic."""
    large = record_to_upload(small_record_xml("Large", datasets=5000))
    begin = time.process_time()
    await destination.upload(large, {})
    assert time.process_time() - begin < 5
    assert Page(records / "uploaded/2018-11-13_FEI-Titan-TEM_204.html").tags.count("img") == 5000


async def test_an_upload_touches_as_many_files_in_a_large_archive(
    destination, records, monkeypatch
) -> None:
    former_catalogue(records, 3000)
    await destination.upload(record_to_upload(session="first", file_name="first.xml"), {})
    touched = []
    monkeypatch.setattr(
        catalogue,
        "resolve",
        lambda root, name: touched.append(name) or artifacts.resolve(root, name),
    )
    await destination.upload(record_to_upload(session="one-more", file_name="one-more.xml"), {})
    assert 10 < len(touched) < 40


@pytest.mark.parametrize("file", ["uploaded/catalogue.json", "index/2018-11/1.json"])
async def test_a_damaged_catalogue_is_reported_and_not_overwritten(
    destination, records, file
) -> None:
    await destination.upload(record_to_upload(), {})
    assert await destination.check() == []
    damaged = records / file
    damaged.write_text("[{]")
    (problem,) = await destination.check()
    assert f"{damaged.name} is damaged" in problem
    with pytest.raises(TransientUploadError, match="is damaged"):
        await destination.upload(record_to_upload(small_record_xml("B")), {})
    assert damaged.read_text() == "[{]"


async def test_a_file_in_the_place_of_the_folder_is_reported(tmp_path: Path, data: Path) -> None:
    (tmp_path / "file").touch()
    archive = ArchiveDestination(tmp_path / "file", data)
    assert await archive.check()
    with pytest.raises(TransientUploadError, match="see to space and permissions"):
        await archive.upload(record_to_upload(f'<Experiment xmlns="{NAMESPACE}"/>'.encode()), {})
