"""The processes that rebuild: each takes some sessions at a time and has its own connection."""

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from multiprocessing.util import Finalize
from typing import Final

from nexuslims_builder.collector import collect_rarely
from nexuslims_builder.rebuild.rebuilder import Job, Outcome, Rebuilder
from nexuslims_shared.context import service_context
from nexuslims_shared.processes import die_with_parent
from nexuslims_shared.settings import Settings
from nexuslims_shared.tasks import end
from nexuslims_shared.telemetry import tracing

NICENESS: Final = 10
"""The services' own work goes first where there is not enough processor for both."""

_AT_ONCE: Final = 3
"""Sessions whose events are read while a record is composed or written."""


@dataclass(frozen=True, slots=True)
class _Worker:
    """What a process keeps from one call to the next."""

    runner: asyncio.Runner
    connection: AsyncExitStack
    rebuilder: Rebuilder


_workers: list[_Worker] = []


def start(settings: Settings, job: Job, parent: int) -> None:
    """Prepare a process for its calls.

    Parameters
    ----------
    settings
        Where the broker and the records are.
    job
        What to do with each session.
    parent
        Id of the process that runs the job; this one ends with it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the job ends us
    arrange_end = die_with_parent(parent)
    if arrange_end is not None:
        arrange_end()
    os.nice(NICENESS)
    collect_rarely()
    Finalize(None, tracing.shutdown, exitpriority=1)
    runner = asyncio.Runner()
    connection = AsyncExitStack()
    context = runner.run(
        connection.enter_async_context(service_context(settings, "rebuild", lasting=True))
    )
    _workers.append(_Worker(runner, connection, Rebuilder(context, job)))


def rebuild(sessions: Sequence[str]) -> list[Outcome]:
    """Rebuild the records of some sessions; return what came of each.

    Raises
    ------
    DiskError
        If the disk does not take a record.
    BrokerUnavailableError
        If the broker does not answer.
    """
    (worker,) = _workers
    return worker.runner.run(rebuild_all(worker.rebuilder, sessions))


async def rebuild_all(rebuilder: Rebuilder, sessions: Sequence[str]) -> list[Outcome]:
    """Rebuild some records, a few at the same time; return what came of each, in order.

    Parameters
    ----------
    rebuilder
        Does it.
    sessions
        Which.
    """
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(session: str) -> Outcome:
        async with limit:
            return await rebuilder.rebuild(session)

    tasks = [asyncio.create_task(one(session)) for session in sessions]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        await end(*tasks)
