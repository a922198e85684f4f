"""Facts that the builder's tests share."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from nexuslims_builder.app import Builder
from nexuslims_builder.inputs import FileInput, RecordInput
from nexuslims_builder.signals import SignalReader
from nexuslims_contracts.datasets import ArtifactRef, Dataset, ExtractorVersion
from nexuslims_contracts.envelope import Recorded, envelop
from nexuslims_contracts.events import (
    BookingTexts,
    Event,
    MetadataExtracted,
    Project,
    RecordBuilt,
    RecordRejected,
    Sample,
)
from nexuslims_contracts.identifiers import file_token
from nexuslims_contracts.record.model import Experiment
from nexuslims_contracts.record.reader import read_record
from nexuslims_contracts.testing import SessionEvents
from nexuslims_shared.artifacts import read_artifact, write_artifact
from nexuslims_shared.people import MemoryPeople
from nexuslims_shared.service import ServiceContext
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.memory import MemoryEventStore
from nexuslims_shared.store.port import read_session

ZONE = ZoneInfo("America/Denver")
START = datetime(2018, 11, 13, 9, tzinfo=ZONE)


@pytest.fixture(scope="session")
def make_reading() -> Callable[..., MetadataExtracted]:
    """Events of a file with one image; arguments are facts of its dataset."""

    def make(**facts: object) -> MetadataExtracted:
        dataset = {
            "index": 0,
            "name": "x",
            "dataset_type": "Image",
            "data_type": "TEM_Imaging",
            "creation_time": START,
            "shape": (4, 2),
            **facts,
        }
        return MetadataExtracted(
            session="file-204",
            file=file_token("x", 1, 1),
            outcome="extracted",
            extractor=ExtractorVersion(name="dm", version="1.0"),
            datasets=(Dataset(**dataset),),
        )

    return make


@pytest.fixture(scope="session")
def make_file() -> Callable[..., FileInput]:
    def make(path: str, mtime: float, signals: int = 1, **metadata: object) -> FileInput:
        datasets = tuple(
            Dataset(
                index=index,
                name=path,
                dataset_type="Image",
                data_type="TEM_Imaging",
                creation_time=datetime.fromtimestamp(mtime, UTC),
                shape=(64, 32),
                metadata={
                    "acceleration_voltage": {"value": 300.0, "unit": "kV"},
                    "magnification": {"value": 1000.0 + mtime % 7, "unit": ""},
                    **metadata,
                },
                extensions={"gatan_binning": {"horizontal": 1, "vertical": 1}},
                warnings=("operator",),
                preview=ArtifactRef(path=f"{path}.thumb.png", sha256="a" * 64, size=1),
            )
            for index in range(signals)
        )
        event = MetadataExtracted(
            session="file-204",
            file=file_token(path, 1, int(mtime)),
            outcome="extracted",
            extractor=ExtractorVersion(name="dm", version="1.0"),
            datasets=datasets,
        )
        return FileInput(
            token=event.file, path=path, mtime=mtime, signals=SignalReader().read(event)
        )

    return make


@pytest.fixture(scope="session")
def make_record(make_file) -> Callable[..., RecordInput]:
    def make(*files: FileInput, **changes: object) -> RecordInput:
        base = START.timestamp()
        default = (
            *(make_file(f"Titan/a {n}.dm3", base + 60 * n) for n in range(3)),
            *(
                make_file(f"Titan/b {n}.dm3", base + 7200 + 70 * n * n, operator="x")
                for n in range(3)
            ),
        )
        facts: dict[str, object] = {
            "session": "file-204",
            "digest": "d" * 64,
            "through": 17,
            "event_id": "204",
            "title": "EDX of platinum & nickel <test>",
            "instrument_pid": "FEI-Titan-TEM",
            "instrument_name": "FEI Titan TEM",
            "timezone": "America/Denver",
            "session_start": START,
            "start": START,
            "end": START.replace(hour=15),
            "url": "https://nemo.example.org/event_details/usage/204/?a=1&b=2",
            "experimenters": ("Ned Land (ned)",),
            "motivation": "Testing",
            "samples": (
                Sample(id="s-1", name="The sample", elements=("Ni", "Pt", "Xx")),
                Sample(id="s-2", ref="abc"),
            ),
            "projects": (Project(project_id="P-1"),),
            "files": tuple(sorted(files or default, key=lambda file: (file.mtime, file.path))),
        }
        return RecordInput(**{**facts, **changes})

    return make


EVENTS = SessionEvents()


class Facility:
    """A log, a folder of records, and the builders that work on them."""

    def __init__(self, folder: Path) -> None:
        (folder / "instruments").mkdir()
        self.settings = Settings(
            instrument_data_path=folder / "instruments",
            data_path=folder / "data",
            state_path=folder / "state",
        )
        self.store = MemoryEventStore()
        self.people = MemoryPeople()
        self.builder = self.another()

    def another(self) -> Builder:
        return Builder(ServiceContext(self.settings, self.store, self.people, None, None))  # type: ignore[arg-type]

    async def history(self) -> list[Recorded]:
        return await read_session(self.store, EVENTS.session)

    async def tell(self, *events: Event, builder: Builder | None = None) -> None:
        """Store events, and hand the last one to a builder."""
        for event in events:
            await self.store.append(envelop(event, source="test"))
        last = (await self.history())[-1]
        await (builder or self.builder).handle((last,))

    def with_extensions(self, number: int, **extensions: object) -> MetadataExtracted:
        """The n-th file was read, and its extensions are too long for the event."""
        document = json.dumps({"nx_meta": {"extensions": extensions}}).encode()
        artifact = write_artifact(self.settings.data_path, f"f{number}.json", document)
        return EVENTS.extracted(number, artifacts=(artifact,), extensions_in_artifact=True)

    def with_motivation(self, text: str) -> list[Event]:
        """All that a record is made of; why the session was held is too long for an event."""
        document = BookingTexts(title="t", purpose=text).model_dump_json().encode()
        whole = write_artifact(self.settings.data_path, "booking.json", document)
        inputs = EVENTS.inputs()
        place = next(i for i, one in enumerate(inputs) if one.kind() == "reservation-matched")
        inputs[place] = inputs[place].model_copy(update={"complete": whole})
        return inputs

    async def outcomes(self) -> list[RecordBuilt | RecordRejected]:
        kinds = RecordBuilt | RecordRejected
        return [one.event for one in await self.history() if isinstance(one.event, kinds)]

    async def record(self) -> Experiment:
        """The record that was built last, as it is on the disk."""
        built = (await self.outcomes())[-1]
        assert isinstance(built, RecordBuilt)
        return read_record(read_artifact(self.settings.records, built.record))


@pytest.fixture
def facility(tmp_path: Path) -> Facility:
    return Facility(tmp_path)
