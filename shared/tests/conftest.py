"""What the tests of the shared machinery have in common."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from nats.aio.client import Client

from nexuslims_contracts.datasets import ArtifactRef, Dataset, ExtractorVersion
from nexuslims_contracts.events import (
    Event,
    ExtractionFailed,
    FileIndexed,
    Instrument,
    MetadataExtracted,
    RecordBuilt,
    ReservationMatched,
    SessionEnded,
    SessionIndexed,
    SessionStarted,
)
from nexuslims_contracts.identifiers import digest, file_token
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.embedded import start_embedded

INSTRUMENT = Instrument(pid="FEI-Titan-TEM", name="FEI Titan TEM", filestore="Titan_TEM")
START = datetime(2018, 11, 13, 16, tzinfo=UTC)
END = START + timedelta(hours=3)
EXTRACTOR = ExtractorVersion(name="dm", version="1")


class Facts:
    """Makes the events of a session."""

    def __init__(self, session: str = "file-1") -> None:
        self.session = session

    def started(self) -> SessionStarted:
        return SessionStarted(
            session=self.session,
            calendar="file",
            calendar_event="1",
            instrument=INSTRUMENT,
            start=START,
        )

    def ended(self) -> SessionEnded:
        return SessionEnded(session=self.session, instrument=INSTRUMENT, start=START, end=END)

    def matched(self, after: int = 0) -> ReservationMatched:
        return ReservationMatched(session=self.session, tier="calendar", title="T", after=after)

    def token(self, number: int) -> str:
        return file_token(f"f{number}", number, number)

    def indexed(self, number: int) -> FileIndexed:
        return FileIndexed(
            session=self.session,
            file=self.token(number),
            path=f"f{number}",
            size=number,
            mtime_ns=number,
            instrument=INSTRUMENT,
        )

    def manifest(self, count: int, after: int = 0, gone: tuple[int, ...] = ()) -> SessionIndexed:
        return SessionIndexed(
            session=self.session,
            start=START,
            end=END,
            strategy="exclusive",
            count=count,
            files_digest=digest([str(count)]),
            superseded=tuple(self.token(number) for number in gone),
            after=after,
        )

    def extracted(self, number: int, request: str = "") -> MetadataExtracted:
        dataset = Dataset(
            index=0,
            name=f"f{number}",
            dataset_type="Image",
            data_type="TEM_Imaging",
            creation_time=START,
        )
        return MetadataExtracted(
            session=self.session,
            file=self.token(number),
            outcome="extracted",
            extractor=EXTRACTOR,
            datasets=(dataset,),
            request=request,
        )

    def failed(self, number: int) -> ExtractionFailed:
        return ExtractionFailed(
            session=self.session, file=self.token(number), failure="crashed", reason="SIGSEGV"
        )

    def built(self, through: int, sha256: str = "a" * 64) -> RecordBuilt:
        return RecordBuilt(
            session=self.session,
            record=ArtifactRef(path="records/r.xml", sha256=sha256, size=1),
            title="T",
            activities=1,
            datasets=1,
            inputs_through_seq=through,
            inputs_digest="d",
            builder="1",
        )

    def history(self) -> list[Event]:
        """A session with three files, one of which cannot be read."""
        return [
            self.started(),
            self.matched(),
            self.ended(),
            self.indexed(1),
            self.indexed(2),
            self.indexed(3),
            self.manifest(3),
            self.extracted(1),
            self.failed(2),
            self.extracted(3),
            self.built(10),
        ]


@pytest.fixture(scope="session")
def facts() -> Facts:
    return Facts()


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """A connection to a broker of the test's own: nothing can be deleted from the log."""
    broker = start_embedded(tmp_path)
    connection = await connect(broker.url, name="test")
    await provision(connection.jetstream())
    yield connection
    await connection.close()
    broker.stop()
