"""Files that are read with another one: they may come, or change, after it was read."""

import os
from dataclasses import replace
from datetime import timedelta

import pytest
from services.indexer.tests.office import Office, current, looked_through

from nexuslims_contracts.datasets import ExtractorVersion
from nexuslims_contracts.events import (
    FileIndexed,
    FileSuperseded,
    MetadataExtracted,
    SessionIndexed,
)
from nexuslims_indexer.app import indexing
from nexuslims_indexer.claims import Booked, Sessions
from nexuslims_indexer.gather import Evidence
from nexuslims_indexer.model import FoundFile
from nexuslims_indexer.session_files import as_stated

MINUTE = timedelta(minutes=1)


@pytest.fixture
def office(settings, facts) -> Office:
    return Office(
        settings.model_copy(update={"file_settle_seconds": 0, "file_watch": "off"}), facts
    )


async def beside(office: Office) -> list[list[str]]:
    """Names of what was read with the file, by the events about it."""
    events = await office.stated(FileIndexed)
    return [[one.name for one in event.companions] for event in events]


async def read(office: Office) -> None:
    """The extractor reads what was found."""
    for token, file in (await office.folded()).current_files().items():
        if file.extracted is None:
            await office.state(
                MetadataExtracted(
                    session=office.facts.session,
                    file=token,
                    extractor=ExtractorVersion(name="x", version="1"),
                    outcome="extracted",
                    sha256="0" * 64,
                    datasets=(),
                )
            )


async def is_read(office: Office) -> list[bool]:
    """Of each file of the session, whether it was read as it is now."""
    files = (await office.folded()).current_files().values()
    return [file.extracted is not None for file in files]


@pytest.mark.parametrize("strategy", ["exclusive", "inclusive"])
async def test_one_that_comes_late_has_its_file_read_again(office, share, strategy) -> None:
    settings = office.context.settings.model_copy(update={"file_strategy": strategy})
    office = Office(settings, office.facts)
    share.write("a.tif")
    await office.state(*office.facts.over())
    async with indexing(office.context, office.kinds) as indexer:
        await looked_through(indexer)
        await read(office)
        assert await is_read(office) == [True]
        share.write("a-tif.hdr", share.start + 3 * MINUTE)
        await looked_through(indexer)
        assert await is_read(office) == [False]
        await read(office)
        await looked_through(indexer)
    assert current(await office.folded()) == ["Titan/a.tif"]
    assert await beside(office) == [[], ["a-tif.hdr"]]
    (gone,) = await office.stated(FileSuperseded)
    first, second = await office.stated(FileIndexed)
    assert (gone.file, gone.by, gone.reason) == (first.file, second.file, "rewritten")
    assert [event.count for event in await office.stated(SessionIndexed)] == [1, 1]


async def test_one_that_changes_has_its_file_read_again_and_one_that_goes_has_not(
    office, share, settings
) -> None:
    share.write("a.tif")
    header = share.write("a.hdr")
    await office.state(*office.facts.over())
    async with indexing(office.context, office.kinds) as indexer:
        await looked_through(indexer)
        share.write("a.hdr", share.start + 2 * MINUTE, b"longer")
        await looked_through(indexer)
        assert await beside(office) == [["a.hdr"], ["a.hdr"]]
        header.unlink()
        await looked_through(indexer)
        share.write("b.dm3")
        await looked_through(indexer)
    for index in (settings.state_path / "index").iterdir():
        index.unlink()
    await office.wake()
    assert await beside(office) == [["a.hdr"], ["a.hdr"], []]
    share.write("a.hdr", share.start + 2 * MINUTE, b"longer")
    await office.wake()
    assert len(await office.stated(FileIndexed)) == 3


async def test_one_that_lies_alone_is_a_file_until_its_own_comes(office, share) -> None:
    """Under ``inclusive``; then it is no dataset beside that, nor a missing one."""
    settings = office.context.settings.model_copy(update={"file_strategy": "inclusive"})
    office = Office(settings, office.facts)
    share.write("deep/a.txt")
    await office.state(*office.facts.over())
    async with indexing(office.context, office.kinds) as indexer:
        await looked_through(indexer)
        assert current(await office.folded()) == ["Titan/deep/a.txt"]
        share.write("deep/a.tif")
        await looked_through(indexer)
    assert current(await office.folded()) == ["Titan/deep/a.tif"]
    assert await beside(office) == [[], ["a.txt"]]
    (*_, manifest) = await office.stated(SessionIndexed)
    assert (manifest.count, manifest.missing) == (1, 0)


