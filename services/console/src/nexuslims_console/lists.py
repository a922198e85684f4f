"""Lists of sessions for the console: pages of a sorted, filtered table, and counts."""

import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from nexuslims_console.queries import conditions_of, session_of
from nexuslims_console.views import EventRow, SessionRow
from nexuslims_shared.session.window import ALWAYS, Window

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Table

    from nexuslims_console.database import Database

SORTED_BY: Final = ("start", "session", "status", "instrument", "files", "failures")
"""Columns that a list can be sorted by."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which sessions: all by default.

    Parameters
    ----------
    text
        In the name, title or instrument.
    status, instrument
        Only this status; only the instrument with this pid.
    trouble
        Only those that need somebody's attention, or have files that could not be read.
    people
        Only those in which one of these people is named, by id; None for all.
    window
        Only those that overlap this period.
    """

    text: str = ""
    status: str = ""
    instrument: str = ""
    trouble: bool = False
    people: Collection[str] | None = None
    window: Window = ALWAYS


@dataclass(frozen=True, slots=True)
class InstrumentCount:
    """An instrument, as sessions name it."""

    pid: str
    name: str
    sessions: int
    last_start: datetime | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A session that waits for a service, and since when the work is due."""

    session: SessionRow
    since: datetime


class SessionLists:
    """Lists of sessions; every method blocks.

    Parameters
    ----------
    database
        The read model's.
    """

    def __init__(self, database: "Database") -> None:
        self._database = database
        self._instruments: tuple[float, list[InstrumentCount]] = (0.0, [])

    def page(
        self,
        chosen: Filter,
        *,
        sort: str,
        descending: bool,
        page: int,
        size: int,
        total: int | None = None,
    ) -> list[SessionRow]:
        """Return a page of sessions.

        Parameters
        ----------
        chosen
            Which sessions.
        sort, descending
            One of :data:`SORTED_BY`, and in which direction.
        page, size
            Which page, from 1, of how many sessions.
        total
            How many sessions are chosen, if that is known: late pages are then read from the end,
            as databases go through all that they leave out.
        """
        skipped = (page - 1) * size
        from_end = total is not None and skipped > total // 2
        if from_end and total is not None:
            size = max(min(size, total - skipped), 0)
            skipped = total - skipped - size
        with self._database.reading() as (connection, tables):
            table = tables.sessions
            query = select(table).where(*_conditions(table, tables.mentions, chosen))
            ties = ("start", "session") if sort == "status" else ("session",)  # by the indexes
            for name in dict.fromkeys((sort, *ties)):
                column = table.c[name]
                down = descending is not from_end
                query = query.order_by(
                    column.desc().nulls_last() if down else column.asc().nulls_first()
                )
            rows = connection.execute(query.limit(size).offset(skipped)).all()
        found = [session_of(row) for row in rows]
        return found[::-1] if from_end else found

    def count(self, chosen: Filter) -> int:
        """Return how many sessions there are."""
        with self._database.reading() as (connection, tables):
            conditions = _conditions(tables.sessions, tables.mentions, chosen)
            query = select(func.count()).select_from(tables.sessions).where(*conditions)
            return int(connection.scalar(query) or 0)

    def by_status(self) -> dict[str, int]:
        """Return how many sessions are in each status."""
        with self._database.reading() as (connection, tables):
            status = tables.sessions.c.status
            query = select(status, func.count()).group_by(status)
            return {row[0]: row[1] for row in connection.execute(query)}

    def instruments(self) -> list[InstrumentCount]:
        """Return the instruments that sessions name, by name, as of the last half minute."""
        made, known = self._instruments
        if not made or time.monotonic() - made > _KEPT_S:
            known = self._read_instruments()
            self._instruments = (time.monotonic(), known)
        return known

    def _read_instruments(self) -> list[InstrumentCount]:
        with self._database.reading() as (connection, tables):
            columns, newest = tables.sessions.c, tables.sessions.alias()
            name = select(newest.c.instrument).where(
                newest.c.instrument_pid == columns.instrument_pid
            )
            query = (
                select(
                    columns.instrument_pid,
                    name.order_by(newest.c.start.desc().nulls_last()).limit(1).scalar_subquery(),
                    func.count(),
                    func.max(columns.start),
                )
                .where(columns.instrument_pid != "")
                .group_by(columns.instrument_pid)
            )
            rows = connection.execute(query).all()
        found = [InstrumentCount(*row) for row in rows]
        return sorted(found, key=lambda one: one.name.casefold())

    def last_session(self, instrument: str) -> SessionRow | None:
        """Return the session at an instrument that began last."""
        rows = self.page(
            Filter(instrument=instrument), sort="start", descending=True, page=1, size=1
        )
        return rows[0] if rows else None

    def waiting(self, now: datetime, limit: int) -> list[Waiting]:
        """Return the sessions that have waited longest for work that is due.

        Parameters
        ----------
        now
            The time; what becomes due later is left out.
        limit
            How many at most.
        """
        with self._database.reading() as (connection, tables):
            table = tables.sessions
            query = select(table).where(table.c.due_at <= now)
            rows = connection.execute(query.order_by(table.c.due_at).limit(limit)).all()
        return [Waiting(session_of(row), row.due_at) for row in rows]

    def people(self, sessions: Sequence[str]) -> Mapping[str, list[str]]:
        """Return the ids of the people that events of sessions name, by session."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        with self._database.reading() as (connection, tables):
            table = tables.mentions
            query = select(table).where(table.c.session.in_(sessions)).order_by(table.c.person)
            for row in connection.execute(query):
                found[row.session].append(row.person)
        return found

    def events(self, session: str, *, files: bool, limit: int, page: int = 1) -> list[EventRow]:
        """Return events of a session, in order.

        Parameters
        ----------
        session
            Its token.
        files
            Also those about single files.
        limit, page
            How many at most, and which page of so many, from 1.
        """
        with self._database.reading() as (connection, tables):
            table = tables.events
            query = select(table).where(table.c.session == session).order_by(table.c.sequence)
            if not files:
                query = query.where(table.c.type.not_in(FILE_EVENTS))
            query = query.limit(limit).offset((page - 1) * limit)
            rows: list[Any] = list(connection.execute(query).mappings())
        return [EventRow(**{**row, "time": datetime.fromisoformat(row["time"])}) for row in rows]

    def unreadable_files(self, session: str, limit: int) -> list[tuple[str, str]]:
        """Return files of a session that could not be read, each with what it said.

        Parameters
        ----------
        session
            Its token.
        limit
            How many at most.
        """
        with self._database.reading() as (connection, tables):
            failed, found = tables.events.alias(), tables.events.alias()
            query = (
                select(found.c.summary, failed.c.summary)
                .outerjoin(found, (found.c.id == failed.c.causation) & (found.c.session == session))
                .where(failed.c.session == session, failed.c.type == "extraction.failed")
                .order_by(failed.c.sequence)
                .limit(limit)
            )
            rows = connection.execute(query).all()
        return [((where or "").rpartition(", ")[0] or "a file", why) for where, why in rows]

    def events_before(self, session: str, sequence: int) -> int:
        """Return how many events of a session were stored before one of them.

        Parameters
        ----------
        session
            Its token.
        sequence
            Of the event.
        """
        with self._database.reading() as (connection, tables):
            table = tables.events
            query = select(func.count()).select_from(table).where(table.c.session == session)
            return int(connection.scalar(query.where(table.c.sequence < min(sequence, _END))) or 0)

    def count_events(self, session: str) -> int:
        """Return how many events a session has."""
        with self._database.reading() as (connection, tables):
            table = tables.events
            query = select(func.count()).select_from(table).where(table.c.session == session)
            return int(connection.scalar(query) or 0)


_END: Final = 2**63 - 1
_KEPT_S: Final = 30.0
FILE_EVENTS: Final = (
    "file.indexed",
    "file.superseded",
    "file.missing",
    "metadata.extracted",
    "extraction.failed",
)
"""Types of events about single files."""


def _conditions(table: "Table", mentions: "Table", chosen: Filter) -> list["ColumnElement[bool]"]:
    found = conditions_of(table, chosen.status, chosen.instrument, chosen.window)
    if chosen.text:
        found.append(table.c.search.contains(chosen.text.casefold(), autoescape=True))
    if chosen.trouble:
        found.append(table.c.troubled.is_(True))
    if chosen.people is not None:
        named = select(mentions.c.session).where(mentions.c.person.in_(chosen.people))
        found.append(table.c.session.in_(named))
    return found
