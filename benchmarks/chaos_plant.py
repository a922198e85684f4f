"""Errors that are planted when a chaos is over, for the checker to find."""

import asyncio
from typing import Final

from sqlalchemy import update

from benchmarks.chaos_checker import Facts
from benchmarks.chaos_system import ChaosSystem
from nexuslims_console.database import Database
from nexuslims_contracts.envelope import MSG_ID, encode
from nexuslims_contracts.events import SessionStarted
from nexuslims_contracts.topology import EVENTS
from nexuslims_shared.dead_letters import StreamDeadLetters

PLANTED: Final = frozenset({"lost", "twice", "stuck", "divergent"})
"""Kinds of which an error is planted."""


async def plant(system: ChaosSystem, facts: Facts) -> None:
    """Do what must never happen: to a record, to the log, to a row, to an event that is given up.

    All services are ended before: they would mend it.

    Parameters
    ----------
    system
        The system, at rest.
    facts
        What it left behind.
    """
    for name in list(system.processes):
        await system.end(name)
    jetstream = system.client.jetstream(timeout=5)
    (system.facility.data / "records" / min(facts.records)).unlink()
    started = next(one for one in facts.events if isinstance(one.event, SessionStarted))
    headers, payload = encode(started.envelope)
    headers.pop(MSG_ID, None)
    await jetstream.publish(started.envelope.subject, payload, headers=headers)
    await asyncio.to_thread(_change_a_row, system.database, max(facts.live))
    letters = StreamDeadLetters(jetstream)
    await letters.write("builder", 1, f"{EVENTS.name}.planted", "planted")


def _change_a_row(url: str, session: str) -> None:
    database = Database(url)
    try:
        with database.writing() as (connection, tables):
            of_session = tables.sessions.c.session == session
            connection.execute(update(tables.sessions).where(of_session).values(title="planted"))
    finally:
        database.close()
