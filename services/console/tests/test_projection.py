"""The read model: the same rows however the events arrive."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, closing
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexuslims_console.database import Database
from nexuslims_console.errors import ReadModelError
from nexuslims_console.projection import Projection, open_read_model, rebuild
from nexuslims_console.queries import ReadModel
from nexuslims_console.views import session_row
from nexuslims_contracts.envelope import Recorded, encode, envelop
from nexuslims_contracts.events import EVENT_TYPES, RetryRequested
from nexuslims_contracts.periods import ALL
from nexuslims_contracts.testing import SessionEvents
from nexuslims_shared.session.state import fold
from nexuslims_shared.store.memory import MemoryEventStore
from nexuslims_shared.store.port import Unreadable

NewDatabase = Callable[[], Database]

SESSIONS = ("a", "b", "c")


def contents(database: Database) -> dict[str, Any]:
    model = ReadModel(database)
    return {
        "sessions": [asdict(row) for row in model.sessions()],
        "stories": {session: model.history(session) for session in SESSIONS},
        "unreadable": model.unreadable(),
        "people": model.sessions_by_person(),
        "position": str(model.position().positions),
    }


async def store_of(history: Any) -> MemoryEventStore:
    """Three sessions: done, not exported, half-way; with a damaged event between."""
    store = MemoryEventStore()
    await history.complete(store, "a")
    for event in [*history.inputs("b")[:4], *history.inputs("c")]:
        await history.tell(store, event)
    await store.append_raw("nexus.events.b.session-ended", {"ce-type": "nexuslims.odd.v9"}, b"{}")
    await history.tell(store, history.built("c", await store.last_sequence()))
    await history.tell(store, SessionEvents("c").upload_failed())
    return store


async def test_a_session_is_shown_as_its_events_tell(database: Database, history: Any) -> None:
    store = await store_of(history)
    assert await Projection(store, database).catch_up() == await store.positions()
    done, half, failed = ReadModel(database).sessions()
    assert (done.session, done.status, done.phase) == ("a", "COMPLETED", "done")
    assert (done.files, done.settled, done.failures, done.datasets) == (2, 2, 1, 1)
    assert done.title == "Gold on carbon"
    assert done.end is not None
    assert done.end.isoformat() == "2018-11-13T19:00:00+00:00"
    assert [(up.destination, up.uploaded) for up in done.uploads] == [("archive", True)]
    assert (half.status, half.phase) == ("TO_BE_BUILT", "looking for files")
    assert (failed.status, failed.reason) == ("BUILT_NOT_EXPORTED", "archive: no")


async def test_what_cannot_be_read_is_shown(database: Database, history: Any) -> None:
    await Projection(await store_of(history), database).catch_up()
    (row,) = ReadModel(database).unreadable()
    assert (row.session, row.sequence) == ("b", 23)
    assert "odd" in row.reason
    assert ReadModel(database).unreadable("a") == []


async def test_an_updated_release_reads_what_an_older_one_had_to_leave_out(
    database: Database, history: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryEventStore()
    for event in history.inputs("a")[:2]:
        await history.tell(store, event)
    headers, payload = encode(envelop(RetryRequested(session="a", request="r"), source="test"))
    newer = "nexuslims.retry.requested.v9"
    await store.append_raw("nexus.events.a.retry-requested", {**headers, "ce-type": newer}, payload)
    await (await open_read_model(store, database)).catch_up()
    assert [row.sequence for row in ReadModel(database).unreadable()] == [3]
    monkeypatch.setitem(EVENT_TYPES, newer, RetryRequested)
    await open_read_model(store, database)
    assert ReadModel(database).unreadable() == []
    assert [row.sequence for row in ReadModel(database).history("a")] == [1, 2, 3]


async def test_the_read_model_of_another_log_is_rebuilt(database: Database, history: Any) -> None:
    former, now = MemoryEventStore(), MemoryEventStore()
    for name, store in (("a", former), ("b", now), ("c", now)):
        for event in history.inputs(name):
            await history.tell(store, event)
    await (await open_read_model(former, database)).catch_up()
    await (await open_read_model(now, database)).catch_up()  # which is longer, and not ahead
    assert ReadModel(database).history("a") == []
    assert database.log() == await now.identity()


@pytest.mark.timeout(300)  # 25 databases in a row, and a busy machine
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_rebuilt_equals_live_however_events_arrive(
    history: Any, new_database: NewDatabase, data: st.DataObject
) -> None:
    """Two projections side by side get events late, doubled and in any order, as they are told."""

    async def compare() -> None:
        source = [item async for item in (await store_of(history)).read()]
        store = MemoryEventStore()
        with closing(new_database()) as live, closing(new_database()) as rebuilt:
            pair = [Projection(store, live), Projection(store, live)]
            delivered: dict[str, int] = {}
            while await store.last_sequence() < len(source):
                count = data.draw(st.integers(1, 9))
                await copy(source, store, count)
                items = [item async for item in store.read()]
                batch = data.draw(st.lists(st.sampled_from(items), min_size=1, max_size=8))
                await data.draw(st.sampled_from(pair)).apply(batch)
                note(delivered, batch)
                await require_whole_rows(live, store, delivered)
            for projection in data.draw(st.permutations(pair)):
                await projection.catch_up()
            await Projection(store, rebuilt).catch_up()
            assert contents(live) == contents(rebuilt)
            await rebuild(store, live)
            assert contents(live) == contents(rebuilt)

    asyncio.run(compare())


async def copy(source: list[Any], store: MemoryEventStore, count: int) -> None:
    """Store the next events of a story, the damaged one too."""
    start = await store.last_sequence()
    for item in source[start : start + count]:
        if isinstance(item, Unreadable):
            await store.append_raw(item.subject, {"ce-type": "nexuslims.odd.v9"}, b"{}")
        else:
            await store.append(item.envelope)


def note(delivered: dict[str, int], batch: list[Any]) -> None:
    for item in batch:
        if isinstance(item, Recorded):
            session = item.event.session
            delivered[session] = max(delivered.get(session, 0), item.sequence)


async def require_whole_rows(
    database: Database, store: MemoryEventStore, delivered: dict[str, int]
) -> None:
    """Each row is what all events up to some sequence say, and that is no older than the newest."""
    rows = {row.session: row for row in ReadModel(database).sessions()}
    assert rows.keys() == delivered.keys()
    events = [item async for item in store.read() if isinstance(item, Recorded)]
    for session, sequence in delivered.items():
        row = rows[session]
        assert row.through >= sequence
        mine = [one for one in events if one.event.session == session]
        assert row == session_row(fold(one for one in mine if one.sequence <= row.through))


@pytest.mark.timeout(300)
@settings(max_examples=25, deadline=None)
@given(cut=st.integers(1, 25), size=st.integers(1, 9))
def test_a_projection_that_starts_anywhere_gives_whole_rows(
    history: Any, new_database: NewDatabase, cut: int, size: int
) -> None:
    async def compare() -> None:
        store = await store_of(history)
        items = [item async for item in store.read()]
        with closing(new_database()) as live, closing(new_database()) as rebuilt:
            await Projection(store, live).apply(items[:cut], after=0)
            restarted = Projection(store, live)
            for start in range(cut, len(items), size):
                await restarted.apply(items[start : start + size], after=start)
            await Projection(store, rebuilt).catch_up()
            assert contents(live) == contents(rebuilt)

    asyncio.run(compare())


async def test_an_older_state_never_replaces_a_newer_row(database: Database, history: Any) -> None:
    store = MemoryEventStore()
    await history.tell(store, SessionEvents("a").started())
    early = [item async for item in store.read()]
    late = Projection(store, database)
    await late.apply(early, after=0)
    await history.tell(store, SessionEvents("a").ended())
    await Projection(store, database).catch_up()
    before = contents(database)
    await late.apply(early, after=0)
    assert contents(database) == before


async def test_a_gap_is_read_from_the_store(database: Database, history: Any) -> None:
    store = MemoryEventStore()
    await history.tell(store, SessionEvents("a").started())
    projection = Projection(store, database)
    await projection.catch_up()
    for event in (SessionEvents("a").ended(), SessionEvents("a").matched()):
        await history.tell(store, event)
    last = [item async for item in store.read()][-1:]
    assert await projection.apply(last, after=2) == 1
    row = ReadModel(database).session("a")
    assert row is not None
    assert row.status == "TO_BE_BUILT"


async def test_the_position_waits_for_what_is_missing(database: Database, history: Any) -> None:
    store = await store_of(history)
    items = [item async for item in store.read()]
    projection = Projection(store, database)
    assert await projection.apply(items[3:6], after=3) == 0
    assert await projection.apply(items[:3], after=0) == 3


async def test_rows_and_position_are_written_together(
    database: Database, history: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await store_of(history)
    broken = "nexuslims_console.writing.move"

    def fail(*_: object) -> None:
        raise ReadModelError("the disk is full")

    monkeypatch.setattr(broken, fail)
    with pytest.raises(ReadModelError):
        await Projection(store, database).catch_up()
    assert ReadModel(database).sessions() == []
    assert str(ReadModel(database).position().positions) == "none"


async def test_it_follows_what_comes_and_survives_a_rebuild(
    database: Database, history: Any
) -> None:
    store = MemoryEventStore()
    await history.complete(store, "a")
    async with aclosing(Projection(store, database).follow()) as positions:
        assert (await anext(positions)).within(ALL) == 10
        await history.tell(store, SessionEvents("b").started())
        assert (await anext(positions)).within(ALL) == 11
        await rebuild(store, database)
        await history.tell(store, SessionEvents("b").ended())
        while (await anext(positions)).within(ALL) < 12:
            pass
    row = ReadModel(database).session("b")
    assert row is not None
    assert row.status == "TO_BE_BUILT"


async def test_it_makes_up_for_what_a_new_generation_lacks(
    database: Database, history: Any
) -> None:
    store = MemoryEventStore()
    await history.tell(store, SessionEvents("a").started())
    async with aclosing(Projection(store, database).follow()) as positions:
        assert (await anext(positions)).within(ALL) == 1
        generation = database.begin_generation()
        await Projection(store, database, generation).catch_up()
        await history.tell(store, SessionEvents("b").started())
        assert (await anext(positions)).within(ALL) == 2
        database.serve(generation)
        await history.tell(store, SessionEvents("c").started())
        while (await anext(positions)).within(ALL) < 3:
            pass
    assert [row.session for row in ReadModel(database).sessions()] == ["a", "b", "c"]


async def test_the_old_tables_serve_until_the_new_ones_are_whole(
    database: Database, history: Any
) -> None:
    store = await store_of(history)
    await Projection(store, database).catch_up()
    before = contents(database)
    generation = await asyncio.to_thread(database.begin_generation)
    new = Projection(store, database, generation)
    await new.apply([item async for item in store.read()][:3], after=0)
    assert contents(database) == before
    await new.catch_up()
    database.serve(generation)
    assert contents(database) == before


async def test_two_rebuilds_at_once_leave_a_whole_read_model(
    database: Database, history: Any
) -> None:
    store = await store_of(history)
    await Projection(store, database).catch_up()
    before = contents(database)
    for _ in range(5):  # each began to drop tables that the other wrote to about once in ten times
        await asyncio.gather(rebuild(store, database), rebuild(store, database))
        assert contents(database) == before


async def test_a_read_model_of_another_stream_is_rebuilt(database: Database, history: Any) -> None:
    await Projection(await store_of(history), database).catch_up()
    other = MemoryEventStore()
    await history.tell(other, SessionEvents("z").started())
    await (await open_read_model(other, database)).catch_up()
    assert [row.session for row in ReadModel(database).sessions()] == ["z"]


async def test_a_read_model_of_another_release_is_rebuilt(
    database: Database, history: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await store_of(history)
    newer = replace(database._layout, schema=99)
    monkeypatch.setattr(database, "_layout", newer)
    assert not database.is_current()
    await open_read_model(store, database)
    assert database.is_current()
    assert len(ReadModel(database).sessions()) == 3


def test_a_database_that_cannot_be_reached_is_named_without_its_password() -> None:
    database = Database("postgresql+psycopg://nexus:hunter2@127.0.0.1:1/nexus")
    with pytest.raises(ReadModelError, match="NX_DATABASE_URL") as caught:
        database.prepare()
    assert "hunter2" not in str(caught.value)
