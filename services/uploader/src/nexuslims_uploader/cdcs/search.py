"""Finding the record of a session in CDCS, which has no key of ours and lets titles repeat.

A record's title is the name of its file, as the incumbent gives it; earlier releases took the
session's token. What has one of these titles, or the id that the events know, is the session's if
it also says so: in its provenance, by the session's address in the calendar, or without one by our
instrument and the calendar's number. If none is found so, CDCS is asked for that content, because
a session that was moved to another day has another title.
"""

from typing import Any, Final

from nexuslims_contracts.errors import UnreadableRecordError
from nexuslims_contracts.record.model import Experiment
from nexuslims_contracts.record.provenance import session_of
from nexuslims_contracts.record.reader import read_record
from nexuslims_uploader.cdcs.client import CdcsClient
from nexuslims_uploader.cdcs.shapes import Data
from nexuslims_uploader.destination import RecordToUpload

_DATE: Final = len("2018-11-13")


async def find_records(client: CdcsClient, record: RecordToUpload, known: str) -> list[Data]:
    """Return the session's records, first the one to keep; the others are duplicates.

    What we did not make comes first, so that a record of the incumbent is taken over and links to
    it stay good; then the one that the events know; then the oldest.

    Parameters
    ----------
    client
        The connection.
    record
        Our record.
    known
        Number of the session's record by what the events say; empty if they do not know one.
    """
    titled = await client.find((record.artifact.stem, record.session), record.session)
    ours = [one for one in titled if str(one.id) == known or _is_ours(one, record)]
    if known and all(str(one.id) != known for one in titled):
        renamed = await client.get(known, record.session)
        if renamed is not None and _is_ours(renamed, record):
            ours.append(renamed)
    content = _content(record.experiment)
    if not ours and content:
        found = await client.find_content(content, record.session)
        ours = [one for one in found if _is_ours(one, record)]
    if len(ours) > 1:
        ours.sort(key=lambda one: (is_by_us(one, record), str(one.id) != known))
    return ours


def is_by_us(data: Data, record: RecordToUpload) -> bool:
    """Tell whether we made a record of the session, and not the incumbent.

    Parameters
    ----------
    data
        A record of the session.
    record
        Our record.
    """
    if data.title == record.session or data.xml_content == record.xml.decode():
        return True
    there = _read(data)
    return there is not None and session_of(there) == record.session


def title_for(data: Data, record: RecordToUpload) -> str:
    """Return the title that a record is to have: its file's name, unless a person gave it another.

    Parameters
    ----------
    data
        The record that is there.
    record
        Our record.
    """
    title = record.artifact.stem
    is_ours = data.title == record.session or data.title[_DATE:] == title[_DATE:]
    return title if is_ours else data.title


def _is_ours(data: Data, record: RecordToUpload) -> bool:
    """Tell a record of the session from another that has the same title, or the same id."""
    if data.xml_content == record.xml.decode():
        return True
    there, here = _read(data), record.experiment
    if there is None:
        return False
    made_of = session_of(there)
    if made_of and made_of != record.session:
        return False
    if there.url and here.url:
        return there.url == here.url
    return bool(made_of) or (there.id, there.instrument_pid) == (here.id, here.instrument_pid)


def _read(data: Data) -> Experiment | None:
    try:
        return read_record(data.xml_content.encode())
    except UnreadableRecordError:
        return None


def _content(experiment: Experiment) -> dict[str, Any]:
    """Return the query for the records of a session; empty if it has nothing to ask for."""
    if experiment.url:
        return {"Experiment.summary.@ref": experiment.url}
    if not (experiment.id and experiment.instrument_pid):
        return {}
    number = int(experiment.id) if experiment.id.isdecimal() else experiment.id
    return {
        "$and": [
            {"Experiment.summary.instrument.@pid": experiment.instrument_pid},
            {"Experiment.id": number},
        ]
    }
