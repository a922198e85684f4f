"""Reading ``calendar.toml`` and ``calendar.json``."""

import asyncio
import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nexuslims_contracts.events import Project
from nexuslims_harvester import toml_parts, watch
from nexuslims_harvester.calendar import CalendarEntry, EntryProblem, Window
from nexuslims_harvester.consent import ConsentReader
from nexuslims_harvester.errors import CalendarUnavailableError
from nexuslims_harvester.file_calendar import Facility, FileCalendar, parse_entries
from nexuslims_shared.people import Person

TOML = Path("calendar.toml")
EVERYTHING = Window(None, datetime(2030, 1, 1, tzinfo=UTC))


def session(**fields: str) -> str:
    """A table; the values are TOML."""
    usual = {
        "id": '"1"',
        "instrument": '"FEI-Titan-TEM"',
        "start": "2026-03-02T09:00:00",
        "end": "2026-03-02T12:00:00",
    }
    lines = [f"{name} = {value}" for name, value in {**usual, **fields}.items() if value]
    return "\n".join(["[[session]]", *lines, ""])


@pytest.fixture
def facility(instruments) -> Facility:
    return Facility(instruments, ConsentReader.accepting(["agree", "yes"]))


@pytest.fixture
def read(facility):
    return lambda *tables: parse_entries(TOML, "\n".join(tables).encode(), facility)


@pytest.fixture
def entry(read):
    """Read one table that is in order."""

    def read_one(**fields: str) -> CalendarEntry:
        (one,) = read(session(**fields))
        assert isinstance(one, CalendarEntry), one
        return one

    return read_one


@pytest.fixture
def problem(read):
    """Read tables of which one is wrong."""

    def read_wrong(*tables: str) -> EntryProblem:
        (one,) = [item for item in read(*tables) if isinstance(item, EntryProblem)]
        return one

    return read_wrong


def test_times_without_offset_are_in_the_instruments_zone(entry) -> None:
    winter = entry()
    assert winter.start.isoformat() == "2026-03-02T09:00:00-07:00"
    summer = entry(start="2026-07-01T09:00:00", end="2026-07-01T10:00:00")
    assert summer.start.isoformat() == "2026-07-01T09:00:00-06:00"
    assert entry(end="2026-03-02T20:00:00+01:00").end == datetime(2026, 3, 2, 19, tzinfo=UTC)


def test_times_in_the_hour_that_comes_twice_equal_themselves_in_other_zones(entry) -> None:
    doubtful = entry(start="2026-11-01T01:30:00", end="2026-11-01T05:00:00").start
    assert doubtful == doubtful.astimezone(UTC)


def test_everything_that_is_given_is_there(entry) -> None:
    one = entry(
        user='{ username = "ned", first_name = "Ned", last_name = "Land", email = "n@x.org" }',
        title='"Gold"',
        purpose='"Sizes"',
        samples='[{ id = "a", name = "A", ref = "r", description = "d", elements = ["Au"] }, "B"]',
        projects='["NP-7", { project_id = "X", name = "Y" }]',
        collaborators='["conseil"]',
        consent="true",
        url='"https://calendar.example.org/1"',
    )
    ned = Person(username="ned", first_name="Ned", last_name="Land", email="n@x.org")
    assert (one.user, one.collaborators) == (ned, (Person(username="conseil"),))
    assert (one.title, one.purpose, one.consent) == ("Gold", "Sizes", True)
    assert one.url == "https://calendar.example.org/1"
    first, second = one.samples
    assert first.model_dump() == {
        "id": "a",
        "name": "A",
        "ref": "r",
        "description": "d",
        "elements": ("Au",),
    }
    assert second.name == "B"
    assert one.projects == (Project(project_id="NP-7"), Project(project_id="X", name="Y"))


def test_samples_without_an_id_get_one_that_stays(entry) -> None:
    first, second = entry(samples='["A", "A"]').samples
    assert first.id != second.id
    assert entry(samples='["A", "A"]', title='"other"').samples == (first, second)
    assert entry(samples='["A", "A"]', id='"2"').samples[0].id != first.id


@pytest.mark.parametrize(
    ("given", "expected"),
    [("", None), ('""', None), ('"  "', None), ("true", True), ("false", False), ('"no"', False),
     ('"Agree"', True), ('"perhaps"', False), ("1", False), ('["yes"]', True),
     ("{ a = 1 }", False)],
)  # fmt: skip
def test_consent_is_read_as_in_every_calendar(entry, given: str, expected) -> None:
    assert entry(consent=given).consent is expected


