"""What an operator sets, or a release, holds for all sessions at the next start."""

from dataclasses import replace
from datetime import timedelta

import pytest
from services.indexer.tests.office import current, looked_through

from nexuslims_contracts.events import FilesNotFound, SessionIndexed
from nexuslims_indexer import names
from nexuslims_indexer.app import indexing

HOUR = timedelta(hours=1)


@pytest.fixture
async def later(office):
    """The next session of the instrument."""
    end = office.facts.end
    one = replace(office.facts, session="file-2", start=end, end=end + HOUR)
    await office.state(*office.facts.over(), *one.over())
    return one


async def look(office) -> None:
    """Look through the folder, as after a start."""
    async with indexing(office.context, office.kinds) as indexer:
        await looked_through(indexer)


def set_rule(settings, line: str) -> None:
    with settings.instruments_file.open("a") as file:
        file.write(f"{line}\n")


async def test_a_clock_that_is_corrected_moves_files_to_other_sessions(
    office, share, settings, later
) -> None:
    share.write("a.dm3", share.end + HOUR / 2)
    share.write("b.dm3", share.end + 3 * HOUR / 2)
    await look(office)
    assert current(await office.folded()) == []
    assert current(await office.folded(later)) == ["Titan/a.dm3"]
    set_rule(settings, "clock_offset = 3600")
    for _ in range(2):
        await look(office)
        assert current(await office.folded()) == ["Titan/a.dm3"]
        assert current(await office.folded(later)) == ["Titan/b.dm3"]
    assert [one.count for one in await office.stated(SessionIndexed, later)] == [1, 1]


async def test_a_session_that_loses_all_of_its_files_says_so(
    office, share, settings, later
) -> None:
    share.write("a.dm3", share.end - HOUR / 2)
    await look(office)
    set_rule(settings, "clock_offset = -3600")
    await look(office)
    assert len(await office.stated(FilesNotFound)) == 1
    assert current(await office.folded(later)) == ["Titan/a.dm3"]


async def test_minutes_of_grace_that_are_set_hold_for_files_that_were_found_before(
    office, share, settings, later
) -> None:
    share.write("a.dm3", later.end + HOUR)
    await look(office)
    assert len(await office.stated(FilesNotFound, later)) == 1
    set_rule(settings, "grace_minutes = 90")
    await look(office)
    assert current(await office.folded(later)) == ["Titan/a.dm3"]


async def test_a_file_of_a_system_that_was_found_by_an_earlier_release_leaves_its_record(
    office, share, settings, monkeypatch
) -> None:
    share.write("._a.dm3")
    share.write("a.dm3")
    await office.state(*office.facts.over())
    monkeypatch.setattr(names, "is_of_systems", lambda name: False)
    await look(office)
    assert current(await office.folded()) == ["Titan/._a.dm3", "Titan/a.dm3"]
    monkeypatch.undo()
    for index in (settings.state_path / "index").iterdir():
        index.unlink()  # as of another signature
    await look(office)
    assert current(await office.folded()) == ["Titan/a.dm3"]
    assert [one.missing for one in await office.stated(SessionIndexed)] == [0, 0]
