"""Small records to upload."""

import hashlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from nexuslims_contracts.events import Instrument
from nexuslims_uploader.destination import RecordToUpload
from nexuslims_uploader.experiment import NAMESPACE, read_experiment

HOSTILE: Final = """"><script>alert('1')</script> & {{ 7 * 7 }} \u202e Ω 🔬"""
"""A title that breaks whoever pastes it into HTML, a template or a query."""

_ZONE: Final = "America/Denver"
_START: Final = datetime(2018, 11, 13, 9, tzinfo=ZoneInfo(_ZONE))


def small_record_xml(title: str = "A title", *, datasets: int = 1, number: int = 204) -> bytes:
    """Write a small valid record by hand.

    Parameters
    ----------
    title
        Its title; also used for the experimenter and the motivation.
    datasets
        How many it has, in one activity, each with a preview.
    number
        The session's in the calendar.
    """
    text = escape(title)
    parts = "".join(_dataset_xml(number) for number in range(datasets))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Experiment xmlns="{NAMESPACE}">'
        f"<title>{text}</title><id>{number}</id>"
        f'<summary ref="https://calendar.example.org/{number}">'
        f'<experimenter>{text}</experimenter><instrument pid="FEI-Titan-TEM">FEI Titan TEM'
        "</instrument><reservationStart>2018-11-13T09:00:00-07:00</reservationStart>"
        "<reservationEnd>2018-11-13T12:00:00-07:00</reservationEnd>"
        f"<motivation>{text}</motivation></summary>"
        '<acquisitionActivity seqno="0"><startTime>2018-11-13T09:30:00-07:00</startTime>'
        '<setup><param name="Acceleration Voltage" unit="kV">300.0</param></setup>'
        f"{parts}</acquisitionActivity></Experiment>\n"
    ).encode()


def _dataset_xml(number: int) -> str:
    path = f"/Titan_TEM/A%20user/{number:05}.dm3"
    return (
        f'<dataset type="Image" role="Experimental"><name>{number:05}.dm3</name>'
        f"<location>{path}</location><preview>{path}.thumb.png</preview>"
        f'<meta name="Magnification">{number}</meta>'
        '<meta name="Stage X" unit="µm" warning="true">1.5</meta></dataset>'
    )


def record_to_upload(
    xml: bytes | None = None,
    *,
    session: str = "file-1",
    file_name: str = "2018-11-13_FEI-Titan-TEM_204.xml",
) -> RecordToUpload:
    """Make a record on its way, of a session of three hours on an instrument in Denver."""
    content = small_record_xml() if xml is None else xml
    return RecordToUpload(
        session=session,
        xml=content,
        sha256=hashlib.sha256(content).hexdigest(),
        artifact=Path("records", file_name),
        experiment=read_experiment(content),
        instrument=Instrument(
            pid="FEI-Titan-TEM", name="FEI Titan TEM", timezone=_ZONE, filestore="Titan_TEM"
        ),
        start=_START,
        end=_START + timedelta(hours=3),
    )
