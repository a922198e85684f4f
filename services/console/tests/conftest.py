"""What the tests of the console have in common."""

import os
from collections.abc import Callable, Iterator

import pytest
from services.console.tests.postgresql import Server, find_binaries, running

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


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    binaries = find_binaries()
    if binaries is None:
        absent = pytest.fail if os.environ.get("CI") else pytest.skip
        absent("PostgreSQL's server is not installed: apt-get install postgresql")
    with running(binaries) as server:
        yield server


@pytest.fixture(
    scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def empty_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], str]:
    """Gives addresses of empty databases, of each kind that is supported."""
    if request.param == "sqlite":
        return lambda: f"sqlite:///{tmp_path_factory.mktemp('read-model') / 'read-model.db'}"
    server: Server = request.getfixturevalue("postgresql")
    return server.new_database


@pytest.fixture(scope="session")
def new_database(empty_database: Callable[[], str]) -> Callable[[], Database]:
    """Makes databases with empty tables."""

    def new() -> Database:
        made = Database(empty_database())
        made.prepare()
        return made

    return new


@pytest.fixture
def database(new_database: Callable[[], Database]) -> Iterator[Database]:
    made = new_database()
    yield made
    made.close()
