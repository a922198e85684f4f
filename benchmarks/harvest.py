"""Usage events of a real NEMO: 519 harvested by us and by the incumbent, then thousands by us.

Ours end to end: from the first request until the last event is in the stream. The incumbent's from
its first request until the last row is in its table. Both ask the same NEMO, one after the other,
and the requests are those that NEMO counted. Then a first harvest of 3,000 sessions, a poll in
which nothing is new, and a sweep over 30,000.
"""

import asyncio
import json
import os
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.nemo.harvest import INSTRUMENTS, empty_stream
from tests.nemo.lab import HARVESTER, Nemo, running_nemo

from benchmarks.environments import incumbent_environment
from benchmarks.report import Bar, Report
from nexuslims_contracts.envelope import Recorded
from nexuslims_harvester.calendar import Window
from nexuslims_harvester.harvest import Harvest
from nexuslims_harvester.harvested import HarvestedSessions
from nexuslims_harvester.nemo.calendar import NemoCalendar
from nexuslims_shared.calendar_notes import CalendarNotes
from nexuslims_shared.context import ServiceContext

BULK = 500
SESSIONS = BULK + 19
"""Usage events of our two tools; one of them is still on, and the incumbent leaves it out."""
SINCE = "2023-12-01T00:00:00+00:00"
MOST_REQUESTS = 6
LARGE, MOST_LARGE, MOST_QUIET = 3_000, 10, 4
HUGE, MOST_SWEEP = 30_000, 200
PUBLISHED = {"published_incumbent_requests": 526, "published_incumbent_s": 64}
"""Measured with the incumbent's release 2.8.0 on another machine."""


def harvest_of(calendar: NemoCalendar, context: ServiceContext) -> Harvest:
    """Return a harvest of one calendar into an empty stream."""
    notes, sessions = CalendarNotes.on(context.jetstream), HarvestedSessions(context.store)
    return Harvest(context, calendar, notes, sessions)


async def ours(nemo: Nemo, folder: Path) -> dict[str, float]:
    """From NEMO into the stream."""
    async with empty_stream(folder) as context:
        calendar = NemoCalendar("nemo-1", context.settings, INSTRUMENTS)
        harvest = harvest_of(calendar, context)
        nemo.requests()
        begin, cpu = time.perf_counter(), time.process_time()
        await harvest.once()
        seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
        requests = len(nemo.requests())
        stated = [item.event async for item in context.store.read() if isinstance(item, Recorded)]
        begin = time.perf_counter()
        await calendar.entries(Window(None, datetime.now(UTC)))
        return {
            "requests": requests,
            "s": seconds,
            "asking_s": time.perf_counter() - begin,
            "cpu_s": cpu,
            "sessions": len({event.session for event in stated}),
            "events": len(stated),
        }


async def followed(nemo: Nemo, folder: Path) -> dict[str, float]:
    """A first harvest, a poll in which nothing is new, and a sweep."""
    async with empty_stream(folder) as context:
        calendar = NemoCalendar("nemo-1", context.settings, INSTRUMENTS)
        harvest = harvest_of(calendar, context)
        figures: dict[str, float] = {}
        nemo.requests()
        for name, work in (
            ("first", harvest.once),
            ("quiet", harvest.once),
            ("sweep", harvest.sweep),
        ):
            begin = time.perf_counter()
            await work()
            figures[f"{name}_s"] = time.perf_counter() - begin
            figures[f"{name}_requests"] = len(nemo.requests())
        last = await context.store.last_sequence()
        return {**figures, "events": last}


def large(count: int) -> dict[str, float]:
    """Follow a NEMO with so many sessions."""
    with tempfile.TemporaryDirectory() as text:
        folders = [Path(text) / name for name in ("nemo", "ours")]
        for folder in folders:
            folder.mkdir()
        with running_nemo(folders[0], bulk=count) as nemo:
            os.environ["NX_NEMO_ADDRESS_1"] = nemo.address
            return asyncio.run(followed(nemo, folders[1]))


def theirs(nemo: Nemo, python: Path, folder: Path) -> dict[str, float]:
    """From NEMO into the incumbent's table."""
    nemo.requests()
    script = Path(__file__).with_name("incumbent_harvest.py")
    tools = [one.calendar_id for one in INSTRUMENTS.values()]
    done = subprocess.run(
        [python, script, nemo.address, HARVESTER, folder, SINCE, *tools],
        check=True,
        capture_output=True,
        text=True,
        cwd=folder,
    )
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    return {
        "requests": len(nemo.requests()),
        "s": figures["seconds"],
        "cpu_s": figures["cpu"],
        "sessions": figures["sessions"],
    }


def main() -> None:
    """Run the benchmark."""
    report = Report("harvest")
    with tempfile.TemporaryDirectory() as text:
        folders = [Path(text) / name for name in ("nemo", "ours", "incumbent")]
        for folder in folders:
            folder.mkdir()
        at_nemo, at_ours, at_theirs = folders
        with running_nemo(at_nemo, bulk=BULK) as nemo:
            os.environ["NX_NEMO_ADDRESS_1"] = nemo.address
            os.environ["NX_NEMO_TOKEN_1"] = HARVESTER
            os.environ["NX_NEMO_SINCE_1"] = SINCE
            us = asyncio.run(ours(nemo, at_ours))
            them = theirs(nemo, incumbent_environment(), at_theirs)
    in_thousands, in_tens = large(LARGE), large(HUGE)
    report.figures = {
        **{f"ours_{name}": value for name, value in us.items()},
        **{f"incumbent_{name}": value for name, value in them.items()},
        **{f"{LARGE}_{name}": value for name, value in in_thousands.items()},
        **{f"{HUGE}_{name}": value for name, value in in_tens.items()},
        **PUBLISHED,
    }
    report.bars["requests"] = Bar(us["requests"], MOST_REQUESTS)
    report.bars["first_harvest_requests"] = Bar(in_thousands["first_requests"], MOST_LARGE)
    report.bars["quiet_poll_requests"] = Bar(in_thousands["quiet_requests"], MOST_QUIET)
    report.bars["sweep_requests"] = Bar(in_tens["sweep_requests"], MOST_SWEEP)
    report.bars["sessions"] = Bar(us["sessions"], SESSIONS, at_least=True)
    report.bars["seconds_ours_over_incumbent"] = Bar(us["s"] / them["s"], 0.1)
    report.finish()


if __name__ == "__main__":
    main()
