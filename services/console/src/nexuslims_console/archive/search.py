"""Searching the archive, and reading it; every method blocks.

A condition that few datasets fulfil is answered from its index, and the others are compared with
what it gives. Where every condition is fulfilled by many, datasets are compared from the newest on
until there are enough. Which it is, is found out by counting each up to a limit, in its index.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    func,
    literal_column,
    or_,
    select,
)

from nexuslims_console.archive.question import Condition, Question
from nexuslims_console.archive.rows import RecordRow, first_id
from nexuslims_console.archive.tables import ArchiveDatabase, ArchiveTables
from nexuslims_console.archive.words import Matches, folded, matching
from nexuslims_console.writing import read_positions
from nexuslims_shared.store.positions import Positions

COUNTED: Final = 1000
"""Matches that are counted, and that facets are of: the newest."""
_FEW: Final = 20_000
_AT_ONCE: Final = 500
_END: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Hit:
    """A dataset that was found, with the title of its record."""

    id: int
    session: str
    file: str
    location: str
    name: str
    preview: str
    taken: datetime
    dataset_type: str
    data_type: str
    shape: str
    title: str
    instrument: str


@dataclass(frozen=True, slots=True)
class Facets:
    """How many of the counted matches have which value, the most frequent first."""

    instruments: list[tuple[str, int]]
    dataset_types: list[tuple[str, int]]
    data_types: list[tuple[str, int]]
    elements: list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Found:
    """A page of matches, the newest first; ``count`` is exact up to :data:`COUNTED`."""

    hits: list[Hit]
    count: int
    facets: Facets
    next_id: int | None


@dataclass(frozen=True, slots=True)
class _Part:
    """A condition, once as its index answers it and once so that no index is used."""

    indexed: ColumnElement[bool]
    compared: ColumnElement[bool]


class Archive:
    """Questions to the archive; every method blocks.

    Parameters
    ----------
    database
        Where it is.
    """

    def __init__(self, database: ArchiveDatabase) -> None:
        self._database = database

    def search(self, question: Question, *, before: int | None = None, limit: int = 48) -> Found:
        """Search for datasets.

        Parameters
        ----------
        question
            What is looked for.
        before
            Only what comes after this identifier on earlier pages; the first page without it.
        limit
            Datasets on a page.
        """
        if before is not None:
            before = min(max(before, -_END), _END)
        with self._database.reading() as (connection, tables):
            ids, page = _matches(connection, tables, question, before, limit)
            facets = _facets(connection, tables, ids[:COUNTED])
            return Found(
                hits=_hits(connection, tables, page[:limit]),
                count=len(ids),
                facets=facets,
                next_id=page[limit - 1] if len(page) > limit else None,
            )

    def record(self, session: str) -> RecordRow | None:
        """Return the record of a session, if it may be read."""
        with self._database.reading() as (connection, tables):
            query = select(tables.records).where(tables.records.c.session == session)
            row = connection.execute(query).mappings().one_or_none()
        return RecordRow(**row) if row is not None else None

    def shows(self, session: str, preview: str) -> bool:
        """Tell whether a preview is of a dataset of a record that may be read.

        Parameters
        ----------
        session
            Whose record.
        preview
            Its path.
        """
        with self._database.reading() as (connection, tables):
            table = tables.datasets.c
            query = select(table.id).where(table.session == session, table.preview == preview)
            return connection.scalar(query.limit(1)) is not None

    def datasets_of(self, session: str, *, limit: int, page: int = 1) -> list[Hit]:
        """Return datasets of a session's record, in the order of their acquisition.

        Parameters
        ----------
        session
            Whose record.
        limit, page
            How many at most, and which page of so many, from 1.
        """
        with self._database.reading() as (connection, tables):
            identifier, own = tables.datasets.c.id, tables.datasets.c.session == session
            query = select(identifier).where(own).order_by(identifier)
            ids = list(connection.scalars(query.limit(limit).offset((page - 1) * limit)))
            return _hits(connection, tables, ids)[::-1]

    def times_of(self, session: str) -> dict[str, float]:
        """Return when the first dataset of each file was acquired, POSIX seconds, by its path."""
        with self._database.reading() as (connection, tables):
            table = tables.datasets.c
            query = select(table.location, func.min(table.taken)).where(table.session == session)
            rows = connection.execute(query.group_by(table.location))
            return {location: taken.timestamp() for location, taken in rows}

    def count(self) -> tuple[int, int]:
        """Return how many records and datasets there are."""
        with self._database.reading() as (connection, tables):
            records = select(func.count()).select_from(tables.records)
            datasets = select(func.coalesce(func.sum(tables.records.c.datasets), 0))
            return int(connection.scalar(records) or 0), int(connection.scalar(datasets) or 0)

    def positions(self) -> Positions:
        """Return how far the archive is."""
        with self._database.reading() as (connection, tables):
            return read_positions(connection, tables)

    def newest_file(self, instrument: str) -> tuple[str, datetime] | None:
        """Return the dataset that was acquired last at an instrument: its location, and when."""
        with self._database.reading() as (connection, tables):
            table = tables.quantities
            newest = (
                select(table.c.id)
                .where(table.c.instrument_pid == instrument)
                .order_by(table.c.id.desc())
                .limit(1)
            )
            datasets = tables.datasets.c
            query = select(datasets.location, datasets.taken).where(
                datasets.id == newest.scalar_subquery()
            )
            row = connection.execute(query).one_or_none()
        return (row.location, row.taken) if row else None

    def destinations(self) -> list[dict[str, Any]]:
        """Return what the last uploads to each destination came to."""
        with self._database.reading() as (connection, tables):
            query = select(tables.destinations).order_by(tables.destinations.c.destination)
            return [dict(row) for row in connection.execute(query).mappings()]


def _matches(
    connection: Connection,
    tables: ArchiveTables,
    question: Question,
    before: int | None,
    limit: int,
) -> tuple[list[int], list[int]]:
    """Return the newest matches, one more than are counted, and one more than those of a page."""
    postgresql = connection.dialect.name == "postgresql"
    text = _text(connection.dialect.name, tables, question)
    parts = list(_parts(tables, question))
    if postgresql:  # a search reads few rows all over tables that are on no turning disk
        connection.exec_driver_sql("SET LOCAL random_page_cost = 1.1")
    identifier: ColumnElement[int] = tables.quantities.c.id
    sizes = [_count(connection, identifier, part.indexed) for part in parts]
    few = sizes.index(min(sizes)) if sizes and min(sizes) <= _FEW else None
    walked = few is None
    few_words = walked and text and _count(connection, text.identifier, text.condition) <= _FEW
    if walked and text and not few_words:
        # the index of words gives the newest first: its matches are compared one after the other
        identifier = text.identifier
        query = select(identifier).where(text.condition)
        query = query.join(tables.quantities, tables.quantities.c.id == identifier)
    else:
        query = select(identifier)
        if text:
            found = select(text.identifier).where(text.condition)
            # with a limit, databases look the words up first, and go through no table
            query = query.where(identifier.in_(found.limit(_FEW) if few_words else found))
    walked = walked and not few_words
    query = query.where(
        *_period(identifier, question),
        *(
            part.indexed if number == few or (postgresql and walked) else part.compared
            for number, part in enumerate(parts)
        ),
    )
    if not walked:
        ids = sorted(connection.scalars(query), reverse=True)
        return ids, [one for one in ids if before is None or one < before][: limit + 1]
    query = query.order_by(identifier.desc())
    ids = list(connection.scalars(query.limit(COUNTED + 1)))
    if before is None:
        return ids, ids[: limit + 1]
    return ids, list(connection.scalars(query.where(identifier < before).limit(limit + 1)))


def _text(dialect: str, tables: ArchiveTables, question: Question) -> Matches | None:
    if not question.words and not question.elements:
        return None
    return matching(tables, dialect, tuple(map(folded, question.words)), question.elements)


def _parts(tables: ArchiveTables, question: Question) -> Iterator[_Part]:
    columns = tables.quantities.c
    for name in ("instrument_pid", "dataset_type", "data_type"):
        value = getattr(question, name)
        if value:
            yield _Part(columns[name] == value, (columns[name] + "") == value)
    for condition in question.conditions:
        yield _Part(
            _in_range(tables, condition, indexed=True), _in_range(tables, condition, indexed=False)
        )


def _in_range(tables: ArchiveTables, condition: Condition, *, indexed: bool) -> ColumnElement[bool]:
    """Return a condition; adding nothing to a column keeps databases from using its index."""
    either = []
    for name, low, high in condition.ranges:
        column = tables.quantities.c[name]
        number: ColumnElement[float] = column if indexed else column + literal_column("0")
        limits = []
        if low is not None:
            limits.append(number > low if condition.strict else number >= low)
        if high is not None:
            limits.append(number < high if condition.strict else number <= high)
        either.append(and_(*limits))
    return or_(*either)


def _period(identifier: "ColumnElement[int]", question: Question) -> list[ColumnElement[bool]]:
    """Return a period as a range of identifiers, which grow with time."""
    found = []
    if question.since is not None:
        found.append(identifier >= first_id(question.since))
    if question.until is not None:
        found.append(identifier < first_id(question.until))
    return found


def _count(
    connection: Connection, identifier: "ColumnElement[int]", condition: ColumnElement[bool]
) -> int:
    """Count matches of one condition, up to one more than few."""
    some = select(identifier).where(condition).limit(_FEW + 1).subquery()
    return int(connection.scalar(select(func.count()).select_from(some)) or 0)


def _facets(connection: Connection, tables: ArchiveTables, ids: Sequence[int]) -> Facets:
    values = tables.quantities.c
    query = select(
        values.instrument_pid, values.dataset_type, values.data_type, tables.datasets.c.elements
    ).join(tables.datasets, tables.datasets.c.id == values.id)
    instruments: Counter[str] = Counter()
    dataset_types: Counter[str] = Counter()
    data_types: Counter[str] = Counter()
    elements: Counter[str] = Counter()
    for some in _chunks(ids):
        for row in connection.execute(query.where(values.id.in_(some))):
            instruments[row.instrument_pid] += 1
            dataset_types[row.dataset_type] += 1
            data_types[row.data_type] += 1
            elements.update(row.elements.split())
    return Facets(
        *(counter.most_common(12) for counter in (instruments, dataset_types, data_types, elements))
    )


def _hits(connection: Connection, tables: ArchiveTables, ids: Sequence[int]) -> list[Hit]:
    datasets, records = tables.datasets.c, tables.records.c
    names = [field for field in Hit.__dataclass_fields__ if field not in ("title", "instrument")]
    query = (
        select(*(datasets[name] for name in names), records.title, records.instrument)
        .join(tables.records, records.session == datasets.session)
        .where(datasets.id.in_(ids))
        .order_by(datasets.id.desc())
    )
    return [Hit(**row) for row in connection.execute(query).mappings()] if ids else []


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]
