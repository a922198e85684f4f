"""Running a job: sessions in pieces to processes, and what is done into a journal."""

import asyncio
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import astuple
from pathlib import Path
from typing import Final, Self

from nexuslims_builder.build import builder_version
from nexuslims_builder.errors import BuilderError
from nexuslims_builder.rebuild import workers
from nexuslims_builder.rebuild.journal import Journal, Tally
from nexuslims_builder.rebuild.rebuilder import Job, Outcome, Rebuilder
from nexuslims_builder.rebuild.selection import Selection, select
from nexuslims_contracts.identifiers import digest
from nexuslims_shared.cli.progress import Update
from nexuslims_shared.context import ServiceContext, service_context
from nexuslims_shared.log_identity import LogIdentity, read_identity
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.period_directory import periods_away, periods_there

_FEW: Final = 10
"""Sessions that are done before a process would have started."""

_LARGEST_PIECE: Final = 25
_PIECES_PER_PROCESS: Final = 8


async def run_job(
    settings: Settings,
    selection: Selection,
    job: Job,
    *,
    processes: int,
    restart: bool,
    list_all: bool,
    update: Update,
) -> Tally:
    """Rebuild the records of the sessions that are selected; return what came of them.

    A job that was stopped goes on where it was when the same one is run again.

    Parameters
    ----------
    settings
        The facility's.
    selection
        Which sessions.
    job
        What to do with each.
    processes
        How many work at the same time.
    restart
        Forget what an attempt before has done.
    list_all
        List in the tally what did not change, too.
    update
        Called whenever some sessions are done.

    Raises
    ------
    BuilderError
        If the journal cannot be written, or a process died.
    DiskError
        If the disk does not take a record.
    TopologyError, BrokerUnavailableError
        If the broker does not answer.
    """
    async with service_context(settings, "rebuild", lasting=True) as context:
        meant = await select(context.store, selection)
        identity = await read_identity(context.jetstream) or LogIdentity()
        journal = Journal(_journal_path(settings, selection, job, identity), list_all=list_all)
        if restart:
            journal.forget()
        if not selection.session:
            journal.tally.away = await _away(context)
        with journal:
            left = [session for session in meant if session not in journal.done]
            total = len(journal.done) + len(left)
            update(len(journal.done), total)
            if len(left) <= _FEW:
                rebuilder = Rebuilder(context, job)
                journal.add(await workers.rebuild_all(rebuilder, left))
                update(total, total)
                return journal.tally
            async with _Pool(settings, job, processes) as pool:
                await pool.work_off(list(_pieces(left, processes)), journal, update, total)
        return journal.tally


async def _away(context: ServiceContext) -> tuple[str, ...]:
    removed = await periods_away(context.jetstream) - set(await periods_there(context.jetstream))
    return tuple(period.name for period in sorted(removed))


class _Pool:
    """The processes of a job."""

    def __init__(self, settings: Settings, job: Job, processes: int) -> None:
        self._processes = processes
        self._executor = ProcessPoolExecutor(
            processes,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=workers.start,
            initargs=(settings, job, os.getpid()),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        """Let the pieces that are begun come to their end."""
        await asyncio.to_thread(self._executor.shutdown, wait=True, cancel_futures=True)

    async def work_off(
        self, pieces: list[list[str]], journal: Journal, update: Update, total: int
    ) -> None:
        """Have all pieces done, no more of them at a time than keeps the processes busy."""
        loop = asyncio.get_running_loop()
        running: set[asyncio.Future[list[Outcome]]] = set()
        try:
            while pieces or running:
                while pieces and len(running) < 2 * self._processes:
                    running.add(
                        loop.run_in_executor(self._executor, workers.rebuild, pieces.pop(0))
                    )
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for piece in done:
                    journal.add(piece.result())
                update(len(journal.done), total)
        except BrokenProcessPool as error:
            raise BuilderError(
                "a process of the rebuild died, perhaps for want of memory: run the command again,"
                " it goes on where it was; --processes 1 needs least"
            ) from error


def _pieces(sessions: Sequence[str], processes: int) -> Iterator[list[str]]:
    """Cut a list so that progress is seen and all processes end at about the same time."""
    size = len(sessions) // (processes * _PIECES_PER_PROCESS)
    size = min(max(size, 1), _LARGEST_PIECE)
    for start in range(0, len(sessions), size):
        yield list(sessions[start : start + size])


def _journal_path(
    settings: Settings, selection: Selection, job: Job, identity: LogIdentity
) -> Path:
    """Name the journal after all that must be the same for a job to go on."""
    clustering = [(name, value) for name, value in settings if name.startswith("clustering")]
    same = (astuple(selection), astuple(job), clustering, builder_version(), identity.log)
    return settings.state_path / "rebuild" / f"{digest([repr(same)])[:16]}.jsonl"
