"""Instruments with the same folder, or one within the other's: each file is in one record."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from services.indexer.tests.office import Office, current, looked_through

from nexuslims_contracts.events import (
    FileIndexed,
    FilesAwaited,
    FilesNotFound,
    Instrument,
    SessionIndexed,
)
from nexuslims_contracts.testing import TITAN
from nexuslims_indexer import app
from nexuslims_indexer.app import indexing
from nexuslims_shared.people import Person
from nexuslims_shared.tasks import end

HOUR = timedelta(hours=1)
INNER = """
[[instrument]]
pid = "Detector"
filestore_path = "{folder}"
folders = "{folders}"
"""


def shared(settings, facts, folder: str, *, folders: str = "") -> tuple[Office, list]:
    """A facility whose second instrument has a folder that is the first one's, or within it."""
    text = settings.instruments_file.read_text()
    if folders:
        text += f'folders = "{folders}"\n'
    settings.instruments_file.write_text(text + INNER.format(folder=folder, folders=folders))
    detector = Instrument(pid="Detector", name="Detector", filestore=folder)
    long = replace(facts, start=facts.start, end=facts.start + 4 * HOUR)
    short = replace(long, session="file-2", instrument=detector, end=facts.start + 2 * HOUR)
    return Office(settings, long), [long, short]


@pytest.mark.parametrize("first", [0, 1])
async def test_of_one_folder_each_file_is_in_the_record_of_the_shorter_session_and_both_tell(
    settings, facts, share, first: int
) -> None:
    office, (long, short) = shared(settings, facts, "Titan")
    share.write("both.dm3", facts.start + HOUR)
    share.write("long.dm3", facts.start + 3 * HOUR)
    for one in ((long, short), (short, long))[first]:
        await office.state(*one.over())
        await office.wake()
    assert current(await office.folded(short)) == ["Titan/both.dm3"]
    assert current(await office.folded(long)) == ["Titan/long.dm3"]
    notes = [(await office.stated(SessionIndexed, one))[-1].notes for one in (long, short)]
    assert "Titan/both.dm3: in the record of file-2" in notes[0][0]
    assert "Titan/both.dm3: in this record, not in that of file-1" in notes[1][0]


async def test_of_one_folder_that_of_the_user_decides_where_that_is_the_rule(
    settings, facts, share
) -> None:
    office, sessions = shared(settings, facts, "Titan", folders="user")
    for one, name in zip(sessions, ("ned", "conseil"), strict=True):
        user = await office.people.remember("file", Person(username=name))
        share.write(f"{name}/a.dm3", facts.start + HOUR)
        await office.state(one.started(user=user), one.matched(), one.ended(user=user))
    await office.wake()
    found = [current(await office.folded(one)) for one in sessions]
    assert found == [["Titan/ned/a.dm3"], ["Titan/conseil/a.dm3"]]


async def test_a_folder_within_anothers_is_looked_through_with_it(settings, facts, share) -> None:
    """What is in it is the nearer instrument's, while that has a session; else the other's."""
    office, (outer, inner) = shared(settings, facts, "Titan/detector")
    share.write("a.dm3", facts.start + HOUR)
    share.write("detector/b.dm3", facts.start + HOUR)
    share.write("detector/c.dm3", facts.start + 3 * HOUR)
    await office.state(*inner.over())
    async with indexing(office.context, office.kinds) as indexer:
        await looked_through(indexer)
        assert list(indexer.instruments) == ["Titan/detector"]
        assert current(await office.folded(inner)) == ["Titan/detector/b.dm3"]
        await office.state(*outer.over())
        await indexer.handle(await office.batch())
        assert list(indexer.instruments) == ["Titan"]
        await looked_through(indexer)
    assert current(await office.folded(inner)) == ["Titan/detector/b.dm3"]
    assert current(await office.folded(outer)) == ["Titan/a.dm3", "Titan/detector/c.dm3"]
    assert len(await office.stated(FileIndexed, inner)) == 1


