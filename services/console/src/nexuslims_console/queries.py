"""Reading the read model."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select

from nexuslims_console.views import EventRow, SessionRow, UnreadableRow, UploadRow

if TYPE_CHECKING:
    from sqlalchemy import Row

    from nexuslims_console.database import Database


@dataclass(frozen=True, slots=True)
class Position:
    """How far the read model is, and since when; at first, since it was made."""

    sequence: int
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Window:
    """A period of time, open where a side is None; sessions that overlap it are in it."""

    start: datetime | None = None
    end: datetime | None = None

    def holds(self, start: datetime | None, end: datetime | None) -> bool:
        """Tell whether a session overlaps the period."""
        begins_in_time = self.end is None or start is None or start < self.end
        ends_in_time = self.start is None or end is None or end > self.start
        return begins_in_time and ends_in_time


ALWAYS = Window()


class ReadModel:
    """What is known of sessions; every method blocks."""

    def __init__(self, database: "Database") -> None:
        self._database = database

    def sessions(
        self, *, status: str = "", window: Window = ALWAYS, only: Collection[str] | None = None
    ) -> list[SessionRow]:
        """Sessions in the order of their start.

        Parameters
        ----------
        status
            Only those in this status, if given.
        window
            Only those that overlap this period.
        only
            Only these, if given.
        """
        with self._database.reading() as (connection, tables):
            table = tables.sessions
            query = select(table).order_by(table.c.start, table.c.session)
            if status:
                query = query.where(table.c.status == status)
            if window.end is not None:
                query = query.where(or_(table.c.start.is_(None), table.c.start < window.end))
            if window.start is not None:
                query = query.where(or_(table.c.end.is_(None), table.c.end > window.start))
            rows = [_session(row) for row in connection.execute(query)]
        return rows if only is None else [row for row in rows if row.session in only]

    def session(self, session: str) -> SessionRow | None:
        """One session."""
        with self._database.reading() as (connection, tables):
            query = select(tables.sessions).where(tables.sessions.c.session == session)
            row = connection.execute(query).one_or_none()
        return _session(row) if row is not None else None

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

    def position(self) -> Position:
        """How far the read model is."""
        with self._database.reading() as (connection, tables):
            row = connection.execute(select(tables.position)).one()
        return Position(row.sequence, row.read_at)


def _event(row: "Row[Any]") -> EventRow:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    return EventRow(**{**values, "time": datetime.fromisoformat(values["time"])})


def _session(row: "Row[Any]") -> SessionRow:
    values = {field.name: getattr(row, field.name) for field in fields(SessionRow)}
    uploads = tuple(UploadRow(**upload) for upload in values.pop("uploads"))
    return SessionRow(**values, uploads=uploads)
