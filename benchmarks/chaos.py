"""Everything at once, by a seed: ``make chaos SEEDS=20``.

A facility of 200 sessions is worked on by real services while a seeded scheduler kills, freezes and
doubles them, restarts their broker, cuts and holds their network, locks folders, deletes consumers
and read models, has a destination fail, and edits the calendar. When it is over and everything has
come to rest, a checker holds log, read model, records and destinations against the calendar.
"""

import argparse
import asyncio
import logging
import os
import subprocess
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import nats.errors

from benchmarks.chaos_checker import KINDS, Expected, Facts, Violation, check, settled
from benchmarks.chaos_faults import Scheduler
from benchmarks.chaos_system import ChaosSystem, chaos_system
from benchmarks.chaos_upload import archived, attached
from benchmarks.report import Bar, Report
from nexuslims_console.database import Database
from nexuslims_console.projection import Projection
from nexuslims_console.queries import ReadModel
from nexuslims_contracts.envelope import Recorded
from nexuslims_shared.dead_letters import StreamDeadLetters
from nexuslims_shared.errors import SharedError
from nexuslims_shared.session.repository import SessionRepository

SESSIONS: Final = 200
FAULTS: Final = 100
REST_S: Final = 300.0
"""How long the system may take to come to rest after the last fault."""


@dataclass(slots=True)
class Outcome:
    """What came of one seed."""

    seed: int
    violations: list[Violation]
    faults: Counter[str] = field(default_factory=Counter)
    rest_s: float = 0.0


def expected_of(system: ChaosSystem) -> dict[str, Expected]:
    """Return what the calendar asks for now, by session."""
    return {
        entry.session: Expected(entry.status, entry.title, len(entry.files))
        for entry in system.facility.entries.values()
    }


async def endure(
    folder: Path, seed: int, *, sessions: int, faults: int, rest: float, database: str = ""
) -> Outcome:
    """Run one seed.

    Parameters
    ----------
    folder
        An empty one.
    seed
        Determines the faults.
    sessions, faults
        How many.
    rest
        Seconds in which the system has to come to rest after the last fault.
    database
        Address of the read model, if it is not to be in SQLite.
    """
    async with chaos_system(folder, sessions, database) as system:
        scheduler = Scheduler(system, seed)
        async with _watching(system) as seen:
            await scheduler.run(faults)
        begin = time.monotonic()
        await _rest(system, rest)
        facts = await _facts(system, seen)
        return Outcome(seed, check(facts), scheduler.done, time.monotonic() - begin)


@asynccontextmanager
async def _watching(system: ChaosSystem) -> AsyncIterator[dict[int, str]]:
    """Note what is in the log, as long as the context lasts."""
    seen: dict[int, str] = {}

    async def watch() -> None:
        while True:
            with suppress(SharedError, nats.errors.Error):
                async for item in system.store.read(after=max(seen, default=0)):
                    seen[item.sequence] = item.envelope.id if isinstance(item, Recorded) else ""
            await asyncio.sleep(2)

    task = asyncio.create_task(watch())
    try:
        yield seen
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _rest(system: ChaosSystem, limit: float) -> None:
    """Wait until every session is what the calendar asks for, and stays so for a moment."""
    wished, repository = expected_of(system), SessionRepository(system.store)
    waiting = set(wished)
    with suppress(TimeoutError):
        async with asyncio.timeout(limit):
            while waiting:
                await asyncio.sleep(2)
                system.mend()
                with suppress(SharedError, nats.errors.Error):
                    for name in sorted(waiting):
                        if settled(wished[name], await repository.open(name)):
                            waiting.discard(name)
            await _quiet(system)


async def _quiet(system: ChaosSystem) -> None:
    """Wait until nothing was stated for some seconds: whoever was frozen has said all it had to."""
    last, since = -1, time.monotonic()
    while time.monotonic() - since < 5:  # noqa: PLR2004 - seconds
        now = await system.store.last_sequence()
        if now != last:
            last, since = now, time.monotonic()
        await asyncio.sleep(0.5)


async def _facts(system: ChaosSystem, seen: dict[int, str]) -> Facts:
    events = [item async for item in system.store.read() if isinstance(item, Recorded)]
    letters = StreamDeadLetters(system.client.jetstream(timeout=5))
    records = system.facility.data / "records"
    expected = expected_of(system)
    doctor_ok = await asyncio.to_thread(_doctor, system)
    await system.end("console")
    return Facts(
        expected=expected,
        events=events,
        seen=seen,
        records={path.name: path.read_bytes() for path in records.glob("*.xml")},
        left=[str(path.relative_to(records)) for path in records.glob(".*.staged/*")],
        held={
            "archive": {f"file-{key}": held for key, held in archived(system.settings).items()},
            "elabftw": attached(system.elabftw, expected),
        },
        live=await _rows(system, system.database or system.settings.read_model_url),
        fresh=await _rows(system, f"sqlite:///{system.folder / 'fresh.db'}"),
        letters=[one async for one in letters.read()],
        doctor_ok=doctor_ok,
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


def _doctor(system: ChaosSystem) -> bool:
    command = [f"{sysconfig.get_path('scripts')}/nexuslims", "doctor"]
    environment = system.environment()
    done = subprocess.run(
        command, cwd=system.folder, env=environment, capture_output=True, check=False
    )
    return done.returncode == 0


def report_of(outcomes: list[Outcome], sessions: int) -> Report:
    """Return the report on all seeds.

    Parameters
    ----------
    outcomes
        One for each.
    sessions
        How many sessions each had.
    """
    report = Report("chaos")
    faults = [one.faults.total() for one in outcomes]
    report.figures |= {
        "seeds": len(outcomes),
        "sessions": sessions * len(outcomes),
        "faults": sum(faults),
        "longest_rest_s": max(one.rest_s for one in outcomes),
    }
    kinds = sum((one.faults for one in outcomes), Counter[str]())
    report.figures |= {f"faults_{name}": count for name, count in sorted(kinds.items())}
    found = Counter(one.kind for outcome in outcomes for one in outcome.violations)
    for kind in KINDS:
        report.bars[kind.replace(" ", "_")] = Bar(found[kind], 0)
    return report


def main() -> None:
    """Run the seeds, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, help="How many seeds")
    parser.add_argument("--first", type=int, default=1, help="The first of them")
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--faults", type=int, default=FAULTS, help="At least, of each seed")
    parser.add_argument("--rest", type=float, default=REST_S, help="Seconds to come to rest in")
    parser.add_argument("--keep", type=Path, help="Folder for what a seed leaves behind")
    options = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)  # that the broker is away is meant
    outcomes = []
    for seed in range(options.first, options.first + options.seeds):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
            folder = (options.keep or Path(made)) / f"seed-{seed}"
            folder.mkdir(parents=True)
            outcome = asyncio.run(
                endure(
                    folder,
                    seed,
                    sessions=options.sessions,
                    faults=options.faults,
                    rest=options.rest,
                    database=os.environ.get("NX_DATABASE_URL", ""),
                )
            )
        outcomes.append(outcome)
        print(f"seed {seed}: {outcome.faults.total()} faults, at rest in {outcome.rest_s:.0f} s")
        for one in outcome.violations:
            print(f"  {one.kind}: {one.what}")
    report_of(outcomes, options.sessions).finish()


if __name__ == "__main__":
    main()
