"""What the tests of the console have in common."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nexuslims_console.database import Database
from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.events import Event, RecordBuilt, RecordUploaded
from nexuslims_contracts.testing import START, SessionEvents
from nexuslims_shared.store.memory import MemoryEventStore


class SessionHistory:
    """States events of sessions to a store."""

    def inputs(self, session: str) -> list[Event]:
        """All that a record is made of: two files, one of which cannot be read."""
        made = SessionEvents(session)
        return [
            made.started(),
            made.matched(title="Gold on carbon"),
            made.ended(),
            made.indexed(1),
            made.indexed(2),
            made.manifest(2),
            made.extracted(1),
            made.failed(2),
        ]

    def built(self, session: str, through: int) -> RecordBuilt:
        path = f"records/{session}.xml"
        record = SessionEvents(session).built(through).record.model_copy(update={"path": path})
        return SessionEvents(session).built(through, record=record, failures=1)

    def uploaded(self, session: str) -> RecordUploaded:
        url = f"file:///records/{session}.xml"
        return SessionEvents(session).uploaded(record_id=session, url=url)

    async def complete(self, store: MemoryEventStore, session: str) -> None:
        """State a whole session."""
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
