"""Projecting records and their datasets into the archive's tables.

What the archive holds of a session is computed from the session's whole state whenever a record was
built or may have to go, and replaces what it held. So events may be seen twice, and a rebuilt
archive is the same as one that was kept up to date.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final, TypeAlias

from nexuslims_console.archive.rows import DatasetRow, RecordRow, archived
from nexuslims_console.archive.tables import ArchiveDatabase
from nexuslims_console.archive.writing import note_events, put_session
from nexuslims_console.projection import is_of_another_log
from nexuslims_console.writing import move, read_positions
from nexuslims_console.writing import positions as positions_of
from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.events import (
    ConsentDeclined,
    Event,
    RebuildRequested,
    RecordBuilt,
    RecordUploaded,
    ReservationMissing,
    SessionCancelled,
    UploadFailed,
    WithdrawalRequested,
)
from nexuslims_contracts.periods import Period
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.store.port import EventStore, Item
from nexuslims_shared.store.positions import Positions

log = logging.getLogger(__name__)

_DECIDING: Final[tuple[type[Event], ...]] = (
    RecordBuilt,
    ConsentDeclined,
    ReservationMissing,
    SessionCancelled,
    WithdrawalRequested,
)
"""What changes which record of a session may be read. What allows one again leads to a new one."""

_NOTED: Final[tuple[type[Event], ...]] = (RecordUploaded, UploadFailed, RebuildRequested)

FILTERS: Final = tuple(event.filter() for event in (*_DECIDING, *_NOTED))

Contents: TypeAlias = dict[str, tuple[RecordRow, list[DatasetRow]] | None]

_AT_ONCE: Final = 100
"""Events of one transaction while catching up."""


class ArchiveProjection:
    """Keeps the archive up to date.

    Parameters
    ----------
    store
        Where the events are.
    database
        Where the rows go.
    generation
        The generation to fill; the one that serves by default.
    """

    def __init__(
        self, store: EventStore, database: ArchiveDatabase, generation: int | None = None
    ) -> None:
        self._store = store
        self._database = database
        self._generation = generation
        self._sessions = SessionRepository(store, datasets=True, skip_unreadable=True, capacity=1)

    async def positions(self) -> Positions:
        """How far the archive holds everything."""
        return await asyncio.to_thread(self._positions)

    async def catch_up(self) -> Positions:
        """Project what the log holds now, and return the positions."""
        positions = await self.positions()
        held = await self._store.positions()
        if positions.reach(held):
            return positions
        batch: list[Item] = []
        stored = self._store.read(filters=FILTERS, after=positions, datasets=False)
        async with aclosing(stored) as items:
            async for item in items:
                if batch and (len(batch) >= _AT_ONCE or not _same_period(batch[0], item)):
                    await self.apply(batch)
                    batch = []
                batch.append(item)
        await self.apply(batch)
        await asyncio.to_thread(self._reach, held)
        return await self.positions()

    async def follow(self) -> AsyncGenerator[Positions, None]:
        """Project what is there and what comes, without end; gives the positions now and then."""
        positions = await self.catch_up()
        yield positions
        batches = self._store.read_batches(after=positions, live=True, datasets=False)
        async with aclosing(batches):
            async for items in batches:
                positions = positions.including(items[-1].sequence)
                if relevant := [item for item in items if _is_relevant(item)]:
                    await self.apply(relevant)
                    yield positions

    async def apply(self, items: Sequence[Item]) -> None:
        """Take events in, in one transaction.

        Parameters
        ----------
        items
            Of one period, in the order of the log.
        """
        if not items:
            return
        events = [item for item in items if isinstance(item, Recorded)]
        last = {
            item.event.session: item.sequence
            for item in events
            if isinstance(item.event, _DECIDING)
        }
        contents: Contents = {}
        for session, sequence in last.items():
            contents[session] = archived(await self._sessions.open(session, through=sequence))
        await asyncio.to_thread(self._write, contents, events, items[-1].sequence)

    def _positions(self) -> Positions:
        with self._database.writing(self._generation) as (connection, tables):
            return read_positions(connection, tables)

    def _reach(self, ends: Positions) -> None:
        """State that everything that mattered was taken in up to some positions."""
        with self._database.writing(self._generation) as (connection, tables):
            reached = positions_of(connection, tables)
            for end in ends.ends.values():
                if not reached.hold(end):
                    move(connection, tables, end)

    def _write(self, contents: Contents, events: Sequence[Recorded], last: int) -> None:
        with self._database.writing(self._generation) as (connection, tables):
            reached = positions_of(connection, tables)  # first: it keeps other writers waiting
            for session, content in contents.items():
                put_session(connection, tables, session, content)
            note_events(
                connection, tables, [one for one in events if not reached.hold(one.sequence)]
            )
            if not reached.hold(last):
                move(connection, tables, last)


def _is_relevant(item: Item) -> bool:
    return isinstance(item, Recorded) and isinstance(item.event, (*_DECIDING, *_NOTED))


def _same_period(one: Item, other: Item) -> bool:
    return Period.of(one.sequence) == Period.of(other.sequence)


async def open_archive(store: EventStore, database: ArchiveDatabase) -> ArchiveProjection:
    """Make the archive's tables ready: there, as this release makes them, and of this stream.

    Parameters
    ----------
    store
        Where the events are.
    database
        Where the rows go.
    """
    await asyncio.to_thread(database.prepare)
    projection = ArchiveProjection(store, database)
    if not await asyncio.to_thread(database.is_current):
        log.warning("another release made the archive's tables: they are rebuilt")
        await rebuild_archive(store, database)
    elif await is_of_another_log(store, database):
        log.warning("the broker has another log than before: the archive's tables are rebuilt")
        await rebuild_archive(store, database)
    elif (await projection.positions()).beyond(await store.positions()):
        log.warning("the archive's tables are ahead of the log, so of another one: rebuilt")
        await rebuild_archive(store, database)
    return projection


async def rebuild_archive(store: EventStore, database: ArchiveDatabase) -> Positions:
    """Make the archive's tables anew, while the old ones serve; return their positions.

    Parameters
    ----------
    store
        Where the events are.
    database
        Where the rows go.
    """
    generation = await asyncio.to_thread(database.begin_generation)
    await asyncio.to_thread(database.keep_log, await store.identity(), generation)
    await ArchiveProjection(store, database, generation).catch_up()
    await asyncio.to_thread(database.serve, generation)
    return await ArchiveProjection(store, database).catch_up()