@pytest.mark.parametrize("given", ['""', '" "', ""])
def test_a_blank_user_is_none(entry, given: str) -> None:
    assert entry(user=given).user is None


def test_numbers_are_ids_too(entry) -> None:
    assert entry(id="1001").id == "1001"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"instrument": '"Nautilus"'}, "instrument 'Nautilus' is not known"),
        ({"instrument": ""}, "instrument: Field required"),
        ({"start": ""}, "start: Field required"),
        ({"start": '"soon"'}, "start: Input should be a valid datetime"),
        ({"start": "1772467200"}, "start: a number is no date and time"),
        ({"end": "09:00:00"}, "end: Input should be a valid datetime"),
        ({"end": "2026-03-02T08:00:00"}, "before it starts"),
        ({"end": "2026-03-02T09:00:00"}, "without length"),
        ({"user": "[1]"}, "user: Input should be"),
        ({"samples": '"A"'}, "samples: Input should be"),
        ({"samples": '[{ id = "a" }, { id = "a" }]'}, "samples: the id 'a' is there twice"),
        ({"projects": "[7]"}, "projects.0: Input should be"),
        ({"titel": '"Gold"'}, "titel: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_entry_is_named_with_the_remedy_and_stops_no_other(read, fields, words) -> None:
    other = session(
        id='"2"', start="2026-04-01T09:00:00", end="2026-04-01T10:00:00", title='"fine"'
    )
    wrong, fine = read(session(**fields), other)
    assert isinstance(wrong, EntryProblem)
    assert wrong.entry == "session 1"
    assert words in wrong.problem
    assert ("swap" if words == "before it starts" else "correct") in wrong.problem
    assert isinstance(fine, CalendarEntry)


@pytest.mark.parametrize("given", ["", '""', '" "'])
def test_an_entry_without_an_id_is_named_by_its_number(problem, given: str) -> None:
    wrong = problem(session(id='"9"', start="2026-01-01T00:00:00"), session(id=given))
    assert wrong.entry == "session number 2"
    assert wrong.problem.startswith("id: ")


def test_an_id_that_is_there_twice_is_the_second_ones_problem(read) -> None:
    first, second = read(session(title='"first"'), session(title='"second"', id='" 1 "'))
    assert first.title == "first"
    assert second == EntryProblem(
        "session 1", "number 2 has the id of an earlier one: give it another"
    )


def test_sessions_that_overlap_are_both_sessions(read) -> None:
    late = session(id='"late"', start="2026-03-02T11:00:00", end="2026-03-02T13:00:00")
    assert [one.id for one in read(late, session(id='"early"'))] == ["late", "early"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[[session]\n", "cannot be read: .*line 1.*correct the file"),
        (b"\xff\xfe", "cannot be read: .*correct the file"),
        (b"session = 1", r"\[\[session\]\] tables: correct"),
        (b"[[sessions]]\nid = 1", "correct 'sessions'"),
    ],
)
def test_a_file_that_makes_no_sense_is_one_problem(facility, content: bytes, words: str) -> None:
    (wrong,) = parse_entries(TOML, content, facility)
    assert isinstance(wrong, EntryProblem)
    assert wrong.entry == "calendar.toml"
    assert re.search(words, wrong.problem)


def test_an_empty_file_is_an_empty_calendar(facility) -> None:
    assert parse_entries(TOML, b"", facility) == []


def test_json_and_a_byte_order_mark_are_understood(facility, entry) -> None:
    table = {
        "id": "1",
        "instrument": "FEI-Titan-TEM",
        "start": "2026-03-02T09:00:00",
        "end": "2026-03-02T12:00:00",
    }
    content = json.dumps({"session": [table]}).encode("utf-8-sig")
    assert parse_entries(Path("calendar.JSON"), content, facility) == [entry()]
    assert parse_entries(TOML, session().encode("utf-8-sig"), facility) == [entry()]


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b'{"session": null}',
        b'{"session": [null, 3, "x", []]}',
        b'{"session": [{"id": "\\ud800", "start": 1}]}',
        b'{"session": [{"\\ud800": 1, "id": "2"}]}',
        b'{"\\ud800": 1}',
        b"[" * 100_000,
    ],
)
def test_odd_json_gives_problems_that_can_be_written(facility, content: bytes) -> None:
    problems = parse_entries(Path("calendar.json"), content, facility)
    assert problems
    for one in problems:
        assert isinstance(one, EntryProblem)
        assert str(one).encode()


