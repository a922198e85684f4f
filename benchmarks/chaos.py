"""Everything at once, by a seed: ``make chaos SEEDS=20``.

A facility of 200 sessions is worked on by real services while a seeded scheduler kills, freezes and
doubles them, restarts their brokers and fills their disks, cuts and holds their network, locks
folders, deletes consumers and read models, has a destination fail, and edits the calendar. When it
is over and everything has come to rest, a checker holds log, read model, records and destinations
against the calendar. In the end of each seed some errors are planted, which the checker must find.

``BROKERS=3`` runs it on a cluster, ``POSTGRESQL=1`` with the read model in PostgreSQL.
"""

import argparse
import asyncio
import logging
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import nats.errors
from services.console.tests import postgresql

from benchmarks.chaos_checker import KINDS, Violation, check, settled
from benchmarks.chaos_facts import gather, watching
from benchmarks.chaos_faults import Scheduler
from benchmarks.chaos_plant import PLANTED, plant
from benchmarks.chaos_system import ChaosSystem, Surroundings, chaos_system
from benchmarks.chaos_waits import StalledError, bounded, last_resort
from benchmarks.report import Bar, Report
from nexuslims_shared.errors import SharedError
from nexuslims_shared.session.repository import SessionRepository

SESSIONS: Final = 200
FAULTS: Final = 100
REST_S: Final = 120.0
"""How long nothing may happen, after the last fault, while a session is not yet what it should."""
_BUSY: Final = 15
"""How many times as long all of it may take, as long as something happens."""
_FAULT_S: Final = 20.0
"""How long a fault may take on average: most are over in a second or go on beside the next."""
_START_S: Final = 120.0
_LOOK_S: Final = 240.0


@dataclass(slots=True)
class Outcome:
    """What came of one seed."""

    seed: int
    violations: list[Violation] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    rest_s: float = 0.0
    planted: int = 0
    """How many of the errors that were planted in the end the checker found."""


async def endure(
    folder: Path, seed: int, surroundings: Surroundings, *, faults: int, rest: float
) -> Outcome:
    """Run one seed; whatever hangs ends by a limit, and is a violation.

    Parameters
    ----------
    folder
        An empty one.
    seed
        Determines the faults.
    surroundings
        What the system runs on.
    faults
        How many, at least.
    rest
        Seconds in which something has to happen until the system is at rest.
    """
    outcome = Outcome(seed)
    try:
        with last_resort(2 * _START_S + faults * _FAULT_S + _BUSY * rest + 3 * _LOOK_S):
            async with asyncio.timeout(_START_S) as starting:
                async with chaos_system(folder, surroundings) as system:
                    starting.reschedule(None)
                    try:
                        await _endure(system, outcome, faults, rest)
                    except StalledError:
                        print(system.describe())
                        raise
    except (StalledError, TimeoutError) as error:
        what = str(error) or f"the system does not start within {_START_S:.0f} s"
        outcome.violations.append(Violation("stuck", f"the harness: {what}"))
    return outcome


async def _endure(system: ChaosSystem, outcome: Outcome, faults: int, rest: float) -> None:
    scheduler = Scheduler(system, outcome.seed)
    outcome.faults = scheduler.done
    async with watching(system) as seen:
        await bounded("the faults", faults * _FAULT_S, scheduler.run(faults))
    begin = time.monotonic()
    await bounded("coming to rest", _BUSY * rest, _rest(system, rest))
    outcome.rest_s = time.monotonic() - begin
    expected = system.facility.expected()
    facts = await bounded("looking at all", _LOOK_S, gather(system, expected, seen))
    outcome.violations += check(facts)
    before = {one.what for one in outcome.violations}
    await bounded("planting errors", _LOOK_S, plant(system, facts))
    planted = await bounded("looking again", _LOOK_S, gather(system, expected, seen))
    found = [one for one in check(planted) if one.what not in before]
    outcome.planted = len(PLANTED & {one.kind for one in found})


async def _rest(system: ChaosSystem, limit: float) -> None:
    """Wait until every session is what the calendar asks for, or nothing has happened for so long.

    The limit is asked for, and nothing cancelled: see :mod:`benchmarks.chaos_waits`.
    """
    wished, repository = system.facility.expected(), SessionRepository(system.store)
    waiting, last, until = set(wished), -1, time.monotonic() + limit
    while waiting and time.monotonic() < until:
        await asyncio.sleep(1)
        await system.recover()
        with suppress(SharedError, nats.errors.Error):
            for name in sorted(waiting):
                if settled(wished[name], await repository.open(name)):
                    waiting.discard(name)
            if last != (last := await system.store.last_sequence()):
                until = time.monotonic() + limit  # a busy machine is slow, and not stuck
    await _quiet(system)


async def _quiet(system: ChaosSystem) -> None:
    """Wait until nothing was stated for some seconds: whoever was frozen has said all it had to."""
    last, since = -1, time.monotonic()
    while time.monotonic() - since < 5:  # noqa: PLR2004 - seconds
        now = await system.store.last_sequence()
        if now != last:
            last, since = now, time.monotonic()
        await asyncio.sleep(0.5)


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
    found_least = min(one.planted for one in outcomes)
    report.bars["kinds_of_planted_errors_found"] = Bar(found_least, len(PLANTED), at_least=True)
    return report


@contextmanager
def _database(*, wanted: bool) -> Iterator[str]:
    """Give the address of an empty database in a PostgreSQL of our own, or none."""
    with ExitStack() as stack:
        if not wanted:
            yield ""
            return
        binaries = postgresql.find_binaries()
        if binaries is None:
            raise SystemExit("PostgreSQL's server is not installed: apt-get install postgresql")
        yield stack.enter_context(postgresql.running(binaries)).new_database()


def main() -> None:
    """Run the seeds, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, help="How many seeds")
    parser.add_argument("--first", type=int, default=1, help="The first of them")
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--faults", type=int, default=FAULTS, help="At least, of each seed")
    parser.add_argument(
        "--rest", type=float, default=REST_S, help="Seconds in which something must happen"
    )
    parser.add_argument("--brokers", type=int, default=1, choices=(1, 3))
    parser.add_argument("--postgresql", action="store_true", help="For the read model")
    parser.add_argument("--keep", type=Path, help="Folder for what a seed leaves behind")
    options = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)  # that the broker is away is meant
    outcomes = []
    for seed in range(options.first, options.first + options.seeds):
        with (
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made,
            _database(wanted=options.postgresql) as database,
        ):
            folder = (options.keep or Path(made)) / f"seed-{seed}"
            folder.mkdir(parents=True)
            surroundings = Surroundings(options.sessions, options.brokers, database)
            work = endure(folder, seed, surroundings, faults=options.faults, rest=options.rest)
            begin = time.monotonic()
            outcome = asyncio.run(work)
        outcomes.append(outcome)
        print(
            f"seed {seed}: {outcome.faults.total()} faults, at rest in {outcome.rest_s:.0f} s,"
            f" all in {time.monotonic() - begin:.0f} s",
            flush=True,
        )
        for one in outcome.violations:
            print(f"  {one.kind}: {one.what}")
    report_of(outcomes, options.sessions).finish()


if __name__ == "__main__":
    main()
