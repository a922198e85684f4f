"""What the tests of the uploader have in common."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nexuslims_contracts.envelope import Recorded, envelop
from nexuslims_contracts.events import Event, RecordUploaded, UploadFailed
from nexuslims_contracts.testing import SessionEvents
from nexuslims_shared.artifacts import write_artifact
from nexuslims_shared.dead_letters import MemoryDeadLetters
from nexuslims_shared.people import MemoryPeople
from nexuslims_shared.service import ServiceContext
from nexuslims_shared.session.state import fold
from nexuslims_shared.session.status import exported
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.memory import MemoryEventStore
from nexuslims_shared.store.port import read_session
from nexuslims_uploader.guarded_calls import GuardedCalls
from nexuslims_uploader.testing import small_record_xml
from nexuslims_uploader.uploader import Uploader

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ONE = small_record_xml("One")


@pytest.fixture(scope="session")
def facts() -> SessionEvents:
    return SessionEvents()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "instruments").mkdir()
    return Settings(
        instrument_data_path=tmp_path / "instruments",
        data_path=tmp_path / "data",
        state_path=tmp_path / "state",
    )


@pytest.fixture
def put_record(settings: Settings) -> Callable[..., Any]:
    """Writes a record where the builder would."""

    def put(content: bytes, name: str = "file-1.xml") -> None:
        write_artifact(settings.records, name, content)

    return put


class UploaderHarness:
    """An uploader, its log of events, and the record's folder."""

    def __init__(self, settings, facts, put_record: Callable[..., Any], store: Any) -> None:
        self.settings, self.facts, self.put_record, self.store = settings, facts, put_record, store
        self.uploader: Uploader
        self.clock = 0.0

    def context(self, strategy: str = "all") -> ServiceContext:
        settings = self.settings.model_copy(update={"export_strategy": strategy})
        return ServiceContext(settings, self.store, MemoryPeople(), MemoryDeadLetters(), None)  # type: ignore[arg-type]

    def use(self, *destinations: Any, strategy: str = "all") -> Uploader:
        names = [destination.name for destination in destinations]
        calls = GuardedCalls(names, clock=lambda: self.clock, now=lambda: NOON)
        self.uploader = Uploader(self.context(strategy), destinations, calls)
        return self.uploader

    async def append(self, *events: Event) -> None:
        for event in events:
            await self.store.append(envelop(event, source="test"))

    async def begin(self, content: bytes = ONE) -> None:
        await self.append(self.facts.matched(), self.facts.ended())
        await self.build(content)

    async def build(self, content: bytes, through: int = 2) -> None:
        self.put_record(content)
        await self.append(self.facts.built(through, content))

    async def history(self) -> list[Recorded]:
        return await read_session(self.store, self.facts.session)

    async def handle(self, uploader: Uploader | None = None) -> None:
        self.clock += 6
        await (uploader or self.uploader).handle(tuple((await self.history())[-1:]))

    async def upload_events(self) -> list[RecordUploaded | UploadFailed]:
        kinds = RecordUploaded | UploadFailed
        return [one.event for one in await self.history() if isinstance(one.event, kinds)]

    async def exported(self) -> bool | None:
        return exported(fold(await self.history()))


@pytest.fixture
def harness(settings, facts, put_record) -> UploaderHarness:
    return UploaderHarness(settings, facts, put_record, MemoryEventStore())
