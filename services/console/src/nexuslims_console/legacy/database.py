"""The database of NexusLIMS 1.4 to 2.8, read without touching the file.

Release 2.4 added ``upload_log``, 2.5 ``external_user_identifiers``; 2.5 renamed ``schema_name`` of
an instrument to ``display_name``.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from nexuslims_console.errors import ConsoleError


@dataclass(frozen=True, slots=True)
class LegacyInstrument:
    """A row of ``instruments``."""

    pid: str
    name: str
    filestore: str
    timezone: str
    api_url: str
    harvester: str
    location: str
    property_tag: str


@dataclass(frozen=True, slots=True)
class LegacySession:
    """The rows of ``session_log`` of one session; ``end`` is None if there is no END."""

    identifier: str
    instrument: str
    start: datetime
    end: datetime | None
    user: str
    status: str


@dataclass(frozen=True, slots=True)
class LegacyUpload:
    """A successful row of ``upload_log``: the last one of a session at a destination."""

    session: str
    destination: str
    record_id: str
    url: str


@dataclass(frozen=True, slots=True)
class LegacyDatabase:
    """What the database holds, and what in it cannot be understood.

    ``accounts`` has the rows of ``external_user_identifiers``: user name, system, identifier.
    """

    instruments: tuple[LegacyInstrument, ...]
    sessions: tuple[LegacySession, ...]
    uploads: tuple[LegacyUpload, ...]
    accounts: tuple[tuple[str, str, str], ...]
    problems: tuple[tuple[str, str], ...]


def read_database(path: Path) -> LegacyDatabase:
    """Read all of a database.

    Parameters
    ----------
    path
        The SQLite file. It is read as a whole first, so nothing is ever written beside it.

    Raises
    ------
    ConsoleError
        If it cannot be read, or is no database of NexusLIMS.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConsoleError(f"{path}: {error.strerror}: name NexusLIMS's database") from error
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.deserialize(content)
            connection.row_factory = sqlite3.Row
            return _read(connection)
        except (sqlite3.Error, KeyError, IndexError) as error:
            raise ConsoleError(f"{path}: no database of NexusLIMS: {error}") from error


def _read(connection: sqlite3.Connection) -> LegacyDatabase:
    tables = {row["name"] for row in connection.execute("SELECT name FROM sqlite_master")}
    instruments = [_instrument(dict(row)) for row in _rows(connection, "instruments")]
    zones = {one.pid: one.timezone for one in instruments}
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for row in _rows(connection, "session_log ORDER BY id_session_log"):
        rows.setdefault(row["session_identifier"], []).append(dict(row))
    sessions: list[LegacySession] = []
    problems: list[tuple[str, str]] = []
    for identifier, log in rows.items():
        try:
            sessions.append(_session(identifier, log, zones))
        except ValueError as error:
            problems.append((f"session {identifier}", str(error)))
    uploads: dict[tuple[str, str], LegacyUpload] = {}
    if "upload_log" in tables:
        for row in _rows(connection, "upload_log WHERE success ORDER BY id"):
            key = row["session_identifier"], row["destination_name"]
            uploads[key] = LegacyUpload(*key, row["record_id"] or "", row["record_url"] or "")
    accounts = (
        [
            (row["nexuslims_username"], row["external_system"], row["external_id"])
            for row in _rows(connection, "external_user_identifiers ORDER BY id")
        ]
        if "external_user_identifiers" in tables
        else []
    )
    return LegacyDatabase(
        tuple(instruments),
        tuple(sessions),
        tuple(uploads.values()),
        tuple(accounts),
        tuple(problems),
    )


def _rows(connection: sqlite3.Connection, what: str) -> Iterator[sqlite3.Row]:
    yield from connection.execute(f"SELECT * FROM {what}")  # noqa: S608 - our own words


def _instrument(row: Mapping[str, Any]) -> LegacyInstrument:
    return LegacyInstrument(
        pid=row["instrument_pid"],
        name=row["display_name"] if "display_name" in row else row["schema_name"],
        filestore=row["filestore_path"],
        timezone=row["timezone"],
        api_url=row["api_url"],
        harvester=row["harvester"],
        location=row["location"],
        property_tag=row["property_tag"],
    )


def _session(
    identifier: str, log: Sequence[Mapping[str, Any]], zones: Mapping[str, str]
) -> LegacySession:
    """Put the rows of one session together: of several starts or ends the newest row counts."""
    starts = [row for row in log if row["event_type"] == "START"]
    ends = [row for row in log if row["event_type"] == "END"]
    if not starts:
        raise ValueError("it has no START: nobody knows when it began")
    first = starts[-1]
    zone = zones.get(first["instrument"])
    if zone is None:
        raise ValueError(f"its instrument {first['instrument']!r} is not in the database")
    start = _placed(first["timestamp"], zone)
    end = _placed(ends[-1]["timestamp"], zone) if ends else None
    if end is not None and end <= start:
        raise ValueError(f"it ends ({end}) no later than it starts ({start})")
    status = (ends or starts)[-1]["record_status"]
    return LegacySession(identifier, first["instrument"], start, end, first["user"] or "", status)


def _placed(text: str, zone: str) -> datetime:
    """Read a time; one without an offset, as release 1.4 wrote it, is in the instrument's zone."""
    moment = datetime.fromisoformat(text)
    try:
        return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"the zone of its instrument, {zone!r}, is not an IANA one") from error
