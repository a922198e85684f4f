"""The SQLite file of an index: its tables, and how it is opened or made anew."""

import logging
import sqlite3
from pathlib import Path
from typing import Final

from nexuslims_indexer.errors import IndexInUseError

log = logging.getLogger(__name__)

_VERSION: Final = "7"
_SCHEMA: Final = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE folder (
    path BLOB NOT NULL UNIQUE, device INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL, listed_ns INTEGER NOT NULL, oldest_ns INTEGER,
    newest_ns INTEGER, folders BLOB NOT NULL, links BLOB NOT NULL, names BLOB NOT NULL,
    times BLOB NOT NULL, sizes BLOB NOT NULL, shared TEXT NOT NULL, beside TEXT NOT NULL
);
CREATE TABLE linked (
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, beside TEXT NOT NULL
);
CREATE TABLE growing (
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    seen_ns INTEGER NOT NULL, began_ns INTEGER NOT NULL, changed INTEGER NOT NULL
);
CREATE TABLE grown (
    path BLOB PRIMARY KEY, mtime_ns INTEGER NOT NULL, began_ns INTEGER NOT NULL
);
CREATE TABLE touched (path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, session TEXT);
CREATE TABLE doubtful (session TEXT PRIMARY KEY);
CREATE TABLE pending (id INTEGER PRIMARY KEY, times BLOB NOT NULL);
CREATE TABLE swept (moment_ns INTEGER NOT NULL);
CREATE TABLE claimed (rules TEXT NOT NULL, held TEXT NOT NULL);
"""


def open_database(path: Path | str, signature: str) -> sqlite3.Connection:
    """Open the index; one that is damaged, or of other rules, is made anew.

    Parameters
    ----------
    path
        Where it is, or is made; ``:memory:`` for none.
    signature
        Of the rules by which names are wanted.

    Raises
    ------
    IndexInUseError
        If another indexer uses it.
    """
    about = {"version": _VERSION, "signature": signature}
    try:
        database = _connect(path)
        if attributes(database) == about:
            return database
        database.close()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise IndexInUseError(f"{path}: another indexer uses it") from error
        log.warning("%s: %s: it is made anew", path, error)
    _discard(path)
    database = _connect(path)
    with database:
        database.executescript(_SCHEMA)
        database.executemany("INSERT INTO about VALUES (?, ?)", about.items())
    return database


def attributes(database: sqlite3.Connection) -> dict[str, str]:
    """Return version and signature of an index; nothing of a new one."""
    if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'about'").fetchone():
        return {}
    return dict(database.execute("SELECT name, value FROM about"))


def _connect(path: Path | str) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=0.5, check_same_thread=False, isolation_level=None)
    try:
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = OFF")
        database.execute("BEGIN EXCLUSIVE")
        database.execute("COMMIT")
    except sqlite3.DatabaseError:
        database.close()
        raise
    return database


def _discard(path: Path | str) -> None:
    if str(path) == ":memory:":
        return
    for ending in ("", "-wal", "-shm"):
        Path(f"{path}{ending}").unlink(missing_ok=True)
