"""The tables of the read model.

They can be thrown away at any time: everything in them comes from the stream. Each *generation* has
tables of its own, so that a new one is built while the old one serves; one row of
:data:`READ_MODEL` says which serves.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

SCHEMA = 7
"""Raised whenever the tables, or what is put into them, change: the read model is then rebuilt."""

_METADATA = MetaData()

READ_MODEL = Table(
    "read_model",
    _METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("generation", Integer, nullable=False),
    Column("schema", Integer, nullable=False),
)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time, kept as UTC; SQLite knows no zones."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Take the zone off."""
        del dialect
        return value.astimezone(UTC).replace(tzinfo=None) if value else None

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Put the zone back."""
        del dialect
        return value.replace(tzinfo=UTC) if value else None


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of one generation."""

    generation: int
    metadata: MetaData
    sessions: Table
    events: Table
    mentions: Table
    unreadable: Table
    position: Table
    log: Table


@lru_cache(maxsize=8)
def tables_of(generation: int) -> Tables:
    """Return the tables of a generation."""
    metadata = MetaData()
    prefix = f"g{generation}"
    return Tables(
        generation=generation,
        metadata=metadata,
        sessions=_sessions(f"{prefix}_sessions", metadata),
        events=_events(f"{prefix}_events", metadata),
        mentions=Table(
            f"{prefix}_mentions",
            metadata,
            Column("person", String(64), primary_key=True),
            Column("session", String(100), primary_key=True, index=True),
        ),
        unreadable=Table(
            f"{prefix}_unreadable",
            metadata,
            _sequence(),
            Column("session", String(100), index=True, nullable=False),
            Column("subject", Text, nullable=False),
            Column("reason", Text, nullable=False),
        ),
        position=Table(
            f"{prefix}_position",
            metadata,
            Column("period", Integer, primary_key=True, autoincrement=False),  # its number
            Column("sequence", BigInteger, nullable=False),
            Column("read_at", UtcDateTime, nullable=False),
        ),
        log=log_table(prefix, metadata),
    )


def log_table(prefix: str, metadata: MetaData) -> Table:
    """Return the table of a projection that says which log all in it is of: one row at most.

    Parameters
    ----------
    prefix
        Of the names of the generation's tables.
    metadata
        What they are in.
    """
    return Table(f"{prefix}_log", metadata, Column("identity", String(64), primary_key=True))


def _sequence() -> "Column[int]":
    return Column(
        "sequence",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=False,
    )


def _sessions(name: str, metadata: MetaData) -> Table:
    table = Table(
        name,
        metadata,
        Column("session", String(100), primary_key=True),
        Column("instrument_pid", Text, nullable=False),
        Column("instrument", Text, nullable=False),
        Column("start", UtcDateTime),
        Column("end", UtcDateTime),
        Column("title", Text, nullable=False),
        Column("status", String(32), nullable=False),
        Column("phase", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("files", Integer, nullable=False),
        Column("settled", Integer, nullable=False),
        Column("failures", Integer, nullable=False),
        Column("activities", Integer, nullable=False),
        Column("datasets", Integer, nullable=False),
        Column("record_path", Text, nullable=False),
        Column("looks_until", UtcDateTime),
        Column("record_sha256", String(64), nullable=False),
        Column("uploads", JSON, nullable=False),
        Column("waits_for", String(32), nullable=False),
        Column("not_before", UtcDateTime),
        Column("due_at", UtcDateTime),
        Column("troubled", Boolean, nullable=False),
        Column("search", Text, nullable=False),  # lower case
        Column("built_at", BigInteger, nullable=False),
        Column("through", BigInteger, nullable=False),
    )
    columns = table.c
    start, session = columns.start, columns.session
    Index(f"{name}_by_status", columns.status, start)  # lists are of one status, newest first
    Index(f"{name}_by_instrument", columns.instrument_pid, start)
    Index(f"{name}_by_work", columns.waits_for, columns.due_at)
    Index(f"{name}_by_due", columns.due_at)
    Index(f"{name}_troubled", columns.troubled, start, session)
    # SQLite looks for text in the index, and at rows only where it is found; PostgreSQL takes no
    # long text into an index.
    Index(f"{name}_text", start, session, columns.search).ddl_if(dialect="sqlite")
    Index(f"{name}_by_start", start).ddl_if(dialect="postgresql")
    return table


def _events(name: str, metadata: MetaData) -> Table:
    return Table(
        name,
        metadata,
        _sequence(),
        Column("session", String(100), index=True, nullable=False),
        Column("type", String(64), nullable=False),
        Column("time", String(40), nullable=False),  # ISO 8601: only printed, never compared
        Column("source", Text, nullable=False),
        Column("id", String(36), nullable=False),
        Column("causation", String(36), nullable=False),
        Column("summary", Text, nullable=False),
    )


def create_registry(connection: Any) -> None:
    """Create the table that says which generation serves, if it is not there."""
    _METADATA.create_all(connection)