def test_a_long_file_is_read_in_parts(facility, monkeypatch) -> None:
    monkeypatch.setattr(toml_parts, "TABLES", 2)
    people = {"user": '"ada"', "collaborators": '["bob"]'}
    content = "".join(session(id=f'"{number}"', **people) for number in range(5))
    content += session(id='" 1"')
    entries = parse_entries(TOML, content.encode(), facility)
    assert [one.id for one in entries[:-1]] == ["0", "1", "2", "3", "4"]
    assert entries[-1] == EntryProblem(
        "session 1", "number 6 has the id of an earlier one: give it another"
    )
    assert len({id(one.user) for one in entries[:-1]}) == 1, "each person is held once"
    assert len({id(one.collaborators[0]) for one in entries[:-1]}) == 1


def test_a_purpose_may_look_like_a_table(facility, monkeypatch) -> None:
    monkeypatch.setattr(toml_parts, "TABLES", 1)
    content = session(purpose='"""as in\n[[session]]\nbelow"""') + session(id='"2"')
    first, second = parse_entries(TOML, content.encode(), facility)
    assert (first.purpose, second.id) == ("as in\n[[session]]\nbelow", "2")


def test_a_table_that_is_nested_too_deeply_is_its_own_problem(facility) -> None:
    deep = '{"a": ' * 600 + "1" + "}" * 600
    content = f'{{"session": [{{"id": "1", "title": {deep}}}, {{"id": "2"}}]}}'.encode()
    first, second = parse_entries(Path("calendar.json"), content, facility)
    assert first == EntryProblem("session 1", "it is nested too deeply: correct it")
    assert second.entry == "session 2"


@pytest.fixture
def calendar(settings, instruments, monkeypatch) -> FileCalendar:
    monkeypatch.setattr(watch, "_LOOK_AGAIN_S", 0.001)
    settings.calendar_file.write_text(session())
    return FileCalendar("file", settings, instruments)


async def test_the_file_is_read_again_when_it_changed(calendar, settings) -> None:
    (before,) = await calendar.entries(EVERYTHING)
    looking = asyncio.create_task(calendar.changed())
    done, _ = await asyncio.wait({looking}, timeout=0.05)
    assert not done
    same_size = session(id='"2"')
    settings.calendar_file.write_text(same_size)
    os.utime(settings.calendar_file, ns=(1, 1))
    await asyncio.wait_for(looking, 5)
    (after,) = await calendar.entries(EVERYTHING)
    assert (before.id, after.id) == ("1", "2")


@pytest.mark.parametrize("how", ["gone", "replaced"])
async def test_a_file_that_is_gone_or_another_one_has_changed(calendar, settings, how) -> None:
    await calendar.entries(EVERYTHING)
    path = settings.calendar_file
    if how == "replaced":
        stamp = path.stat().st_mtime_ns
        other = path.with_suffix(".new")
        other.write_text(path.read_text())
        os.utime(other, ns=(stamp, stamp))
        other.replace(path)
    else:
        path.unlink()
    await asyncio.wait_for(calendar.changed(), 5)


async def test_a_file_that_is_being_written_is_left_until_it_is_whole(
    calendar, settings, monkeypatch
) -> None:
    await calendar.entries(EVERYTHING)
    checks = iter([(1, 1, 1), (2, 2, 2), (3, 3, 3), (3, 3, 3)])
    monkeypatch.setattr(watch, "_stamp", lambda path: next(checks))
    await asyncio.wait_for(calendar.changed(), 5)
    assert next(checks, None) is None


async def test_a_calendar_that_cannot_be_read_names_its_setting(calendar, settings) -> None:
    settings.calendar_file.unlink()
    with pytest.raises(CalendarUnavailableError, match=r"NX_CALENDAR_FILE=.*No such file"):
        await calendar.entries(EVERYTHING)
    settings.calendar_file.write_text(session())
    await asyncio.wait_for(calendar.changed(), 5)
    assert len(await calendar.entries(EVERYTHING)) == 1
