"""How far the rebuilds are that somebody asked for."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Integer, case, cast, func, select

from nexuslims_console.archive.tables import ArchiveDatabase
from nexuslims_console.database import Database

_RECENT: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Rebuild:
    """A request to build records again, and how many of them were."""

    request: str
    time: datetime
    sessions: int
    done: int
    re_extract: bool


def recent_rebuilds(archive: ArchiveDatabase, sessions: Database, limit: int = 10) -> list[Rebuild]:
    """Return the last requests of a month, the newest first; blocks.

    Parameters
    ----------
    archive
        Where the requests are.
    sessions
        Where it says when a session's record was built last.
    limit
        How many at most.
    """
    with sessions.reading() as (_, model):
        own = model.sessions.c
    with archive.reading() as (connection, tables):
        table = tables.rebuilds
        newest = func.max(table.c.time)
        built = func.sum(case((own.built_at > table.c.sequence, 1), else_=0))
        query = (
            select(
                table.c.request,
                newest,
                func.count(),
                built,
                func.max(cast(table.c.re_extract, Integer)),
            )
            .select_from(table.outerjoin(model.sessions, own.session == table.c.session))
            .where(table.c.time > datetime.now(UTC) - _RECENT)
            .group_by(table.c.request)
            .order_by(newest.desc())
            .limit(limit)
        )
        rows = connection.execute(query).all()
    return [
        Rebuild(request, time, count, int(done), bool(re_extract))
        for request, time, count, done, re_extract in rows
    ]
