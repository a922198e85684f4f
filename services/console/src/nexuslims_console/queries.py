"""Reading the read model."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, or_, select

from nexuslims_console.views import EventRow, SessionRow, UnreadableRow, UploadRow
from nexuslims_console.writing import read_positions
from nexuslims_shared.session.status import Status
from nexuslims_shared.session.window import ALWAYS, Window
from nexuslims_shared.store.positions import Positions

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Row, Table

    from nexuslims_console.database import Database


_COMPARED_AT_ONCE: Final = 500
_COLUMNS: Final = tuple(one.name for one in fields(SessionRow) if one.name != "uploads")


@dataclass(frozen=True, slots=True)
class Position:
    """How far the read model is, and since when; at first, since it was made."""

    positions: Positions
    read_at: datetime


@dataclass(frozen=True, slots=True)
class DueWork:
    """What one service has to do and has not done.

    Parameters
    ----------
    service
        Its name.
    sessions
        In how many sessions.
    since
        For how long, of the one that waits longest: when its last event happened, or when the work
        became due, whichever is later.
    """

    service: str
    sessions: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Summary:
    """The sessions as a whole.

    Parameters
    ----------
    statuses
        How many there are in each status.
    oldest_unsettled
        When the session ended that waits longest for its record; None if none waits.
    due_files
        Files that are found and not read yet.
    stale_records
        Records that lack something that came after them.
    """

    statuses: Mapping[str, int]
    oldest_unsettled: datetime | None
    due_files: int
    stale_records: int


class ReadModel:
    """What is known of sessions; every method blocks."""

    def __init__(self, database: "Database") -> None:
        self._database = database

    def sessions(
        self,
        *,
        status: str = "",
        instrument: str = "",
        window: Window = ALWAYS,
        only: Collection[str] | None = None,
        limit: int | None = None,
        page: int = 1,
    ) -> list[SessionRow]:
        """Return sessions in the order of their start.

        Parameters
        ----------
        status
            Only those in this status, if given.
        instrument
            Only those at the instrument with this pid, if given.
        window
            Only those that overlap this period.
        only
            Only these, if given.
        limit
            How many at most, the newest; all by default.
        page
            With a limit: 1 for the newest, 2 for those before, and so on.
        """
        with self._database.reading() as (connection, tables):
            table = tables.sessions
            query = select(table).where(*conditions_of(table, status, instrument, window))
            query = query.order_by(table.c.start.desc().nulls_last(), table.c.session.desc())
            if limit is not None:
                query = query.limit(limit).offset((page - 1) * limit)
            if only is None:
                rows = list(connection.execute(query))
            else:
                rows = [
                    row
                    for some in _chunks(sorted(only))
                    for row in connection.execute(query.where(table.c.session.in_(some)))
                ]
        return sorted(map(session_of, rows), key=_by_start)

    def count(self, *, status: str = "", instrument: str = "", window: Window = ALWAYS) -> int:
        """Return how many sessions there are; parameters as for :meth:`sessions`.

        Parameters
        ----------
        status, instrument, window
            As there.
        """
        with self._database.reading() as (connection, tables):
            table = tables.sessions
            conditions = conditions_of(table, status, instrument, window)
            query = select(func.count()).select_from(table).where(*conditions)
            return int(connection.scalar(query) or 0)

    def names(self, *, status: str = "", window: Window = ALWAYS) -> list[str]:
        """Return the names of sessions, in the order of their start.

        Parameters
        ----------
        status, window
            As for :meth:`sessions`.
        """
        with self._database.reading() as (connection, tables):
            table = tables.sessions
            query = select(table.c.session).where(*conditions_of(table, status, "", window))
            return list(connection.scalars(query.order_by(table.c.start, table.c.session)))

    def sessions_by_person(self, person: str = "") -> dict[str, list[str]]:
        """Return in which sessions events name people, by the ids of all of them, or of one."""
        with self._database.reading() as (connection, tables):
            table = tables.mentions
            query = select(table).order_by(table.c.person, table.c.session)
            if person:
                query = query.where(table.c.person == person)
            found: defaultdict[str, list[str]] = defaultdict(list)
            for row in connection.execute(query):
                found[row.person].append(row.session)
        return found

    def session(self, session: str) -> SessionRow | None:
        """One session."""
        with self._database.reading() as (connection, tables):
            query = select(tables.sessions).where(tables.sessions.c.session == session)
            row = connection.execute(query).one_or_none()
        return session_of(row) if row is not None else None

    def history(self, session: str) -> list[EventRow]:
        """A session's events, in order."""
        with self._database.reading() as (connection, tables):
            table = tables.events
            query = select(table).where(table.c.session == session).order_by(table.c.sequence)
            return [_event(row) for row in connection.execute(query)]

    def unreadable(self, session: str = "") -> list[UnreadableRow]:
        """Messages that this release cannot read, of one session or of all."""
        with self._database.reading() as (connection, tables):
            table = tables.unreadable
            query = select(table).order_by(table.c.sequence)
            if session:
                query = query.where(table.c.session == session)
            return [UnreadableRow(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name

    def count_unreadable(self) -> int:
        """Return how many messages this release cannot read."""
        with self._database.reading() as (connection, tables):
            return int(connection.scalar(select(func.count()).select_from(tables.unreadable)) or 0)

    def due_work(self, now: datetime) -> list[DueWork]:
        """Return what the services have to do now, by their names.

        It comes from the states of the sessions, not from the broker's consumers: a message that
        was handed back because its work is not due yet is no work.

        Parameters
        ----------
        now
            The time; what becomes due later is left out.
        """
        with self._database.reading() as (connection, tables):
            columns = tables.sessions.c
            query = (
                select(columns.waits_for, func.count(), func.min(columns.due_at))
                .where(columns.due_at <= now)
                .group_by(columns.waits_for)
                .order_by(columns.waits_for)
            )
            return [DueWork(*row) for row in connection.execute(query)]

    def waiting_for(self, service: str) -> list[str]:
        """Return the names of the sessions that wait for a service."""
        with self._database.reading() as (connection, tables):
            table = tables.sessions
            query = select(table.c.session).where(table.c.waits_for == service)
            return list(connection.scalars(query.order_by(table.c.session)))

    def summary(self) -> Summary:
        """Return how many sessions there are of each kind, and which waits longest."""
        with self._database.reading() as (connection, tables):
            table = tables.sessions
            counts = connection.execute(
                select(table.c.status, func.count()).group_by(table.c.status)
            )
            unsettled = table.c.status == Status.TO_BE_BUILT
            stale = (table.c.waits_for == "builder") & (table.c.built_at > 0)
            reading = table.c.waits_for == "extractor"
            return Summary(
                statuses={status: int(count) for status, count in counts},
                oldest_unsettled=connection.scalar(select(func.min(table.c.end)).where(unsettled)),
                due_files=int(
                    connection.scalar(
                        select(func.sum(table.c.files - table.c.settled)).where(reading)
                    )
                    or 0
                ),
                stale_records=int(
                    connection.scalar(select(func.count()).select_from(table).where(stale)) or 0
                ),
            )

    def position(self) -> Position:
        """How far the read model is."""
        with self._database.reading() as (connection, tables):
            positions = read_positions(connection, tables)
            read_at = connection.scalar(select(func.max(tables.position.c.read_at)))
        return Position(positions, read_at)


def conditions_of(
    table: "Table", status: str, instrument: str, window: Window
) -> list["ColumnElement[bool]"]:
    """Return the conditions that a query for sessions has.

    Parameters
    ----------
    table
        Of the sessions.
    status, instrument, window
        As for :meth:`ReadModel.sessions`.
    """
    conditions = []
    if status:
        conditions.append(table.c.status == status)
    if instrument:
        conditions.append(table.c.instrument_pid == instrument)
    if window.end is not None:
        conditions.append(or_(table.c.start.is_(None), table.c.start < window.end))
    if window.start is not None:
        conditions.append(or_(table.c.end.is_(None), table.c.end > window.start))
    return conditions


def _chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Split what a query compares with: databases limit the number of parameters."""
    for start in range(0, len(names), _COMPARED_AT_ONCE):
        yield names[start : start + _COMPARED_AT_ONCE]


def _by_start(row: SessionRow) -> tuple[bool, str, str]:
    """Put sessions without a start first, as an operator should look at them."""
    return row.start is not None, row.start.isoformat() if row.start else "", row.session


def _event(row: "Row[Any]") -> EventRow:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    return EventRow(**{**values, "time": datetime.fromisoformat(values["time"])})


def session_of(row: "Row[Any]") -> SessionRow:
    """Return a row of the sessions' table as the session it is."""
    values = row._mapping  # noqa: SLF001 - SQLAlchemy's public name
    uploads = tuple(UploadRow(**upload) for upload in values["uploads"])
    return SessionRow(**{name: values[name] for name in _COLUMNS}, uploads=uploads)
