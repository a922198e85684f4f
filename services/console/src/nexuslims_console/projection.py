"""Projecting the stream into the read model.

A row is always computed from a state that holds every event of its session up to the one at hand,
and is written only over a row that is not newer; the position only grows. So delivery may be
doubled or out of order, and two processes may project side by side: the rows come out the same.
"""

import asyncio
import gc
import logging
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any, Final

from nexuslims_console.queries import ReadModel
from nexuslims_console.views import UnreadableRow, event_row, session_row
from nexuslims_console.writing import Changes, absent_sessions, position, positions, write
from nexuslims_contracts import subjects
from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.periods import Period
from nexuslims_shared.errors import PeriodAwayError
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.session.state import SessionState
from nexuslims_shared.store.port import EventStore, Item, Unreadable
from nexuslims_shared.store.positions import START, Positions

if TYPE_CHECKING:
    from nexuslims_console.database import Database, ProjectionDatabase

log = logging.getLogger(__name__)

_REMEMBERED: Final = 20_000
"""Files and sessions; some 2 KB each."""
_ASKED_AGAIN: Final = 100
_AT_ONCE: Final = 4_000
"""Events of one transaction while catching up, or a few more; some 1 KB each, without datasets."""


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
        self._sessions = SessionRepository(store, skip_unreadable=True, capacity=_REMEMBERED)
        self._seen = START
        """All remembered states hold what is stored up to these positions."""

    async def positions(self) -> Positions:
        """How far the read model holds everything."""
        return await asyncio.to_thread(self._read_positions)

    async def apply(self, items: Sequence[Item], after: int | None = None) -> int:
        """Take a batch of what the stream holds into the read model, in one transaction.

        Parameters
        ----------
        items
            Stored messages of one period, at least one, in any order, possibly seen before.
        after
            The batch is all that the period holds after this sequence and up to the batch's last
            one; None if nothing is known about what is missing between.

        Returns
        -------
        int
            The position in the period, moved on if the batch joins what the read model holds.
        """
        last = max(item.sequence for item in items)
        events = [item for item in items if isinstance(item, Recorded)]
        changes = Changes(
            sessions=[session_row(state) for state in await self._states(events, after, last)],
            events=list(map(event_row, events)),
            unreadable=[_unreadable_row(item) for item in items if isinstance(item, Unreadable)],
            mentions={
                (person, item.event.session) for item in events for person in item.event.people()
            },
        )
        return await asyncio.to_thread(self._write, changes, after, last)

    async def catch_up(self) -> Positions:
        """Project what the log holds now, and return the positions."""
        positions = await self.positions()
        batches = self._store.read_batches(after=positions, datasets=False)
        with _few_collections():
            async with aclosing(_joined(batches)) as joined:
                async for items in joined:
                    last = items[-1].sequence
                    await self.apply(items, after=positions.within(Period.of(last)))
                    positions = positions.including(last)
        return await self.positions()

    async def follow(self) -> AsyncGenerator[Positions, None]:
        """Project what is there and what comes, without end; gives the positions now and then."""
        while True:
            positions = await self.catch_up()
            yield positions
            batches = self._store.read_batches(after=positions, live=True, datasets=False)
            async with aclosing(batches):
                async for items in batches:
                    last = items[-1].sequence
                    if await self.apply(items, after=positions.within(Period.of(last))) < last:
                        break  # a rebuilt read model took over: go on from where it ends
                    positions = positions.including(last)
                    yield positions

    async def _states(
        self, events: Iterable[Recorded], after: int | None, last: int
    ) -> list[SessionState]:
        """Return the states of the sessions of a batch, with at least the batch's events."""
        by_session: defaultdict[str, list[Recorded]] = defaultdict(list)
        for recorded in events:
            by_session[recorded.event.session].append(recorded)
        joins = after is not None and self._seen.hold(after)
        unknown = [name for name in by_session if not self._sessions.remembers(name)]
        new = await asyncio.to_thread(self._absent, unknown, after) if unknown else frozenset()
        states = []
        for session, own in by_session.items():
            if session in new or (joins and self._sessions.remembers(session)):
                states.append(self._sessions.advance(session, own))
            else:
                through = max(recorded.sequence for recorded in own)
                states.append(await self._sessions.open(session, through=through))
        if joins:
            self._seen = self._seen.including(last)
        return states

    # --- SQL, in threads ---

    def _read_positions(self) -> Positions:
        with self._database.writing(self._generation) as (connection, tables):
            return positions(connection, tables)

    def _absent(self, sessions: Sequence[str], after: int | None) -> frozenset[str]:
        """Name the sessions that their period holds no event of up to a sequence.

        The read model has a row of each session up to its own position in the period.
        """
        if after is None:
            return frozenset()
        with self._database.writing(self._generation) as (connection, tables):
            if position(connection, tables, Period.of(after)) < after:
                return frozenset()
            return absent_sessions(connection, tables, sessions)

    def _write(self, changes: Changes, after: int | None, last: int) -> int:
        with self._database.writing(self._generation) as (connection, tables):
            return write(connection, tables, changes, after=after, last=last)


