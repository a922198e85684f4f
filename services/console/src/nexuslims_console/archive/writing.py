"""Writing to the archive's tables, inside a transaction."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy import text as sql

from nexuslims_console.archive.rows import DatasetRow, RecordRow
from nexuslims_console.archive.tables import QUANTITIES, ArchiveTables
from nexuslims_console.archive.words import folded, search_vector
from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.events import RebuildRequested, RecordUploaded, UploadFailed

_AT_ONCE: Final = 500


def put_session(
    connection: Connection,
    tables: ArchiveTables,
    session: str,
    content: tuple[RecordRow, Sequence[DatasetRow]] | None,
) -> None:
    """Write what the archive holds of a session instead of what it held.

    Parameters
    ----------
    connection
        In a transaction that writes.
    tables
        Those of one generation.
    session
        Its token.
    content
        Its record and datasets; None takes them out.
    """
    _remove(connection, tables, session)
    if content is None:
        return
    record, datasets = content
    connection.execute(insert(tables.records), [asdict(record)])
    put_datasets(connection, tables, datasets)


def put_datasets(
    connection: Connection, tables: ArchiveTables, datasets: Sequence[DatasetRow]
) -> None:
    """Write datasets that are not there.

    Parameters
    ----------
    connection
        In a transaction that writes.
    tables
        Those of one generation.
    datasets
        With identifiers that may be in use; each then gets the next that is free.
    """
    rows = _with_free_ids(connection, tables, datasets)
    if not rows:
        return
    postgresql = connection.dialect.name == "postgresql"
    columns = [column.name for column in tables.datasets.c if column.name != "search"]
    values = [_dataset_values(row, columns) for row in rows]
    insertion = insert(tables.datasets)
    if postgresql:
        vector = search_vector(bindparam("text"), bindparam("elements"))
        parameters: dict[str, Any] = {name: bindparam(name) for name in columns}
        insertion = insertion.values(parameters | {"search": vector})
    connection.execute(insertion, values)
    connection.execute(insert(tables.quantities), [_quantity_values(row) for row in rows])
    if not postgresql:
        into = f"INSERT INTO {tables.words} (rowid, text, elements) VALUES (:id, :text, :elements)"  # noqa: S608
        connection.execute(sql(into), values)


def note_events(
    connection: Connection, tables: ArchiveTables, recorded: Iterable[Recorded]
) -> None:
    """Note what uploads came to, and requests to rebuild.

    Parameters
    ----------
    connection
        In a transaction that writes.
    tables
        Those of one generation.
    recorded
        In the order of the log, none of them noted before.
    """
    for one in recorded:
        match one.event:
            case RecordUploaded() | UploadFailed() as event:
                _note_upload(connection, tables, event, one.envelope.time)
            case RebuildRequested() as event:
                row = {
                    "request": event.request,
                    "session": event.session,
                    "sequence": one.sequence,
                    "time": one.envelope.time,
                    "re_extract": event.re_extract,
                }
                connection.execute(insert(tables.rebuilds).values(row))
            case _:
                pass


def _note_upload(
    connection: Connection,
    tables: ArchiveTables,
    event: RecordUploaded | UploadFailed,
    time: datetime,
) -> None:
    table = tables.destinations
    own = table.c.destination == event.destination
    known = connection.execute(select(table).where(own)).mappings().one_or_none()
    before: dict[str, Any] = dict(known) if known else {
        "taken_at": None, "failing_since": None, "failed_at": None, "failures": 0,
        "permanent": False, "reason": "", "session": "",
    }  # fmt: skip
    if isinstance(event, RecordUploaded):
        after = {**before, "taken_at": time, "failing_since": None, "failures": 0}
    else:
        since = before["failing_since"]
        after = {
            **before,
            "failing_since": since if event.permanent else since or time,
            "failed_at": time,
            "failures": before["failures"] + (not event.permanent),
            "permanent": event.permanent,
            "reason": event.reason,
            "session": event.session,
        }
    after["destination"] = event.destination
    statement = update(table).where(own) if known else insert(table)
    connection.execute(statement.values(after))


def _remove(connection: Connection, tables: ArchiveTables, session: str) -> None:
    table = tables.datasets
    own = table.c.session == session
    if connection.dialect.name == "sqlite":  # FTS5 wants to see what it forgets
        columns = "rowid, text, elements"
        forget = (
            f"INSERT INTO {tables.words} ({tables.words}, {columns})"  # noqa: S608
            f" SELECT 'delete', id, text, elements FROM {table.name} WHERE session = :session"
        )
        connection.execute(sql(forget), {"session": session})
    ids = select(table.c.id).where(own)
    connection.execute(delete(tables.quantities).where(tables.quantities.c.id.in_(ids)))
    connection.execute(delete(table).where(own))
    connection.execute(delete(tables.records).where(tables.records.c.session == session))


def _with_free_ids(
    connection: Connection, tables: ArchiveTables, rows: Sequence[DatasetRow]
) -> list[DatasetRow]:
    """Give datasets of the same moment identifiers of their own, those next to each other."""
    column = tables.datasets.c.id
    taken: set[int] = set()
    for some in _chunks([row.id for row in rows]):
        taken.update(connection.scalars(select(column).where(column.in_(some))))
    free = []
    for row in rows:
        identifier = row.id
        while identifier in taken:
            identifier += 1
            query = select(column).where(column == identifier)
            if identifier not in taken and connection.scalar(query) is not None:
                taken.add(identifier)
        taken.add(identifier)
        free.append(row if identifier == row.id else replace(row, id=identifier))
    return free


def _dataset_values(row: DatasetRow, columns: Sequence[str]) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in columns}
    return {**values, "text": folded(row.text)}


def _quantity_values(row: DatasetRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "instrument_pid": row.instrument_pid,
        "dataset_type": row.dataset_type,
        "data_type": row.data_type,
        **{name: row.quantities.get(name) for name in QUANTITIES},
    }


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]
