"""From SessionEnded to RecordBuilt for a real session, beside the incumbent, in one run.

Ours: indexer, extractor, builder and broker run as processes, as in production; the CPU seconds are
those of all of them and their workers between the two events, previews included. The incumbent's
are those of its record build in an environment of its own (made on the first run), without and with
the start that each of its runs pays. The bar takes the lower of its two figures.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path

import psutil
from tests.corpus import require_corpus
from tests.system import System, running

from benchmarks.environments import incumbent_environment
from benchmarks.report import Bar, Report
from nexuslims_contracts.events import Instrument, ReservationMatched, SessionEnded, SessionStarted
from nexuslims_shared.session.status import files_complete

START = "2018-11-13T09:00:00-07:00"
END = "2018-11-13T15:00:00-07:00"
SESSION = "bench-1"
FILES = 14


def run_incumbent(python: Path, instrument_data: Path) -> dict[str, float]:
    """One build by the incumbent."""
    with tempfile.TemporaryDirectory() as data:
        done = subprocess.run(
            [
                python,
                Path(__file__).with_name("incumbent.py"),
                instrument_data,
                data,
                "Titan_TEM",
                START,
                END,
            ],
            check=True,
            capture_output=True,
            text=True,
            cwd=data,
        )
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def cpu_of(system: System) -> float:
    """CPU seconds of all processes of a system so far, workers that are gone included."""
    total = 0.0
    for pid in [system.broker.process.pid, *(one.pid for one in system.processes.values())]:
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


async def run_ours(instrument_data: Path, **settings: str) -> dict[str, float]:
    """One session through the services.

    Parameters
    ----------
    instrument_data
        Where the files are.
    settings
        More variables for the services.
    """
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "data").mkdir()
        services = ("indexer", "extractor", "builder")
        async with running(
            folder,
            services,
            NX_INSTRUMENT_DATA_PATH=str(instrument_data),
            NX_DATA_PATH=str(folder / "data"),
            NX_FILE_STRATEGY="exclusive",
            **settings,
        ) as system:
            for name in services:
                await system.wait_for_http(name, "/readyz", 200)
            return await one_session(system)


async def one_session(system: System, files: int = FILES) -> dict[str, float]:
    """Have one session indexed, read and built; return what that cost.

    Parameters
    ----------
    system
        Its services.
    files
        How many the session must have; any number if 0.
    """
    start, end = datetime.fromisoformat(START), datetime.fromisoformat(END)
    instrument = Instrument(
        pid="FEI-Titan-TEM",
        name="FEI Titan TEM",
        timezone="America/Denver",
        filestore="Titan_TEM",
    )
    await system.append(
        SessionStarted(
            session=SESSION,
            calendar="bench",
            calendar_event="1",
            instrument=instrument,
            start=start,
        )
    )
    await system.append(
        ReservationMatched(session=SESSION, tier="calendar", title="Benchmark", after=0)
    )
    before, begin = cpu_of(system), asyncio.get_running_loop().time()
    await system.append(SessionEnded(session=SESSION, instrument=instrument, start=start, end=end))
    built = await system.wait_until(lambda item: item.event.kind() == "record-built")
    wall = asyncio.get_running_loop().time() - begin
    state = await system.state(SESSION)
    if not files_complete(state) or (files and state.indexed_count != files):
        raise RuntimeError(f"{state.indexed_count} files instead of {files}")
    event = built.event.model_dump()
    return {
        "cpu": cpu_of(system) - before,
        "wall": wall,
        "activities": event["activities"],
        "datasets": event["datasets"],
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    python = incumbent_environment()
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as text:
        instrument_data = require_corpus().session_files(Path(text) / "instrument-data")
        for _ in range(rounds):
            ours.append(asyncio.run(run_ours(instrument_data)))
            theirs.append(run_incumbent(python, instrument_data))
    report = Report("session")
    report.figures = {
        "files": FILES,
        "rounds": rounds,
        "ours_cpu_s": statistics.median(one["cpu"] for one in ours),
        "ours_wall_s": statistics.median(one["wall"] for one in ours),
        "incumbent_cpu_s": statistics.median(one["cpu"] for one in theirs),
        "incumbent_cpu_with_start_s": statistics.median(one["cpu_with_start"] for one in theirs),
        "ours_activities": ours[0]["activities"],
        "ours_datasets": ours[0]["datasets"],
        "incumbent_activities": theirs[0]["activities"],
        "incumbent_datasets": theirs[0]["datasets"],
    }
    ratio = report.figures["ours_cpu_s"] / report.figures["incumbent_cpu_s"]
    report.bars["cpu_ours_over_incumbent"] = Bar(ratio, 0.2)
    report.finish()


if __name__ == "__main__":
    main()
