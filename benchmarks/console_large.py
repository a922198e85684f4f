"""A session of 50,000 files with its record, made up, for the console's pages."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from nexuslims_console.archive.rows import DatasetRow, RecordRow, dataset_id
from nexuslims_console.archive.tables import ArchiveDatabase
from nexuslims_console.archive.writing import put_session
from nexuslims_console.database import Database
from nexuslims_console.views import event_row, session_row
from nexuslims_console.writing import Changes, write
from nexuslims_contracts.datasets import ArtifactRef
from nexuslims_contracts.identifiers import file_token
from nexuslims_contracts.record.model import Activity, Dataset, Experiment, Parameter
from nexuslims_contracts.record.writer import write_record
from nexuslims_contracts.testing import END, START, SessionEvents, recorded
from nexuslims_shared.artifacts import write_artifact
from nexuslims_shared.session.state import fold

FILES: Final = 50_000
LARGE: Final = "nemo-1-usage-large"
_ACTIVITIES: Final = 500
_PARAMETERS: Final = 8
_TOKENS: Final = tuple(file_token(f"Titan/{number}.dm3", 1, 1) for number in range(FILES))


def put_large_session(url: str, records: Path) -> None:
    """Add the session to tables that are there, after all that is in them.

    Parameters
    ----------
    url
        SQLAlchemy address of the read model and the archive.
    records
        Folder that its record is written into.
    """
    record = write_large_record(records)
    _put_events(url, record)
    database = ArchiveDatabase(url)
    row = RecordRow(
        session=LARGE, title="A large session", start=START, end=END, instrument_pid="Titan-1",
        instrument="Titan-1", samples="", elements="", path=record.path, sha256=record.sha256,
        size=record.size, activities=_ACTIVITIES, datasets=FILES,
    )  # fmt: skip
    datasets = [_dataset_row(number, token) for number, token in enumerate(_TOKENS)]
    with database.writing() as (connection, tables):
        put_session(connection, tables, LARGE, (row, datasets))
    database.close()


def write_large_record(records: Path) -> ArtifactRef:
    """Write the record into a folder, the same at each time."""
    own = tuple(Parameter(f"Parameter {one}", str(one), "nm") for one in range(_PARAMETERS))
    of_each = FILES // _ACTIVITIES
    activities = tuple(
        Activity(
            start=(START + timedelta(minutes=number)).isoformat(),
            setup=(Parameter("Acceleration Voltage", "300", "kV"),),
            datasets=tuple(
                Dataset(f"{one}.dm3", f"Titan/{one}.dm3", type="Image", parameters=own)
                for one in range(number * of_each, (number + 1) * of_each)
            ),
        )
        for number in range(_ACTIVITIES)
    )
    experiment = Experiment(title="A large session", id=LARGE, activities=activities)
    return write_artifact(records, "large.xml", write_record(experiment))


def _put_events(url: str, record: ArtifactRef) -> None:
    made = SessionEvents(LARGE)
    numbered = list(enumerate(_TOKENS, 1))
    events = [
        made.started(),
        made.matched(title="A large session"),
        made.ended(),
        *(made.indexed(number, file=token) for number, token in numbered),
        made.manifest(FILES),
        *(made.extracted(number, file=token) for number, token in numbered),
    ]
    database = Database(url)
    with database.reading() as (connection, tables):
        after = max(row.sequence for row in connection.execute(tables.position.select()))
    log = recorded(events, after=after)
    row = replace(
        session_row(fold(log)),
        record_path=record.path,
        record_sha256=record.sha256,
        activities=_ACTIVITIES,
        datasets=FILES,
    )
    changes = Changes([row], list(map(event_row, log)), (), frozenset())
    with database.writing() as (connection, tables):
        write(connection, tables, changes, after=after, last=after + len(log))
    database.close()


def _dataset_row(number: int, token: str) -> DatasetRow:
    taken = START + timedelta(seconds=number)
    return DatasetRow(
        id=dataset_id(taken, token, 0), session=LARGE, file=token, number=0,
        location=f"Titan/{number}.dm3", name=f"{number}.dm3", preview="", taken=taken,
        dataset_type="Image", data_type="TEM_Imaging", shape="1024 x 1024", elements="",
        text="a large session", instrument_pid="Titan-1",
        quantities={"acceleration_voltage": 300.0},
    )  # fmt: skip