async def _joined(batches: AsyncGenerator[list[Item], None]) -> AsyncGenerator[list[Item], None]:
    """Make fewer and longer batches, each of one period.

    The events of a session come in several batches, as those of others come between; its row is
    written once for each.
    """
    held: list[Item] = []
    async with aclosing(batches):
        async for items in batches:
            if held and (
                len(held) >= _AT_ONCE or Period.of(held[0].sequence) != Period.of(items[0].sequence)
            ):
                yield held
                held = []
            held += items
    if held:
        yield held


@contextmanager
def _few_collections() -> Iterator[None]:
    """Have Python look for reference cycles less often: decoded events have none.

    Looking takes a quarter of the time of projecting a long log (measured 2026-11).
    """
    thresholds = gc.get_threshold()
    gc.set_threshold(1_000_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


def _unreadable_row(item: Unreadable) -> UnreadableRow:
    session = subjects.session_of(item.subject)
    return UnreadableRow(item.sequence, session, item.subject, item.reason)


async def open_read_model(store: EventStore, database: "Database") -> Projection:
    """Make the read model ready: there, as this release makes it, and of this stream."""
    await asyncio.to_thread(database.prepare)
    projection = Projection(store, database)
    if not await asyncio.to_thread(database.is_current):
        log.warning("another release made the read model: it is rebuilt")
        await rebuild(store, database)
    elif await is_of_another_log(store, database):
        log.warning("the broker has another log than before: the read model is rebuilt")
        await rebuild(store, database)
    elif (await projection.positions()).beyond(await store.positions()):
        log.warning("the read model is ahead of the log, so of another one: it is rebuilt")
        await rebuild(store, database)
    elif await _reads_more_now(store, database):
        log.warning("this release reads events that another could not: the read model is rebuilt")
        await rebuild(store, database)
    return projection


async def is_of_another_log(store: EventStore, database: "ProjectionDatabase[Any]") -> bool:
    """Tell whether a projection is of another log; one that does not know is of this one.

    Parameters
    ----------
    store
        The log.
    database
        The projection's.
    """
    identity, kept = await store.identity(), await asyncio.to_thread(database.log)
    if identity and not kept:
        await asyncio.to_thread(database.keep_log, identity)
    return bool(kept) and kept != identity


async def _reads_more_now(store: EventStore, database: "Database") -> bool:
    """Tell whether an event that the read model had to leave out can be read by this release."""
    rows = await asyncio.to_thread(ReadModel(database).unreadable)
    for row in rows[:_ASKED_AGAIN]:
        try:
            if isinstance(await store.get(row.sequence), Recorded):
                return True
        except PeriodAwayError:
            continue
    return False


async def rebuild(store: EventStore, database: "Database") -> Positions:
    """Make the read model anew from the log, while the old one serves; return its positions."""
    generation = await asyncio.to_thread(database.begin_generation)
    await asyncio.to_thread(database.keep_log, await store.identity(), generation)
    await Projection(store, database, generation).catch_up()
    await asyncio.to_thread(database.serve, generation)
    return await Projection(store, database).catch_up()
