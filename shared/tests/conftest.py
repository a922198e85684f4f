"""What the tests of the shared machinery have in common."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.aio.client import Client

from nexuslims_contracts.testing import SessionEvents
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.embedded import start_embedded


@pytest.fixture(scope="session")
def facts() -> SessionEvents:
    return SessionEvents()


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """A connection to a broker of the test's own: nothing can be deleted from the log."""
    broker = start_embedded(tmp_path)
    connection = await connect(broker.url, name="test")
    await provision(connection.jetstream())
    yield connection
    await connection.close()
    broker.stop()
