"""The archive holds the current record of each session that may be read, and nothing else."""

from collections.abc import Callable
from typing import Any

import pytest
from services.console.tests.conftest import SessionHistory
from sqlalchemy import select

from nexuslims_console.archive.projection import ArchiveProjection, open_archive, rebuild_archive
from nexuslims_console.archive.question import read_question
from nexuslims_console.archive.search import Archive
from nexuslims_console.archive.tables import ArchiveDatabase
from nexuslims_console.database import Database
from nexuslims_console.projection import Projection
from nexuslims_console.rebuilds import recent_rebuilds
from nexuslims_contracts.datasets import Dataset
from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.events import RebuildRequested
from nexuslims_contracts.testing import START, SessionEvents
from nexuslims_shared.store.memory import MemoryEventStore
from nexuslims_shared.store.port import Unreadable


def dataset(index: int = 0, **metadata: Any) -> Dataset:
    return Dataset(
        index=index,
        name=f"signal {index}",
        dataset_type="Image",
        data_type="STEM_Imaging",
        creation_time=START,
        shape=(512, 512),
        metadata=metadata,
    )


KV = {"value": 300.0, "unit": "kV"}


@pytest.fixture
def archive_database(empty_database: Callable[[], str]) -> ArchiveDatabase:
    return ArchiveDatabase(empty_database())


async def build(store: MemoryEventStore, history: SessionHistory, session: str) -> None:
    """State a session of which a record is built: one file with two signals of one moment."""
    made = SessionEvents(session)
    datasets = (dataset(0, acceleration_voltage=KV, operator="ned"), dataset(1, spot_size=3))
    for event in (
        made.started(),
        made.matched(title="Gold on carbon"),
        made.ended(),
        made.indexed(1),
        made.manifest(1),
        made.extracted(1, datasets=datasets),
    ):
        await history.tell(store, event)
    await history.tell(store, history.built(session, await store.last_sequence()))


def content(database: ArchiveDatabase) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of the serving generation, but for positions."""
    found = {}
    with database.reading() as (connection, tables):
        for name in ("records", "datasets", "quantities", "destinations", "rebuilds"):
            rows = connection.execute(select(getattr(tables, name)))
            found[name] = sorted(tuple(row) for row in rows)
    return found


def names(database: ArchiveDatabase, question: str) -> list[str]:
    return sorted(hit.name for hit in Archive(database).search(read_question(question)).hits)


async def test_a_record_is_there_as_long_as_it_may_be_read(
    archive_database: ArchiveDatabase, history: SessionHistory
) -> None:
    store = MemoryEventStore()
    projection = await open_archive(store, archive_database)
    await build(store, history, "a")
    await projection.catch_up()
    assert names(archive_database, "gold 300 kV") == ["f1 (1 of 2)"]
    assert names(archive_database, "spot size 3") == ["f1 (2 of 2)"]
    assert names(archive_database, "ned") == []

    declined = SessionEvents("a").declined(after=await store.last_sequence())
    await history.tell(store, declined)
    await projection.catch_up()
    assert names(archive_database, "") == []
    assert Archive(archive_database).record("a") is None


async def test_rebuilt_equals_kept_up_to_date_whatever_was_seen_twice(
    archive_database: ArchiveDatabase, history: SessionHistory
) -> None:
    store = MemoryEventStore()
    projection = await open_archive(store, archive_database)
    for session in ("a", "b", "a"):
        await build(store, history, session)
        await history.tell(store, history.uploaded(session))
        failed = SessionEvents(session).upload_failed(reason="away", permanent=False)
        await history.tell(store, failed)
        await projection.catch_up()
    seen = [item async for item in store.read()]
    await projection.apply([item for item in seen if not isinstance(item, Unreadable)])
    kept = content(archive_database)
    assert len(kept["datasets"]) == 4
    await rebuild_archive(store, archive_database)
    assert content(archive_database) == kept


async def test_two_facilities_streams_are_told_apart(
    archive_database: ArchiveDatabase, history: SessionHistory
) -> None:
    store = MemoryEventStore()
    await build(store, history, "a")
    await (await open_archive(store, archive_database)).catch_up()
    assert names(archive_database, "") != []
    await (await open_archive(MemoryEventStore(), archive_database)).catch_up()
    assert names(archive_database, "") == []


async def test_destinations_fail_since_the_first_failure_in_a_row(
    archive_database: ArchiveDatabase, history: SessionHistory
) -> None:
    store = MemoryEventStore()
    projection = await open_archive(store, archive_database)
    made = SessionEvents("a")
    for number in (1, 2):
        event = made.upload_failed(reason=f"away {number}", permanent=False, after=number)
        await history.tell(store, event)
    await projection.catch_up()
    (row,) = Archive(archive_database).destinations()
    assert (row["failures"], row["reason"], row["failing_since"]) == (2, "away 2", START)
    await history.tell(store, history.uploaded("a"))
    await projection.catch_up()
    (row,) = Archive(archive_database).destinations()
    assert (row["failures"], row["failing_since"], row["taken_at"]) == (0, None, START)


async def test_rebuilds_are_counted_as_their_records_come(
    empty_database: Callable[[], str], history: SessionHistory
) -> None:
    url = empty_database()
    store, sessions = MemoryEventStore(), Database(url)
    sessions.prepare()
    archive = await open_archive(store, ArchiveDatabase(url))
    for session in ("a", "b"):
        await build(store, history, session)
        request = RebuildRequested(session=session, request="r")
        await store.append(envelop(request, source="nexuslims/test"))
    await history.tell(store, history.built("a", await store.last_sequence()))
    await archive.catch_up()
    await Projection(store, sessions).catch_up()
    (rebuild,) = recent_rebuilds(ArchiveDatabase(url), sessions)
    assert (rebuild.sessions, rebuild.done, rebuild.re_extract) == (2, 1, False)


async def test_the_projection_fills_a_generation_of_its_own(
    archive_database: ArchiveDatabase, history: SessionHistory
) -> None:
    store = MemoryEventStore()
    await build(store, history, "a")
    await (await open_archive(store, archive_database)).catch_up()
    generation = archive_database.begin_generation()
    await ArchiveProjection(store, archive_database, generation).catch_up()
    assert len(content(archive_database)["datasets"]) == 2
    archive_database.serve(generation)
    assert len(content(archive_database)["datasets"]) == 2
