"""Finished sessions with records, for the benchmarks of the uploader."""

import asyncio
from datetime import UTC, datetime, timedelta

from nexuslims_contracts.envelope import Envelope, envelop
from nexuslims_contracts.events import (
    Event,
    Instrument,
    RecordBuilt,
    ReservationMatched,
    SessionEnded,
)
from nexuslims_shared.artifacts import write_artifact
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.port import EventStore
from nexuslims_uploader.testing import small_record_xml

_START = datetime(2018, 11, 13, 16, tzinfo=UTC)
_DATASET_BYTES = 245
"""Of a dataset in a small record, about."""


async def write_sessions(
    settings: Settings, store: EventStore, count: int, size: int = 0
) -> dict[str, bytes]:
    """Write records and the events that tell of them; returns the records by session.

    Parameters
    ----------
    settings
        Where records are.
    store
        Where events are.
    count
        How many sessions.
    size
        Bytes of a record, about.
    """
    records = {
        f"file-{number}": small_record_xml(
            f"Körner {number}",
            datasets=size // _DATASET_BYTES,
            number=number,
            session=f"file-{number}",
        )
        for number in range(1, count + 1)
    }
    for session, xml in records.items():
        events = await asyncio.to_thread(_events, settings, session, xml)
        await store.append_all(events)
    return records


def _events(settings: Settings, session: str, xml: bytes) -> list[Envelope]:
    instrument = Instrument(
        pid="FEI-Titan-TEM", name="FEI Titan TEM", timezone="America/Denver", filestore="Titan_TEM"
    )
    name = f"2018-11-13_FEI-Titan-TEM_{session}.xml"
    record = write_artifact(settings.records, name, xml)
    events: list[Event] = [
        ReservationMatched(session=session, tier="calendar", title="Körner", after=0),
        SessionEnded(
            session=session,
            instrument=instrument,
            start=_START,
            end=_START + timedelta(hours=3),
        ),
        RecordBuilt(
            session=session,
            record=record,
            title="Körner",
            activities=1,
            datasets=0,
            inputs_through_seq=2,
            inputs_digest="d",
            builder="1",
        ),
    ]
    return [envelop(event, source="nexuslims/bench") for event in events]
