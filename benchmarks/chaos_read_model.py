"""Harm to the database of the read model: SQLite's files, or a schema of PostgreSQL."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from sqlalchemy import MetaData, create_engine, make_url, text

_BUSY_S = 10.0


def drop(url: str) -> None:
    """Delete all there is of a read model. Blocks.

    Parameters
    ----------
    url
        SQLAlchemy address.
    """
    if file := _sqlite(url):
        for path in file.parent.glob(f"{file.name}*"):
            path.unlink(missing_ok=True)
        return
    engine = create_engine(url)
    found = MetaData()
    found.reflect(engine)
    found.drop_all(engine)
    engine.dispose()


def disturb(url: str, seconds: float) -> None:
    """Hold an SQLite file for oneself, or cut all connections to PostgreSQL. Blocks.

    Parameters
    ----------
    url
        SQLAlchemy address.
    seconds
        For how long the file is held.
    """
    if file := _sqlite(url):
        with closing(sqlite3.connect(file, timeout=_BUSY_S, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            connection.rollback()
        return
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        )
    engine.dispose()


def _sqlite(url: str) -> Path | None:
    parsed = make_url(url)
    return Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None
