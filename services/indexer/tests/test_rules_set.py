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
    async with indexing(office.context, office.kinds, office.notes) as indexer:
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


@pytest.fixture
async def day(office, share):
    """Six sessions of an hour, one after the other, each with a file."""
    start = office.facts.start
    many = [
        replace(
            office.facts,
            session=f"file-{number}",
            start=start + number * HOUR,
            end=start + (number + 1) * HOUR,
        )
        for number in range(1, 7)
    ]
    for one in many:
        await office.state(*one.over())
        share.write(f"{one.session}.dm3", one.end - HOUR / 2)
    await look(office)
    return many


async def files(office, day) -> list[list[str]]:
    """What each session has."""
    return [current(await office.folded(one)) for one in day]


async def test_rules_that_take_files_from_many_records_wait_for_an_operator(
    office, settings, day
) -> None:
    before = [[f"Titan/{one.session}.dm3"] for one in day]
    assert await files(office, day) == before
    set_rule(settings, "clock_offset = 43200")
    for _ in range(2):
        await look(office)
        assert await files(office, day) == before
    waiting = await office.notes.held()
    assert waiting == {
        "files/Titan": {
            one.session: "by the rules that are set it has 0 of its 1 file" for one in day
        }
    }
    await office.notes.approve("files/Titan", waiting["files/Titan"])
    await look(office)
    assert await files(office, day) == [[]] * 6
    assert await office.notes.held() == {}
    assert await office.notes.approved("files/Titan") == frozenset()


async def test_rules_that_cannot_be_read_take_nothing_from_a_record(office, settings, day) -> None:
    set_rule(settings, "clock_offset = 1e9")
    await look(office)
    assert await files(office, day) == [[f"Titan/{one.session}.dm3"] for one in day]
    assert await office.notes.held() == {}


async def test_rules_that_are_put_back_wait_no_longer(office, settings, day) -> None:
    text = settings.instruments_file.read_text()
    set_rule(settings, "clock_offset = 43200")
    await look(office)
    settings.instruments_file.write_text(text)
    await look(office)
    assert await office.notes.held() == {}
    assert await files(office, day) == [[f"Titan/{one.session}.dm3"] for one in day]


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
