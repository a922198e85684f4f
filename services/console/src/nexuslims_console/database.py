"""The database of the read model: transactions on the generation that serves."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, NamedTuple, Protocol, TypeVar

from sqlalchemy import (
    Connection,
    Engine,
    MetaData,
    Table,
    create_engine,
    delete,
    event,
    insert,
    make_url,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from nexuslims_console.errors import ReadModelError
from nexuslims_console.tables import READ_MODEL, SCHEMA, Tables, create_registry, tables_of
from nexuslims_console.writing import positions
from nexuslims_contracts.periods import ALL
from nexuslims_shared.settings import make_state_folder

_WRITING = "nexuslims_writing"
_BUSY_MS = 15_000
_PREPARING = 7_358_221
"""Number of the lock; any will do, as long as nobody else uses it in the same database."""


class Generation(Protocol):
    """The tables of one generation of a projection."""

    @property
    def generation(self) -> int:
        """Its number."""
        ...

    @property
    def metadata(self) -> MetaData:
        """All its tables."""
        ...

    @property
    def position(self) -> Table:
        """Where in the stream it is."""
        ...

    @property
    def log(self) -> Table:
        """Which log it is of."""
        ...


T = TypeVar("T", bound=Generation)


@dataclass(frozen=True, slots=True)
class Layout(Generic[T]):
    """A projection: its row in the registry, the version of its tables, and these."""

    id: int
    schema: int
    tables: Callable[[int], T]


class _Identity(NamedTuple):
    """What tells a database's file from another one of its name.

    ``writes`` is the inode of its log of writes (WAL), which stays while a connection is open: who
    finds it gone cannot go on together with those who opened it before. 0 where none is known.
    """

    device: int
    inode: int
    writes: int

    def is_that_of(self, file: Path | None) -> bool:
        """Tell whether a file is this one still, and whole."""
        found = _identity_of(file)
        if found is None or found[:2] != self[:2]:
            return False
        return self.writes in (0, found.writes)

    def is_damaged(self, file: Path) -> bool:
        """Tell whether it was emptied, or lost its WAL, and is no other file."""
        try:
            status = file.stat()
        except FileNotFoundError:
            return False
        return (status.st_dev, status.st_ino) == self[:2] and not self.is_that_of(file)


class ProjectionDatabase(Generic[T]):
    """The database of a projection; SQLite in WAL mode, or PostgreSQL.

    Every method blocks: call it in a thread. All raise :class:`ReadModelError` where the database
    does not do what it should.

    Parameters
    ----------
    url
        SQLAlchemy address.
    layout
        The projection's tables.
    """

    def __init__(self, url: str, layout: Layout[T]) -> None:
        self.url = url
        self._layout = layout
        self._engine = _engine(url)
        self._file = _file_of(self._engine)
        self._identity: _Identity | None = None
        self._open: set[int] = set()
        if self._file is not None:
            event.listen(self._engine, "connect", self._opened)
            event.listen(self._engine, "close", self._closed)

    def prepare(self) -> None:
        """Create what is not there yet."""
        with self._transaction(writing=True) as connection:
            _wait_for_others(connection)
            create_registry(connection)
            if self._serving(connection) is None:
                _create(connection, self._layout.tables(1))
                row = {"id": self._layout.id, "generation": 1, "schema": self._layout.schema}
                connection.execute(insert(READ_MODEL).values(row))

    def set_aside_if_damaged(self) -> Path | None:
        """Rename a file that is no sound database: all that the tables hold comes from the events.

        Returns
        -------
        Path | None
            Its new place; None where there was nothing to do.

        Raises
        ------
        ReadModelError
            If it cannot be looked at, or another process writes to it.
        """
        if self._file is None or not self._file.exists():
            return None
        with closing(sqlite3.connect(self._file)) as connection:
            try:
                (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            except sqlite3.OperationalError as error:
                raise ReadModelError(f"read model {self._file}: {error}; try again") from error
            except sqlite3.DatabaseError as error:
                answer = str(error)
        if answer == "ok":
            return None
        self._engine.dispose()
        damaged = self._file.with_name(f"{self._file.name}.damaged")
        self._file.replace(damaged)
        _remove_beside(self._file)
        return damaged

    def is_current(self) -> bool:
        """Tell whether the tables are as this release makes them."""
        with self._transaction() as connection:
            query = select(READ_MODEL.c.schema).where(READ_MODEL.c.id == self._layout.id)
            return connection.scalar(query) == self._layout.schema

    @contextmanager
    def reading(self) -> Iterator[tuple[Connection, T]]:
        """Open a transaction that sees one state of one generation."""
        with self._transaction() as connection:
            yield connection, self._required(connection)

    @contextmanager
    def writing(self, generation: int | None = None) -> Iterator[tuple[Connection, T]]:
        """Open a transaction that writes to a generation, to the serving one by default.

        Nobody begins that generation anew meanwhile.
        """
        with self._transaction(writing=True) as connection:
            serving = self._required(connection)
            yield connection, self._layout.tables(generation) if generation else serving

    def begin_generation(self) -> int:
        """Create the tables of a new generation; what an abandoned attempt left is dropped."""
        with self._transaction(writing=True) as connection:
            serving = self._required(connection, alone=True)
            new = self._layout.tables(serving.generation + 1)
            new.metadata.drop_all(connection)
            _create(connection, new)
            return new.generation

    def serve(self, generation: int) -> None:
        """Let a generation serve, in one transaction; then drop the one before."""
        with self._transaction(writing=True) as connection:
            old = self._required(connection, alone=True)
            if old.generation >= generation:
                return  # somebody else rebuilt it too, and was faster
            row = {"generation": generation, "schema": self._layout.schema}
            own = READ_MODEL.c.id == self._layout.id
            connection.execute(update(READ_MODEL).where(own).values(row))
        with self._transaction(writing=True) as connection:
            old.metadata.drop_all(connection)

    def log(self) -> str:
        """Return which log the serving generation is of; nothing where it is not known yet."""
        with self.reading() as (connection, tables):
            return connection.scalar(select(tables.log.c.identity)) or ""

    def keep_log(self, identity: str, generation: int | None = None) -> None:
        """Keep which log a generation is of.

        Parameters
        ----------
        identity
            Of the log.
        generation
            The serving one by default.
        """
        with self.writing(generation) as (connection, tables):
            positions(connection, tables)  # first: it keeps other writers waiting
            connection.execute(delete(tables.log))
            connection.execute(insert(tables.log).values(identity=identity))

    def probe(self) -> None:
        """Write and read, and change nothing: raises where the database does not take it."""
        with self.writing() as (connection, tables):
            position = tables.position.c.sequence
            connection.execute(update(tables.position).values(sequence=position))
            connection.scalar(select(position))

    def require_same_file(self) -> None:
        """Notice that the file or its WAL is gone, or another: what is written would go nowhere.

        One that was emptied, or lost its WAL, is removed: SQLite goes on with what it remembers of
        it, and keeps everybody else from it.

        Raises
        ------
        ReadModelError
            If it was, once; the file of that name is used from then on.
        """
        if self._identity is None or self._identity.is_that_of(self._file):
            return
        if self._file is not None and self._identity.is_damaged(self._file):
            self._file.unlink(missing_ok=True)
            _remove_beside(self._file)
        self._engine.dispose()
        self._identity = None
        raise ReadModelError(
            f"read model {self._file}: the file was deleted, replaced or emptied, or lost its -wal,"
            " under a running process; it is made again"
        )

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self, *, writing: bool = False) -> Iterator[Connection]:
        self.require_same_file()
        engine = self._engine.execution_options(**{_WRITING: writing})
        try:
            with engine.begin() as connection:
                if self._identity is None or not self._identity.writes:
                    self._identity = _identity_of(self._file)
                yield connection
        except SQLAlchemyError as error:
            address = make_url(self.url).render_as_string(hide_password=True)
            raise ReadModelError(
                f"read model {address}: {getattr(error, 'orig', None) or error};"
                " check NX_DATABASE_URL and the disk, or run `nexuslims read-model rebuild`"
            ) from error

    def _opened(self, connection: object, record: object) -> None:
        del record
        self._open.add(id(connection))

    def _closed(self, connection: object, record: object) -> None:
        """Expect another WAL when the last connection is closed: SQLite removes it with that."""
        del record
        self._open.discard(id(connection))
        if not self._open and self._identity is not None:
            self._identity = self._identity._replace(writes=0)

    def _serving(self, connection: Connection, *, alone: bool = False) -> T | None:
        """Find the serving generation, and keep it until the transaction ends (on PostgreSQL).

        ``alone`` keeps others from finding it meanwhile: whoever makes or changes generations does
        so one after the other.
        """
        own = READ_MODEL.c.id == self._layout.id
        query = select(READ_MODEL.c.generation).where(own).with_for_update(read=not alone)
        generation = connection.scalar(query)
        return None if generation is None else self._layout.tables(generation)

    def _required(self, connection: Connection, *, alone: bool = False) -> T:
        tables = self._serving(connection, alone=alone)
        if tables is None:
            raise ReadModelError(
                "the read model is empty: a console that starts makes it, or"
                " `nexuslims read-model rebuild`"
            )
        return tables


class Database(ProjectionDatabase[Tables]):
    """The database of the sessions' read model; see :class:`ProjectionDatabase`.

    Parameters
    ----------
    url
        SQLAlchemy address.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, Layout(1, SCHEMA, tables_of))


