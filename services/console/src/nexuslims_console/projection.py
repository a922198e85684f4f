"""Projecting the stream into the read model.

A row is always computed from a state that holds every event of its session up to the one at hand,
and is written only over a row that is not newer; the position only grows. So delivery may be
doubled or out of order, and two processes may project side by side: the rows come out the same.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from nexuslims_console.batches import in_batches
from nexuslims_console.queries import ReadModel
from nexuslims_console.views import EventRow, SessionRow, UnreadableRow, event_row, session_row
from nexuslims_contracts import subjects
from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.events import MetadataExtracted
from nexuslims_shared.session.state import INITIAL, SessionState, fold
from nexuslims_shared.store.port import EventStore, Unreadable

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

    from nexuslims_console.database import Database
    from nexuslims_console.tables import Tables

log = logging.getLogger(__name__)

Item: TypeAlias = Recorded | Unreadable

_BATCH: Final = 500
_REMEMBERED: Final = 256
_ASKED_AGAIN: Final = 100


@dataclass(frozen=True, slots=True)
class _Changes:
    """What one transaction writes."""

    sessions: list[SessionRow]
    events: list[EventRow]
    unreadable: list[UnreadableRow]


class Projection:
    """Keeps the read model up to date.

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
        self, store: EventStore, database: "Database", generation: int | None = None
    ) -> None:
        self._store = store
        self._database = database
        self._generation = generation
        self._states: OrderedDict[str, SessionState] = OrderedDict()
        self._seen = 0

    async def position(self) -> int:
        """Sequence up to which the read model holds everything."""
        return await asyncio.to_thread(self._read_position)

    async def apply(self, items: Sequence[Item], after: int | None = None) -> int:
        """Take a batch of what the stream holds into the read model, in one transaction.

        Parameters
        ----------
        items
            Stored messages, in any order, possibly seen before.
        after
            The batch is all that the stream holds after this sequence and up to the batch's last
            one; None if nothing is known about what is missing between.

        Returns
        -------
        int
            The position, moved on if the batch joins what the read model holds.
        """
        if not items:
            return await self.position()
        last = max(item.sequence for item in items)
        joins = after is not None and (after <= self._seen or not self._states)
        changes = _Changes(
            sessions=[session_row(state) for state in await self._fold(items, whole=joins)],
            events=[event_row(item) for item in items if isinstance(item, Recorded)],
            unreadable=[_unreadable_row(item) for item in items if isinstance(item, Unreadable)],
        )
        if joins:
            self._seen = max(self._seen, last)
        return await asyncio.to_thread(self._write, changes, after, last)

    async def catch_up(self) -> int:
        """Project what the stream holds now, and return the position."""
        position = await self.position()
        async with aclosing(in_batches(self._store.read(after=position), _BATCH)) as batches:
            async for items in batches:
                await self.apply(items, after=position)
                position = items[-1].sequence
        return await self.position()

    async def follow(self) -> AsyncGenerator[int, None]:
        """Project what is there and what comes, without end; gives the position now and then."""
        while True:
            position = await self.catch_up()
            yield position
            async with aclosing(in_batches(self._store.follow(after=position), _BATCH)) as batches:
                async for items in batches:
                    reached = await self.apply(items, after=position)
                    position = items[-1].sequence
                    yield reached
                    if reached < position:
                        break  # a rebuilt read model took over: go on from where it ends

    # --- states ---

    async def _fold(self, items: Iterable[Item], *, whole: bool) -> list[SessionState]:
        """Fold the sessions that items are about; ``whole`` if nothing is missing between."""
        recorded = sorted(
            (item for item in items if isinstance(item, Recorded)),
            key=lambda item: (item.event.session, item.sequence),
        )
        states: list[SessionState] = []
        for session, events in groupby(recorded, key=lambda item: item.event.session):
            known = self._states.get(session)
            if known is None or not whole:
                known = await self._read_state(session, known or INITIAL)
            state = fold(map(_slim, events), known)
            states.append(state)
            self._remember(session, state)
        return states

    async def _read_state(self, session: str, state: SessionState) -> SessionState:
        """Complete a state from the store; what cannot be read is shown apart from it."""
        stored = self._store.read(filters=(subjects.of_session(session),), after=state.through)
        async with aclosing(stored) as items:
            async for item in items:
                if isinstance(item, Recorded):
                    state = fold([_slim(item)], state)
        return state

    def _remember(self, session: str, state: SessionState) -> None:
        self._states[session] = state
        self._states.move_to_end(session)
        while len(self._states) > _REMEMBERED:
            self._states.popitem(last=False)

    # --- SQL, in threads ---

    def _read_position(self) -> int:
        with self._database.writing(self._generation) as (connection, tables):
            return _position(connection, tables)

    def _write(self, changes: _Changes, after: int | None, last: int) -> int:
        with self._database.writing(self._generation) as (connection, tables):
            _put_sessions(connection, tables, changes.sessions)
            _put_once(connection, tables.events, [asdict(row) for row in changes.events])
            _put_once(connection, tables.unreadable, [asdict(row) for row in changes.unreadable])
            position = _position(connection, tables)
            if after is None or after > position or last <= position:
                return position
            _move(connection, tables, last)
            return last


