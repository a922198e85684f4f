"""What the tests of the console have in common."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nexuslims_console.database import Database
from nexuslims_contracts.datasets import ArtifactRef, Dataset, ExtractorVersion
from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.events import (
    Event,
    ExtractionFailed,
    FileIndexed,
    Instrument,
    MetadataExtracted,
    RebuildRequested,
    RecordBuilt,
    RecordUploaded,
    ReservationMatched,
    SessionEnded,
    SessionIndexed,
    SessionStarted,
    UploadFailed,
    UploadPlan,
)
from nexuslims_contracts.identifiers import digest, file_token
from nexuslims_shared.store.memory import MemoryEventStore

INSTRUMENT = Instrument(pid="FEI-Titan-TEM", name="FEI Titan TEM", filestore="Titan")
START = datetime(2018, 11, 13, 16, tzinfo=UTC)
END = START + timedelta(hours=3)
PLAN = UploadPlan(strategy="all", destinations=("archive",))
SHA256 = "a" * 64


class SessionHistory:
    """Makes the events of sessions."""

    def token(self, number: int) -> str:
        return file_token(f"f{number}", number, number)

    def started(self, session: str) -> SessionStarted:
        return SessionStarted(
            session=session,
            calendar="file",
            calendar_event=session,
            instrument=INSTRUMENT,
            start=START,
        )

    def ended(self, session: str) -> SessionEnded:
        return SessionEnded(session=session, instrument=INSTRUMENT, start=START, end=END)

    def matched(self, session: str, title: str = "Gold on carbon") -> ReservationMatched:
        return ReservationMatched(session=session, tier="calendar", title=title, after=0)

    def indexed(self, session: str, number: int) -> FileIndexed:
        return FileIndexed(
            session=session,
            file=self.token(number),
            path=f"f{number}",
            size=number,
            mtime_ns=number,
            instrument=INSTRUMENT,
        )

    def manifest(self, session: str, count: int) -> SessionIndexed:
        return SessionIndexed(
            session=session,
            start=START,
            end=END,
            strategy="exclusive",
            count=count,
            files_digest=digest([str(count)]),
            after=0,
        )

    def extracted(self, session: str, number: int) -> MetadataExtracted:
        dataset = Dataset(
            index=0,
            name=f"f{number}",
            dataset_type="Image",
            data_type="TEM_Imaging",
            creation_time=START,
        )
        return MetadataExtracted(
            session=session,
            file=self.token(number),
            outcome="extracted",
            extractor=ExtractorVersion(name="dm", version="1"),
            datasets=(dataset,),
        )

    def failed(self, session: str, number: int) -> ExtractionFailed:
        return ExtractionFailed(
            session=session, file=self.token(number), failure="crashed", reason="SIGSEGV"
        )

    def built(self, session: str, through: int) -> RecordBuilt:
        return RecordBuilt(
            session=session,
            record=ArtifactRef(path=f"records/{session}.xml", sha256=SHA256, size=1),
            title="Gold on carbon",
            activities=1,
            datasets=1,
            failures=1,
            inputs_through_seq=through,
            inputs_digest="d",
            builder="1",
        )

    def uploaded(self, session: str) -> RecordUploaded:
        return RecordUploaded(
            session=session,
            destination="archive",
            record_sha256=SHA256,
            plan=PLAN,
            record_id=session,
            url=f"file:///records/{session}.xml",
            after=0,
        )

    def upload_failed(self, session: str) -> UploadFailed:
        return UploadFailed(
            session=session,
            destination="archive",
            record_sha256=SHA256,
            plan=PLAN,
            reason="the disk is full",
            permanent=True,
            after=0,
        )

    def rebuild(self, session: str) -> RebuildRequested:
        return RebuildRequested(session=session, request="r1")

    def inputs(self, session: str) -> list[Event]:
        """All that a record is made of: two files, one of which cannot be read."""
        return [
            self.started(session),
            self.matched(session),
            self.ended(session),
            self.indexed(session, 1),
            self.indexed(session, 2),
            self.manifest(session, 2),
            self.extracted(session, 1),
            self.failed(session, 2),
        ]

    async def complete(self, store: MemoryEventStore, session: str) -> None:
        """Tell a whole session to a store."""
        for event in self.inputs(session):
            await self.tell(store, event)
        await self.tell(store, self.built(session, await store.last_sequence()))
        await self.tell(store, self.uploaded(session))

    async def tell(self, store: MemoryEventStore, event: Event) -> int:
        envelope = envelop(event, source="nexuslims/test", time=START)
        return (await store.append(envelope)).sequence


@pytest.fixture(scope="session")
def history() -> SessionHistory:
    return SessionHistory()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'read-model.db'}")
    made.prepare()
    yield made
    made.close()