def _file_of(engine: Engine) -> Path | None:
    """Return the file that the database is; None for a server, or for one in memory."""
    name = engine.url.database
    if engine.dialect.name != "sqlite" or not name or name.startswith((":memory:", "file:")):
        return None
    return Path(name)


def _identity_of(file: Path | None) -> _Identity | None:
    """Return what tells a file from another one of the same name; None if nothing is in it."""
    if file is None:
        return None
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    if not status.st_size:
        return None
    try:
        writes = file.with_name(f"{file.name}-wal").stat().st_ino
    except FileNotFoundError:
        writes = 0
    return _Identity(status.st_dev, status.st_ino, writes)


def _remove_beside(file: Path) -> None:
    """Remove what SQLite keeps beside a database that is not there any more."""
    for ending in ("-wal", "-shm"):
        file.with_name(f"{file.name}{ending}").unlink(missing_ok=True)


def _engine(url: str) -> Engine:
    try:
        engine = create_engine(url)
    except (SQLAlchemyError, ImportError) as error:
        raise ReadModelError(f"NX_DATABASE_URL cannot be used: {error}") from error
    if engine.dialect.name == "sqlite":
        if engine.url.database:
            make_state_folder(Path(engine.url.database).parent)
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: object, record: object) -> None:
    """Turn on WAL, and leave transactions to us; SQLAlchemy's manual, pysqlite, "Serializable"."""
    del record
    connection.isolation_level = None  # type: ignore[attr-defined]
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get(_WRITING)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _wait_for_others(connection: Connection) -> None:
    """Keep other processes from creating the same tables at the same time (on PostgreSQL).

    Elsewhere a transaction that writes is alone anyway; PostgreSQL's ``CREATE TABLE`` fails where
    two run at once, even with ``IF NOT EXISTS``.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_PREPARING})")


def _create(connection: Connection, tables: Generation) -> None:
    tables.metadata.create_all(connection)
    start = insert(tables.position).values(period=ALL.number, sequence=0, read_at=datetime.now(UTC))
    connection.execute(start)
