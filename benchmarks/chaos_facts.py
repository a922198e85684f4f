"""Gathering what a chaos left behind: log, read model, records, destinations, dead letters."""

import asyncio
import subprocess
import sysconfig
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from typing import Any, Final

import nats.errors

from benchmarks.chaos_checker import Expected, Facts
from benchmarks.chaos_system import ChaosSystem
from benchmarks.chaos_upload import archived, attached
from benchmarks.chaos_waits import StalledError
from nexuslims_console.database import Database
from nexuslims_console.projection import Projection
from nexuslims_console.queries import ReadModel
from nexuslims_contracts.envelope import Recorded
from nexuslims_shared.dead_letters import StreamDeadLetters
from nexuslims_shared.errors import SharedError
from nexuslims_shared.tasks import end

_DOCTOR_S: Final = 120.0
_FRESH: Final = "fresh.db"


@asynccontextmanager
async def watching(system: ChaosSystem) -> AsyncIterator[dict[int, str]]:
    """Note what is in the log, as long as the context lasts."""
    seen: dict[int, str] = {}

    async def watch() -> None:
        while True:
            with suppress(SharedError, nats.errors.Error):
                async for item in system.store.read(after=max(seen, default=0)):
                    seen[item.sequence] = item.envelope.id if isinstance(item, Recorded) else ""
            await asyncio.sleep(2)

    task = asyncio.create_task(watch(), name="watching the log")
    try:
        yield seen
    finally:
        await end(task)


async def gather(
    system: ChaosSystem, expected: Mapping[str, Expected], seen: Mapping[int, str]
) -> Facts:
    """Look at all that there is; the console is ended for that.

    Parameters
    ----------
    system
        The system, at rest.
    expected
        What the calendar asks for, by session.
    seen
        What was in the log before.
    """
    letters = StreamDeadLetters(system.client.jetstream(timeout=5))
    records = system.facility.data / "records"
    doctor_ok = await asyncio.to_thread(ask_doctor, system)
    await system.end("console")
    fresh = system.folder / _FRESH
    fresh.unlink(missing_ok=True)
    return Facts(
        expected=expected,
        events=[item async for item in system.store.read() if isinstance(item, Recorded)],
        seen=seen,
        records={path.name: path.read_bytes() for path in records.glob("*.xml")},
        left=[str(path.relative_to(records)) for path in records.glob(".*.staged/*")],
        held={
            "archive": {f"file-{key}": held for key, held in archived(system.settings).items()},
            "elabftw": attached(system.elabftw, expected),
        },
        live=await _rows(system, system.database),
        fresh=await _rows(system, f"sqlite:///{fresh}"),
        letters=[one async for one in letters.read()],
        doctor_ok=doctor_ok,
        greens=system.greens,
    )


async def _rows(system: ChaosSystem, url: str) -> dict[str, Any]:
    """Bring a read model up to date, and return its rows."""
    database = Database(url)
    try:
        await asyncio.to_thread(database.prepare)
        await Projection(system.store, database).catch_up()
        rows = await asyncio.to_thread(ReadModel(database).sessions)
        return {row.session: asdict(row) for row in rows}
    finally:
        database.close()


def ask_doctor(system: ChaosSystem) -> bool:
    """Tell whether `nexuslims doctor` finds that all is well. Blocks.

    Raises
    ------
    StalledError
        If it does not end.
    """
    command = [f"{sysconfig.get_path('scripts')}/nexuslims", "doctor"]
    environment = system.environment()
    try:
        done = subprocess.run(
            command,
            cwd=system.folder,
            env=environment,
            capture_output=True,
            check=False,
            timeout=_DOCTOR_S,
        )
    except subprocess.TimeoutExpired as error:
        raise StalledError(f"`nexuslims doctor` did not end within {_DOCTOR_S:.0f} s") from error
    return done.returncode == 0
