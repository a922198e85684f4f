"""A projection that is killed in the middle goes on where its position says."""

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from nexuslims_console.database import Database
from nexuslims_console.projection import Projection
from nexuslims_console.queries import ReadModel
from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.periods import ALL
from nexuslims_contracts.testing import SessionEvents
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.embedded import start_embedded
from nexuslims_shared.store.jetstream import JetStreamEventStore

PROJECT = """
import asyncio, sys
from nexuslims_console import projection
from nexuslims_console.database import Database
from nexuslims_console.projection import Projection
from nexuslims_shared.broker import connect
from nexuslims_shared.store.jetstream import JetStreamEventStore

projection._AT_ONCE = 500  # several transactions

async def main():
    client = await connect(sys.argv[1], name="test")
    await Projection(JetStreamEventStore(client.jetstream()), Database(sys.argv[2])).catch_up()

asyncio.run(main())
"""
SESSIONS = 400


def contents(database: Database) -> dict[str, Any]:
    model = ReadModel(database)
    return {
        "sessions": [asdict(row) for row in model.sessions()],
        "events": [model.history(f"s-{number}") for number in (0, 1, SESSIONS - 1)],
        "position": str(model.position().positions),
    }


@pytest.mark.broker
async def test_rows_and_position_agree_after_a_kill(
    tmp_path: Path, new_database: Callable[[], Database]
) -> None:
    broker = start_embedded(tmp_path)
    client = await connect(broker.url, name="test")
    try:
        await provision(client.jetstream())
        store = JetStreamEventStore(client.jetstream())
        for number in range(SESSIONS):
            events = SessionEvents(f"s-{number}").history()
            await store.append_all([envelop(event, source="test") for event in events])
        with closing(new_database()) as killed, closing(new_database()) as whole:
            reached = kill_in_the_middle(broker.url, killed)
            assert 0 < reached <= 11 * SESSIONS
            await Projection(store, killed).catch_up()
            await Projection(store, whole).catch_up()
            assert contents(killed) == contents(whole)
    finally:
        await client.close()
        broker.stop()


def kill_in_the_middle(url: str, database: Database) -> int:
    """Return the position at which a process was killed, after its first transaction."""
    program = [sys.executable, "-c", PROJECT, url, database.url]
    with subprocess.Popen(program) as process:
        deadline = time.monotonic() + 60
        while not (reached := ReadModel(database).position().positions.within(ALL)):
            assert time.monotonic() < deadline
        process.kill()
    return reached
