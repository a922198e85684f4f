"""What lists show: filters, limits and pages, on every kind of database."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nexuslims_console.database import Database
from nexuslims_console.lists import Filter, SessionLists
from nexuslims_console.projection import Projection
from nexuslims_console.queries import ReadModel, Window
from nexuslims_contracts.events import FilesAwaited, Instrument
from nexuslims_contracts.testing import START, SessionEvents
from nexuslims_shared.store.memory import MemoryEventStore

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
QUANTA = Instrument(pid="Quanta", name="Quanta", filestore="Quanta")
NED = "person-0123456789abcdef0123"


def session(name: str, hour: int, **more: Any) -> SessionEvents:
    return SessionEvents(name, start=NOON + hour * HOUR, end=NOON + (hour + 1) * HOUR, **more)


@pytest.fixture
async def model(database: Database, history: Any) -> ReadModel:
    """Six sessions, an hour each: a to f; c and f elsewhere, the last two not over."""
    store = MemoryEventStore()
    for hour, name in enumerate("abcdef"):
        made = session(name, hour, **({"instrument": QUANTA} if name in "cf" else {}))
        await history.tell(store, made.started(user=NED if name in "ab" else None))
        if hour < 4:
            await history.tell(store, made.ended())
            await history.tell(store, made.matched(experimenter=NED if name == "b" else None))
        if name == "a":
            await history.tell(store, made.manifest(1))
            await history.tell(store, made.rejected(4))
    await Projection(store, database).catch_up()
    return ReadModel(database)


def names(rows: list[Any]) -> str:
    return "".join(row.session for row in rows)


async def test_pages_begin_with_the_newest(model: ReadModel) -> None:
    assert names(model.sessions()) == "abcdef"
    assert names(model.sessions(limit=4)) == "cdef"
    assert names(model.sessions(limit=4, page=2)) == "ab"
    assert names(model.sessions(limit=4, page=3)) == ""


async def test_filters_narrow_pages_and_counts_alike(model: ReadModel) -> None:
    afternoon = Window(NOON + 2 * HOUR, NOON + 4 * HOUR)
    for filters, expected in [
        ({}, "abcdef"),
        ({"status": "WAITING_FOR_END"}, "ef"),
        ({"instrument": "Quanta"}, "cf"),
        ({"window": afternoon}, "cd"),
        ({"instrument": "Quanta", "window": afternoon}, "c"),
        ({"status": "COMPLETED"}, ""),
    ]:
        assert names(model.sessions(**filters)) == expected
        assert names(model.sessions(**filters, limit=1)) == expected[-1:]
        assert model.count(**filters) == len(expected)


async def test_some_sessions_are_found_by_name_however_many(model: ReadModel) -> None:
    wanted = {"b", "e", *(f"nobody-{number}" for number in range(1200))}
    assert names(model.sessions(only=wanted)) == "be"
    assert model.sessions(only=()) == []


async def test_due_work_is_what_the_sessions_wait_for_and_since_when(
    database: Database, history: Any
) -> None:
    """Beside the rows of `model`: one of each service, and one that is not due yet."""
    store = MemoryEventStore()
    later = session("b", 1)
    until = START + timedelta(days=2)
    awaited = FilesAwaited(session="d", until=until, after=0)
    for events in (
        [session("a", 0).started(), session("a", 0).ended()],
        [later.started(), later.ended(), later.matched()],
        [*session("c", 2).history()[:-1]],
        [session("d", 3).started(), session("d", 3).ended(), session("d", 3).matched(), awaited],
        [session("e", 4).started(), session("e", 4).ended(), session("e", 4).declined()],
        [session("f", 5).started()],
    ):
        for event in events:
            await history.tell(store, event)
    await Projection(store, database).catch_up()
    due = ReadModel(database).due_work
    assert due(START - HOUR) == []
    assert [(one.service, one.sessions) for one in due(START + HOUR)] == [
        ("builder", 1),
        ("harvester", 1),
        ("indexer", 1),
    ]
    assert {one.since for one in due(START + HOUR)} == {START}
    assert [one.sessions for one in due(until) if one.service == "indexer"] == [2]
    waiting = SessionLists(database).waiting
    assert waiting(START - HOUR, 9) == []
    assert len(waiting(START + HOUR, 9)) == 3
    assert len(waiting(START + HOUR, 2)) == 2
    found = waiting(until, 9)
    assert (found[-1].session.session, found[-1].since) == ("d", until)
    assert [one.since for one in found[:-1]] == [START] * 3


async def test_text_is_found_in_names_titles_and_instruments(
    database: Database, model: ReadModel
) -> None:
    lists = SessionLists(database)
    for text, expected in [("QUANTA", "cf"), ("quan%", ""), ("_", "")]:
        chosen = Filter(text=text)
        rows = lists.page(chosen, sort="session", descending=False, page=1, size=9)
        assert names(rows) == expected
        assert lists.count(chosen) == len(expected)
    assert lists.count(Filter(text=model.sessions(only="d")[0].title.upper())) > 0


async def test_troubled_sessions_are_those_with_unread_files_or_an_end_that_is_not_well(
    database: Database, history: Any
) -> None:
    store = MemoryEventStore()
    unread, refused, well = session("a", 0), session("b", 1), session("c", 2)
    for events in (
        [*unread.inputs(), unread.built(99, failures=1)],
        [*refused.inputs(), refused.rejected(99)],
        [*well.inputs(), well.built(99)],
    ):
        for event in events:
            await history.tell(store, event)
    await Projection(store, database).catch_up()
    lists = SessionLists(database)
    rows = lists.page(Filter(trouble=True), sort="start", descending=False, page=1, size=9)
    assert [(row.session, row.failures) for row in rows] == [("a", 1), ("b", 0)]
    assert lists.count(Filter(trouble=True)) == 2


async def test_names_are_listed_without_the_rest(model: ReadModel) -> None:
    assert model.names(status="WAITING_FOR_END") == ["e", "f"]


async def test_people_are_found_in_all_sessions_that_ever_named_them(model: ReadModel) -> None:
    assert model.sessions_by_person() == {NED: ["a", "b"]}
    assert model.sessions_by_person(NED) == {NED: ["a", "b"]}
    assert model.sessions_by_person("person-x") == {}


def test_an_empty_database_is_prepared_by_several_at_once(
    empty_database: Callable[[], str],
) -> None:
    url = empty_database()
    others = [Database(url) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(Database.prepare, others))
    for other in others:
        assert ReadModel(other).sessions() == []
        other.close()