async def test_a_folder_within_anothers_that_is_away_takes_nothing(settings, facts, share) -> None:
    office, (outer, inner) = shared(settings, facts, "Titan/detector")
    share.write("a.dm3", facts.start + HOUR)
    share.write("detector/b.dm3", facts.start + HOUR)
    await office.state(*outer.over(), *inner.over())
    async with indexing(office.context, office.kinds) as indexer:
        await looked_through(indexer)
        (share.root / "Titan" / "detector").rename(share.root / "away")
        for folder in (None, share.root / "Titan" / "detector"):
            if folder is not None:
                folder.mkdir()  # an empty mount point
            await looked_through(indexer)
            (trouble,) = indexer.troubles()
            assert "is the share mounted" in trouble
            state = await office.folded(inner)
            assert not any(file.is_missing for file in state.current_files().values())
        (share.root / "Titan" / "detector").rmdir()
        (share.root / "away").rename(share.root / "Titan" / "detector")
        await looked_through(indexer)
        assert indexer.troubles() == []
    assert current(await office.folded(inner)) == ["Titan/detector/b.dm3"]
    assert current(await office.folded(outer)) == ["Titan/a.dm3"]


async def test_without_files_a_session_waits_for_its_folder_within_anothers(
    settings, facts, share
) -> None:
    office, (outer, inner) = shared(settings, facts, "Titan/detector")
    share.write("a.dm3", facts.start + HOUR)
    await office.state(*outer.over(), *inner.over())
    await office.wake()
    assert not await office.stated(FilesNotFound, inner)
    (event,) = await office.stated(FilesAwaited, inner)
    assert "is the share mounted" in event.notes[0]


async def test_a_folder_that_no_session_is_at_any_more_is_not_looked_through(office, share) -> None:
    """The instrument's folder has another name now, and its sessions say so."""
    share.write("a.dm3")
    await office.state(*office.facts.over())
    async with indexing(office.context, office.kinds) as indexer:
        await looked_through(indexer)
        (share.root / "Titan").rename(share.root / "Building-2")
        moved = TITAN.model_copy(update={"filestore": "Building-2"})
        after = await office.store.last_sequence()
        await office.state(office.facts.revised(instrument=moved, after=after))
        await indexer.handle(await office.batch())
        assert list(indexer.instruments) == ["Building-2"]
        assert indexer.troubles() == []
    assert current(await office.folded()) == ["Building-2/a.dm3"]


async def test_an_instruments_folder_may_be_the_root_of_all(settings, facts, share) -> None:
    """And another one's is within it; paths are as ever."""
    office, (_, inner) = shared(settings, facts, "Titan/detector")
    outer = replace(facts, instrument=TITAN.model_copy(update={"filestore": ""}))
    share.write("../a.dm3", facts.start + HOUR / 2)
    share.write("b.dm3", facts.start + HOUR / 2)
    share.write("detector/c.dm3", facts.start + HOUR / 2)
    await office.state(*outer.over(), *inner.over())
    async with indexing(office.context, office.kinds) as indexer:
        await looked_through(indexer)
        assert list(indexer.instruments) == [""]
        assert current(await office.folded(outer)) == ["Titan/b.dm3", "a.dm3"]
        assert current(await office.folded(inner)) == ["Titan/detector/c.dm3"]
        (share.root / "a.dm3").rename(share.root / "Titan" / "a.dm3")
        share.write("../new.dm3", facts.start + HOUR / 2, b"longer")
        indexer.instruments[""].touch({"", "Titan"})
        await looked_through(indexer)
    assert current(await office.folded(outer)) == ["Titan/a.dm3", "Titan/b.dm3", "new.dm3"]


async def test_an_instrument_that_comes_while_disks_are_looked_up_ends_no_watch(
    office, share, monkeypatch
) -> None:
    """Its folder is looked through by then: the disks of those before were being looked up."""
    await office.state(*office.facts.over())
    watched = asyncio.Queue()

    async def watch(root, folders, others):
        watched.put_nowait(list(folders))
        await others.wait()

    async with indexing(office.context, office.kinds) as indexer:
        one = indexer.instruments["Titan"]

        def is_local(path):
            indexer.instruments.setdefault("Other", one)
            return True

        monkeypatch.setattr(app, "is_local", is_local)
        monkeypatch.setattr(app, "watch", watch)
        watching = asyncio.create_task(indexer.watch())
        first = asyncio.create_task(watched.get())
        await asyncio.wait({watching, first}, return_when=asyncio.FIRST_COMPLETED)
        assert first.done()
        assert first.result() == ["Titan"]
        indexer.instruments.pop("Other")
        await end(watching)
