"""Small records to upload."""

import hashlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from nexuslims_contracts.events import Instrument
from nexuslims_contracts.record.model import (
    Activity,
    Dataset,
    Experiment,
    Notes,
    Parameter,
    TextEntry,
)
from nexuslims_contracts.record.provenance import SOURCE, made_of
from nexuslims_contracts.record.reader import read_record
from nexuslims_contracts.record.writer import write_record
from nexuslims_uploader.destination import RecordToUpload

HOSTILE: Final = """"><script>alert('1')</script> & {{ 7 * 7 }} \u202e Ω 🔬"""
"""A title that breaks whoever pastes it into HTML, a template or a query."""

_ZONE: Final = "America/Denver"
_START: Final = datetime(2018, 11, 13, 9, tzinfo=ZoneInfo(_ZONE))


def small_record_xml(
    title: str = "A title", *, datasets: int = 1, number: int = 204, session: str = "file-1"
) -> bytes:
    """Write a small valid record.

    Parameters
    ----------
    title
        Its title; also used for the experimenter and the motivation.
    datasets
        How many it has, in one activity, each with a preview.
    number
        The session's in the calendar.
    session
        Token of the session, which the record names as ours do; empty for another tool's record.
    """
    remarks = TextEntry((made_of(session, 3, "d" * 64),))
    return write_record(
        Experiment(
            title=title,
            id=str(number),
            url=f"https://calendar.example.org/{number}",
            experimenters=(title,),
            instrument="FEI Titan TEM",
            instrument_pid="FEI-Titan-TEM",
            start="2018-11-13T09:00:00-07:00",
            end="2018-11-13T12:00:00-07:00",
            motivation=title,
            activities=(
                Activity(
                    start="2018-11-13T09:30:00-07:00",
                    setup=(Parameter("Acceleration Voltage", "300.0", "kV"),),
                    datasets=tuple(map(_dataset, range(datasets))),
                ),
            ),
            notes=(Notes((remarks,), source=SOURCE),) if session else (),
        )
    )


def _dataset(number: int) -> Dataset:
    path = f"Titan_TEM/A user/{number:05}.dm3"
    return Dataset(
        f"{number:05}.dm3",
        path,
        type="Image",
        role="Experimental",
        previews=(f"{path}.thumb.png",),
        parameters=(
            Parameter("Magnification", str(number)),
            Parameter("Stage X", "1.5", "µm", unreliable=True),
        ),
    )


def record_to_upload(
    xml: bytes | None = None,
    *,
    session: str = "file-1",
    file_name: str = "2018-11-13_FEI-Titan-TEM_204.xml",
) -> RecordToUpload:
    """Make a record on its way, of a session of three hours on an instrument in Denver.

    Parameters
    ----------
    xml
        The content; a small record if not given.
    session
        Token of the session.
    file_name
        Name of the record's file.
    """
    content = small_record_xml(session=session) if xml is None else xml
    return RecordToUpload(
        session=session,
        xml=content,
        sha256=hashlib.sha256(content).hexdigest(),
        artifact=Path("records", file_name),
        experiment=read_record(content),
        instrument=Instrument(
            pid="FEI-Titan-TEM", name="FEI Titan TEM", timezone=_ZONE, filestore="Titan_TEM"
        ),
        start=_START,
        end=_START + timedelta(hours=3),
    )
