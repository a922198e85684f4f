"""Records of which none may be shown: they go, and come back with the consent."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nexuslims_builder.app import Builder
from nexuslims_contracts.envelope import Recorded, envelop
from nexuslims_contracts.events import (
    ConsentDeclined,
    Event,
    ExtractionFailed,
    FileIndexed,
    Instrument,
    RecordBuilt,
    ReservationMatched,
    ReservationMissing,
    SessionCancelled,
    SessionEnded,
    SessionIndexed,
    SessionRevised,
    WithdrawalRequested,
)
from nexuslims_contracts.identifiers import digest, file_token
from nexuslims_shared.people import MemoryPeople
from nexuslims_shared.service import ServiceContext
from nexuslims_shared.session.state import fold
from nexuslims_shared.session.status import Status, progress
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.memory import MemoryEventStore

SESSION = "file-1"
TITAN = Instrument(pid="titan", name="Titan", filestore="titan")
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
TIMES = {"session": SESSION, "start": START, "end": START + timedelta(hours=3)}


class Facility:
    """A builder at work on one session with one file."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(instrument_data_path=folder, data_path=folder)
        self.store = MemoryEventStore()
        self.records = settings.records
        context = ServiceContext(settings, self.store, MemoryPeople(), None, None)  # type: ignore[arg-type]
        self.builder = Builder(context)

    async def state(self, *events: Event) -> None:
        """Store events, and have the builder hear of the last."""
        for event in events:
            stored = await self.store.append(envelop(event, source="test"))
        await self.builder.handle((await self.store.get(stored.sequence),))

    async def standing(self) -> tuple[str, str, int, int]:
        """Status, phase, how many records were built, and how many are in the folder."""
        items = [item async for item in self.store.read() if isinstance(item, Recorded)]
        at = progress(fold(items))
        built = sum(isinstance(item.event, RecordBuilt) for item in items)
        return at.status, at.phase, built, len(list(self.records.rglob("*.xml")))


@pytest.fixture
async def facility(tmp_path: Path) -> Facility:
    """With a record."""
    made = Facility(tmp_path)
    token = file_token("a", 1, 1)
    await made.state(
        ReservationMatched(session=SESSION, tier="calendar", title="Gold", after=0),
        SessionEnded(**TIMES, instrument=TITAN),
        FileIndexed(session=SESSION, file=token, path="a", size=1, mtime_ns=1, instrument=TITAN),
        SessionIndexed(
            **TIMES, strategy="exclusive", count=1, files_digest=digest([token]), after=0
        ),
        ExtractionFailed(session=SESSION, file=token, failure="unsupported", reason="no reader"),
    )
    assert (await made.standing())[2:] == (1, 1)
    return made


@pytest.mark.parametrize(
    ("cause", "cure", "status"),
    [
        (
            ConsentDeclined(session=SESSION, tier="post-run", reason="declined", after=1),
            ReservationMatched(session=SESSION, tier="calendar", title="Gold", after=7),
            Status.NO_CONSENT,
        ),
        (
            ReservationMissing(session=SESSION, reason="not booked", after=1),
            ReservationMatched(session=SESSION, tier="calendar", title="Gold", after=7),
            Status.NO_RESERVATION,
        ),
        (
            SessionCancelled(session=SESSION, reason="deleted", after=2),
            SessionRevised(**TIMES, instrument=TITAN, after=7),
            Status.CANCELLED,
        ),
        (
            WithdrawalRequested(session=SESSION, request="1"),
            WithdrawalRequested(session=SESSION, request="2", withdrawn=False),
            Status.NO_CONSENT,
        ),
    ],
)
async def test_a_record_that_may_not_be_shown_goes_and_comes_back(
    facility: Facility, cause: Event, cure: Event, status: Status
) -> None:
    await facility.state(cause)
    at = await facility.standing()
    assert (at[0], at[2], at[3]) == (status, 1, 0)
    await facility.state(cure)
    assert await facility.standing() == (Status.TO_BE_BUILT, "uploading", 2, 1)