def test_what_lies_beside_a_file_does_not_change_whose_it_is() -> None:
    file, evidence = FoundFile(50, "T/a.tif", 1), Evidence()
    evidence.touch(file, "b")
    sessions = Sessions([Booked("a", 0, 100), Booked("b", 200, 300)])
    late = replace(file, beside=(("a.hdr", 1, 60),))
    assert late.token != file.token
    assert [evidence.claim(one, sessions).session for one in (file, late)] == ["b", "b"]
    evidence = Evidence()
    evidence.take("b", {file.alone: "content"})
    assert [evidence.claim(one, sessions).session for one in (file, late)] == ["b", "b"]


def test_what_an_earlier_release_stated_is_as_it_was(facts) -> None:
    found = FoundFile(7, "Titan/a.tif", 1, beside=(("a.hdr", 1, 7),))
    event = FileIndexed(
        session=facts.session,
        file=found.alone,
        path=found.path,
        size=1,
        mtime_ns=7,
        instrument=facts.instrument,
    )
    assert as_stated(found, event).token == event.file
    assert as_stated(found, event.model_copy(update={"companions": ()})) == found
    assert as_stated(found, event.model_copy(update={"size": 2})) == found


def test_a_file_rests_when_what_is_read_with_it_does(share) -> None:
    seen = share.seen(settle=30)
    share.write("a.tif")
    share.write("a.hdr", seen.now)
    written = share.write("b.tif").stat().st_mtime_ns
    seen.look(10)
    assert seen.paths() == ["Titan/b.tif"]
    seen.look(30)
    assert seen.paths() == ["Titan/a.tif", "Titan/b.tif"]
    share.write("b.txt")
    seen.pending()
    seen.look(10)
    assert (seen.paths(), seen.pending()) == (["Titan/a.tif"], 2 * [written])
    share.write("b.txt", content=b"longer")
    os.utime(share.root / "Titan")
    seen.look(29)
    seen.look(29)
    assert seen.paths() == ["Titan/a.tif"]
    seen.look(1)
    assert seen.pending()[-1] == written
    (file,) = [file for file in seen.files() if file.path == "Titan/b.tif"]
    assert [(name, size) for name, size, _ in file.beside] == [("b.txt", 6)]
    assert file.began_ns == 0


async def test_one_that_lay_alone_is_no_file_more_whosever_its_own_is(office, share) -> None:
    """Under ``inclusive``: its file is another session's, so it is no missing one either."""
    settings = office.context.settings.model_copy(update={"file_strategy": "inclusive"})
    office = Office(settings, office.facts)
    later = replace(
        office.facts,
        session="nemo-1-usage-2",
        start=share.end,
        end=share.end + timedelta(hours=1),
    )
    share.write("deep/a.txt")
    share.write("deep/b.dm3")
    await office.state(*office.facts.over(), *later.over())
    async with indexing(office.context, office.kinds) as indexer:
        await looked_through(indexer)
        assert current(await office.folded()) == ["Titan/deep/a.txt", "Titan/deep/b.dm3"]
        share.write("deep/a.tif", share.end + MINUTE)
        await looked_through(indexer)
    assert current(await office.folded()) == ["Titan/deep/b.dm3"]
    assert current(await office.folded(later)) == ["Titan/deep/a.tif"]
    assert [one.missing for one in await office.stated(SessionIndexed)] == [0, 0]


@pytest.mark.parametrize("strategy", ["exclusive", "inclusive"])
async def test_one_that_a_link_leads_to_is_kept_with_its_file(office, share, strategy) -> None:
    settings = office.context.settings.model_copy(update={"file_strategy": strategy})
    office = Office(settings, office.facts)
    share.write("own.tif")
    for name in ("own.txt", "linked.tif", "linked.txt", "alone.tif"):
        target = share.write(share.root / "Elsewhere" / name)
        (share.root / "Titan" / name).symlink_to(target)
    share.write("alone.txt")
    (share.root / "Titan" / "broken.tif").symlink_to("nowhere.tif")
    share.write("broken.txt")
    await office.state(*office.facts.over())
    async with indexing(office.context, office.kinds) as indexer:
        await looked_through(indexer)
        found = sorted(one for one in await beside(office) if one)
        assert found == [["alone.txt"], ["linked.txt"], ["own.txt"]]
        share.write(share.root / "Elsewhere" / "linked.txt", share.start + 2 * MINUTE, b"longer")
        await looked_through(indexer)
        await looked_through(indexer)
    own = ["Titan/broken.txt"] if strategy == "inclusive" else []
    paths = ["Titan/alone.tif", *own, "Titan/linked.tif", "Titan/own.tif"]
    assert current(await office.folded()) == paths
    assert len(await office.stated(FileIndexed)) == len(paths) + 1
