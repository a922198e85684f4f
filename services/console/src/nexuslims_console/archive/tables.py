"""The tables of the archive: records, their datasets, and each dataset's quantities.

A projection of its own beside the sessions': it follows few events, and reads datasets only when a
record was built, so that what comes in on a busy day is not slowed down by what is searched.

The identifier of a dataset grows with the time of its acquisition. So the newest matches of a
condition that many fulfil are found by walking down the identifiers, and a period is a range of
them; conditions that few fulfil have an index each.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    event,
)
from sqlalchemy.dialects.postgresql import TSVECTOR

from nexuslims_console.database import Layout, ProjectionDatabase
from nexuslims_console.tables import UtcDateTime, log_table
from nexuslims_contracts.metadata.fields import FIELDS

SCHEMA: Final = 3
"""Raised whenever the tables, or what is put into them, change: the archive is then rebuilt."""

QUANTITIES: Final = tuple(
    field.name for field in FIELDS.values() if field.kind in ("quantity", "number")
)
"""Fields with a column each, in their preferred units."""


@dataclass(frozen=True, slots=True)
class ArchiveTables:
    """The tables of one generation."""

    generation: int
    metadata: MetaData
    records: Table
    datasets: Table
    quantities: Table
    destinations: Table
    rebuilds: Table
    position: Table
    log: Table
    words: str
    """Name of SQLite's index of words; PostgreSQL has a column of ``datasets``."""


class ArchiveDatabase(ProjectionDatabase[ArchiveTables]):
    """The database of the archive; see :class:`nexuslims_console.database.ProjectionDatabase`.

    Parameters
    ----------
    url
        SQLAlchemy address.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, Layout(2, SCHEMA, archive_tables))


@lru_cache(maxsize=8)
def archive_tables(generation: int) -> ArchiveTables:
    """Return the tables of a generation."""
    metadata = MetaData()
    prefix = f"archive{generation}"
    datasets = _datasets(f"{prefix}_datasets", metadata)
    words = f"{prefix}_words"
    _index_words(datasets, words, metadata)
    return ArchiveTables(
        generation=generation,
        metadata=metadata,
        records=_records(f"{prefix}_records", metadata),
        datasets=datasets,
        quantities=_quantities(f"{prefix}_quantities", metadata),
        destinations=_destinations(f"{prefix}_destinations", metadata),
        rebuilds=_rebuilds(f"{prefix}_rebuilds", metadata),
        position=Table(
            f"{prefix}_position",
            metadata,
            Column("period", Integer, primary_key=True, autoincrement=False),  # its number
            Column("sequence", BigInteger, nullable=False),
            Column("read_at", UtcDateTime, nullable=False),
        ),
        log=log_table(prefix, metadata),
        words=words,
    )


def _identifier() -> "Column[int]":
    return Column(
        "id",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=False,
    )


def _records(name: str, metadata: MetaData) -> Table:
    return Table(
        name,
        metadata,
        Column("session", String(100), primary_key=True),
        Column("title", Text, nullable=False),
        Column("start", UtcDateTime, index=True),
        Column("end", UtcDateTime),
        Column("instrument_pid", Text, nullable=False),
        Column("instrument", Text, nullable=False),
        Column("samples", Text, nullable=False),
        Column("elements", Text, nullable=False),
        Column("path", Text, nullable=False),
        Column("sha256", String(64), nullable=False),
        Column("size", BigInteger, nullable=False),
        Column("activities", Integer, nullable=False),
        Column("datasets", Integer, nullable=False),
    )


def _datasets(name: str, metadata: MetaData) -> Table:
    table = Table(
        name,
        metadata,
        _identifier(),
        Column("session", String(100), nullable=False),
        Column("file", String(20), nullable=False),
        Column("number", Integer, nullable=False),
        Column("location", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("preview", Text, nullable=False),
        Column("taken", UtcDateTime, nullable=False),
        Column("dataset_type", String(32), nullable=False),
        Column("data_type", Text, nullable=False),
        Column("shape", Text, nullable=False),
        Column("elements", Text, nullable=False),
        Column("text", Text, nullable=False),
        Column("search", Text().with_variant(TSVECTOR(), "postgresql")),
    )
    Index(f"{name}_by_preview", table.c.session, table.c.preview)  # each is asked for by itself
    return table


def _quantities(name: str, metadata: MetaData) -> Table:
    """Return the narrow table that conditions are compared with; all else is beside it."""
    table = Table(
        name,
        metadata,
        _identifier(),
        Column("instrument_pid", Text, nullable=False),
        Column("dataset_type", String(32), nullable=False),
        Column("data_type", Text, nullable=False),
        *(Column(quantity, Float) for quantity in QUANTITIES),
    )
    for facet in ("instrument_pid", "dataset_type", "data_type"):
        Index(f"{name}_{facet}", table.c[facet], table.c.id)
    for quantity in QUANTITIES:
        column = table.c[quantity]
        given = column.is_not(None)
        Index(f"{name}_{quantity}", column, sqlite_where=given, postgresql_where=given)
    return table


def _destinations(name: str, metadata: MetaData) -> Table:
    """Return what the last uploads to each destination came to."""
    return Table(
        name,
        metadata,
        Column("destination", Text, primary_key=True),
        Column("taken_at", UtcDateTime),
        Column("failing_since", UtcDateTime),
        Column("failed_at", UtcDateTime),
        Column("failures", Integer, nullable=False),
        Column("permanent", Boolean, nullable=False),
        Column("reason", Text, nullable=False),
        Column("session", Text, nullable=False),
    )


def _rebuilds(name: str, metadata: MetaData) -> Table:
    return Table(
        name,
        metadata,
        Column("request", String(64), primary_key=True),
        Column("session", String(100), primary_key=True),
        Column("sequence", BigInteger, nullable=False),
        Column("time", UtcDateTime, nullable=False, index=True),
        Column("re_extract", Boolean, nullable=False),
    )


def _index_words(datasets: Table, words: str, metadata: MetaData) -> None:
    """Make the index of words beside the datasets: FTS5 in SQLite, GIN in PostgreSQL."""
    make = (
        f"CREATE VIRTUAL TABLE {words} USING fts5(text, elements, content='{datasets.name}',"
        " content_rowid='id', tokenize=\"unicode61 remove_diacritics 2\")"
    )
    gin = f"CREATE INDEX {words} ON {datasets.name} USING gin (search)"
    drop = f"DROP TABLE IF EXISTS {words}"
    _on(datasets, "after_create", make, "sqlite")
    _on(datasets, "after_create", gin, "postgresql")
    _on(metadata, "before_drop", drop, "sqlite")


def _on(target: Any, moment: str, statement: str, dialect: str) -> None:
    made: Any = DDL(statement)  # type: ignore[no-untyped-call]
    event.listen(target, moment, made.execute_if(dialect=dialect))