def _put_sessions(connection: "Connection", tables: "Tables", rows: Sequence[SessionRow]) -> None:
    """Write rows, each over one that is not newer."""
    if not rows:
        return
    table = tables.sessions
    statement: Any = _insert(connection, table)
    new = statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=[table.c.session],
        set_={name: new[name] for name in table.c.keys() if name != "session"},  # noqa: SIM118 - not a dict
        where=table.c.through <= new.through,
    )
    connection.execute(statement, [asdict(row) for row in rows])


def _put_once(connection: "Connection", table: "Table", rows: Sequence[dict[str, Any]]) -> None:
    """Write rows that never change."""
    if rows:
        connection.execute(_insert(connection, table).on_conflict_do_nothing(), rows)


def _insert(connection: "Connection", table: "Table") -> Any:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)


def _position(connection: "Connection", tables: "Tables") -> int:
    return int(connection.scalar(select(tables.position.c.sequence).with_for_update()) or 0)


def _move(connection: "Connection", tables: "Tables", sequence: int) -> None:
    connection.execute(update(tables.position).values(sequence=sequence, read_at=datetime.now(UTC)))


def _unreadable_row(item: Unreadable) -> UnreadableRow:
    return UnreadableRow(item.sequence, session_of(item.subject), item.subject, item.reason)


def session_of(subject: str) -> str:
    """Session that a subject of the stream is about."""
    return subject.removeprefix(f"{subjects.PREFIX}.").partition(".")[0]


def _slim(recorded: Recorded) -> Recorded:
    """Leave out what no row shows: the datasets of fifty thousand files need not be remembered."""
    event = recorded.event
    if not isinstance(event, MetadataExtracted):
        return recorded
    light = event.model_copy(update={"datasets": ()})
    return replace(recorded, envelope=replace(recorded.envelope, event=light))


async def open_read_model(store: EventStore, database: "Database") -> Projection:
    """Make the read model ready: there, as this release makes it, and of this stream."""
    await asyncio.to_thread(database.prepare)
    projection = Projection(store, database)
    if not await asyncio.to_thread(database.is_current):
        log.warning("another release made the read model: it is rebuilt")
        await rebuild(store, database)
    elif await store.last_sequence() < await projection.position():
        log.warning("the read model is ahead of the stream, so of another one: it is rebuilt")
        await rebuild(store, database)
    elif await _reads_more_now(store, database):
        log.warning("this release reads events that another could not: the read model is rebuilt")
        await rebuild(store, database)
    return projection


async def _reads_more_now(store: EventStore, database: "Database") -> bool:
    """Tell whether an event that the read model had to leave out can be read by this release."""
    rows = await asyncio.to_thread(ReadModel(database).unreadable)
    for row in rows[:_ASKED_AGAIN]:
        if isinstance(await store.get(row.sequence), Recorded):
            return True
    return False


async def rebuild(store: EventStore, database: "Database") -> int:
    """Make the read model anew from the stream, while the old one serves; return its position."""
    generation = await asyncio.to_thread(database.begin_generation)
    await Projection(store, database, generation).catch_up()
    await asyncio.to_thread(database.serve, generation)
    return await Projection(store, database).catch_up()
