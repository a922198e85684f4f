"""A facility that runs NexusLIMS: its database at several releases, its records, its settings."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

NEMO: Final = "https://nemo.example.org/api/"
RELEASES: Final = ("1.4", "2.4", "2.5")

_COMPUTER: Final = "computer_name, computer_ip, computer_mount"
_INSTRUMENTS: Final = {
    "1.4": f"instrument_pid PRIMARY KEY, api_url UNIQUE, calendar_name, calendar_url, location,"
    f" schema_name, property_tag, filestore_path, harvester, timezone, {_COMPUTER}",
    "2.5": "instrument_pid PRIMARY KEY, api_url UNIQUE, calendar_url, location, display_name,"
    " property_tag, filestore_path, harvester, timezone",
}
_SESSION_LOG: Final = (
    "id_session_log INTEGER PRIMARY KEY, session_identifier, instrument, timestamp, event_type,"
    " record_status, user"
)
_UPLOAD_LOG: Final = (
    "id INTEGER PRIMARY KEY, session_identifier, destination_name, success BOOLEAN, timestamp,"
    " record_id, record_url, error_message, metadata_json"
)
_USERS: Final = (
    "id INTEGER PRIMARY KEY, nexuslims_username, external_system, external_id, email, created_at,"
    " last_verified_at, notes"
)

TITAN: Final = {
    "instrument_pid": "FEI-Titan-TEM",
    "api_url": f"{NEMO}tools/?id=10",
    "calendar_url": "https://nemo.example.org/calendar/fei-titan-tem/",
    "location": "Building 223",
    "property_tag": "635816",
    "filestore_path": "./Titan",
    "harvester": "nemo",
    "timezone": "America/Denver",
}
SHAREPOINT: Final = {
    **TITAN,
    "instrument_pid": "JEOL-3010",
    "api_url": "https://sharepoint.example.org/JEOL",
    "filestore_path": "/JEOL",
    "harvester": "sharepoint",
}

RECORD: Final = """<?xml version="1.0" encoding="UTF-8"?>
<Experiment xmlns="https://data.nist.gov/od/dm/nexus/experiment/v1.0">
  <title>Gold on carbon</title>
  <id>7</id>
  <summary>
    <experimenter>Ada Lovelace (ada)</experimenter>
    <instrument pid="FEI-Titan-TEM">FEI Titan TEM</instrument>
    <motivation>Thickness</motivation>
  </summary>
  <sample id="s-1"><name>Gold</name></sample>
  <acquisitionActivity seqno="0">
    <startTime>2026-03-02T10:10:00-07:00</startTime>
    <setup><param name="Voltage" unit="V">300000.0</param></setup>
    <dataset type="Image" role="Experimental">
      <name>image.txt</name><location>/Titan/image.txt</location>
    </dataset>
  </acquisitionActivity>
</Experiment>
"""


def make_database(path: Path, release: str = "2.5") -> None:
    """Make the tables of a release, with two instruments and no sessions."""
    columns = _INSTRUMENTS["2.5" if release == "2.5" else "1.4"]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE instruments ({columns})")
        connection.execute(f"CREATE TABLE session_log ({_SESSION_LOG})")
        if release != "1.4":
            connection.execute(f"CREATE TABLE upload_log ({_UPLOAD_LOG})")
        if release == "2.5":
            connection.execute(f"CREATE TABLE external_user_identifiers ({_USERS})")
    name = "display_name" if release == "2.5" else "schema_name"
    old = {} if release == "2.5" else {"calendar_name": "FEI Titan"}
    insert(path, "instruments", **TITAN, **old, **{name: "FEI Titan TEM"})
    insert(path, "instruments", **SHAREPOINT, **old, **{name: "JEOL 3010"})


def insert(path: Path, table: str, **row: Any) -> None:
    """Add a row."""
    marks = ", ".join("?" * len(row))
    with closing(sqlite3.connect(path)) as connection, connection:
        statement = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"  # noqa: S608 - ours
        connection.execute(statement, tuple(row.values()))


def add_session(
    path: Path,
    identifier: str,
    status: str,
    *,
    instrument: str = "FEI-Titan-TEM",
    day: str = "2026-03-02",
    ends: tuple[str, ...] = ("T12:00:00-07:00",),
) -> None:
    """Add the rows of one session."""
    common = {"session_identifier": identifier, "instrument": instrument, "user": "ada"}
    times = [("START", "T10:00:00-07:00"), *(("END", end) for end in ends)]
    for kind, time in times:
        insert(
            path,
            "session_log",
            **common,
            timestamp=day + time,
            event_type=kind,
            record_status=status,
        )


def add_upload(path: Path, identifier: str, destination: str, *, success: bool = True) -> None:
    """Add an attempt to upload a record."""
    insert(
        path,
        "upload_log",
        session_identifier=identifier,
        destination_name=destination,
        success=success,
        timestamp="2026-03-03T10:00:00-07:00",
        record_id="abc" if success else None,
        record_url="https://cdcs.example.org/data?id=abc" if success else None,
    )


def usage(number: int) -> str:
    """Return the identifier of a session of NEMO."""
    return f"{NEMO}usage_events/?id={number}"


def make_facility(folder: Path, release: str = "2.5") -> Path:
    """Make a facility with one completed session, its record and its settings; return the .env."""
    database = folder / "nexuslims.db"
    make_database(database, release)
    add_session(database, usage(7), "COMPLETED")
    records = folder / "data" / "records" / "uploaded"
    records.mkdir(parents=True)
    (records / "2026-03-02_FEI-Titan-TEM_7.xml").write_text(RECORD)
    (folder / "files" / "Titan").mkdir(parents=True)
    env = folder / ".env"
    env.write_text(
        f"NX_INSTRUMENT_DATA_PATH={folder / 'files'}\nNX_DATA_PATH={folder / 'data'}\n"
        f"NX_DB_PATH={database}\nNX_NEMO_ADDRESS_1={NEMO}\nNX_NEMO_TOKEN_1=secret\n"
        "NX_CDCS_URL=https://cdcs.example.org/\nNX_CDCS_TOKEN=secret\n"
    )
    return env
