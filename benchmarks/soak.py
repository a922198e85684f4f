"""Many small sessions through all services: how much memory each service has, as they go by.

``make soak``. A facility with a calendar of a file is run as ``nexuslims up`` runs it. Sessions
come in batches, each with ten small files; the next batch comes when the former is done. After
each, the memory of every service is taken and printed, its child processes included. What a service
has in the end may be a fifth above what it had after the warm-up: a quarter of the sessions.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.chaos_waits import bounded
from benchmarks.report import Bar, Report
from nexuslims_console.facility import read_services, running
from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.events import RecordUploaded
from nexuslims_shared.context import service_context
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.port import Item

FILES = 10
BATCHES = 20
WARM = 4
"""A quarter of the batches warms the services up: what they remember is bounded, and fills then."""
MOST = 1.2
STALLED_S = 300.0
"""How long no record may be uploaded before the rest is given up."""
START = datetime(2026, 1, 5, 8, tzinfo=UTC)
EVERY = timedelta(minutes=30)

_INSTRUMENT = """\
[[instrument]]
pid = "SEM-1"
name = "SEM one"
filestore_path = "SEM1"
timezone = "UTC"
"""
_SESSION = """\
[[session]]
id = "{number}"
instrument = "SEM-1"
user = "user-{user}"
start = {start}
end = {end}
title = "Session {number}"
consent = true

"""
_FILE = """\
#FORMAT      : EMSA/MAS Spectral Data File
#VERSION     : 1.0
#TITLE       : spectrum {number} of {session}
#NPOINTS     : 8.
#NCOLUMNS    : 1.
#XUNITS      : eV
#YUNITS      : counts
#DATATYPE    : Y
#XPERCHAN    : 10.0
#OFFSET      : 0.0
#SIGNALTYPE  : EDS
#BEAMKV      : 200.0
#SPECTRUM    : data
1.0,
2.0,
3.0,
4.0,
5.0,
4.0,
3.0,
2.0,
#ENDOFDATA   :
"""


@dataclass(slots=True)
class Curve:
    """The memory of each service, in MB, after each batch."""

    samples: dict[str, list[float]] = field(default_factory=dict)

    def sample(self, state: Path) -> None:
        """Take the memory of each service now."""
        for name, at in read_services(state).items():
            self.samples.setdefault(name, []).append(_memory_mb(at["pid"]))

    def latest(self) -> str:
        """Return the memory of each service as it was taken last."""
        return ", ".join(f"{name} {taken[-1]:.0f}" for name, taken in sorted(self.samples.items()))

    def growth(self, name: str, warm: int) -> float:
        """Return the last quarter's memory as a multiple of that after the warm-up."""
        taken = self.samples[name]
        before, after = taken[warm - 1 : 2 * warm - 1], taken[-warm:]
        return statistics.median(after) / statistics.median(before)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the sessions are, and what they cost."""

    sessions: int
    began: float = field(default_factory=time.monotonic)

    def describe(self, done: int, curve: Curve) -> str:
        """Return a line about what is done, what is left, and the services' memory.

        Parameters
        ----------
        done
            How many sessions.
        curve
            Of which the latest is told.
        """
        rate = done / (time.monotonic() - self.began)
        left = (self.sessions - done) / rate / 60
        return (
            f"{done:,} of {self.sessions:,} sessions, {rate:.1f} a second, {left:.0f} min left;"
            f" MB: {curve.latest()}"
        )


def cpu_s(state: Path) -> dict[str, float]:
    """Return the processor time that each service has used, its children included."""
    return {name: _cpu_s(at["pid"]) for name, at in read_services(state).items()}


def _cpu_s(pid: int) -> float:
    process, total = psutil.Process(pid), 0.0
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            taken = one.cpu_times()
            total += taken.user + taken.system + taken.children_user + taken.children_system
    return total


async def _all_uploaded(
    follower: AsyncGenerator[Item, None], uploaded: set[str], count: int
) -> None:
    """Follow the log until so many sessions have been uploaded.

    Raises
    ------
    StalledError
        If none is for too long.
    """
    while len(uploaded) < count:
        before = len(uploaded)
        await bounded(f"session {before + 1}", STALLED_S, _next_upload(follower, uploaded))


async def _next_upload(follower: AsyncGenerator[Item, None], uploaded: set[str]) -> None:
    async for item in follower:
        if isinstance(item, Recorded) and isinstance(item.event, RecordUploaded):
            uploaded.add(item.event.session)
            return


def _memory_mb(pid: int) -> float:
    """Return the memory that a process and its children have to themselves."""
    process = psutil.Process(pid)
    total = 0
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += one.memory_full_info().uss
    return total / 1e6


def write_sessions(folder: Path, numbers: Iterable[int]) -> None:
    """Write files of sessions, and then their entries of the calendar.

    Parameters
    ----------
    folder
        The facility's.
    numbers
        Of the sessions.
    """
    entries = []
    for number in numbers:
        start = START + number * EVERY
        for file in range(FILES):
            path = folder / "files" / "SEM1" / f"{number:06}" / f"{file}.msa"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_FILE.format(number=file, session=number))
            moment = (start + (file + 1) * timedelta(minutes=1)).timestamp()
            os.utime(path, (moment, moment))
        end = start + timedelta(minutes=20)
        entries.append(
            _SESSION.format(
                number=number, user=number % 30, start=start.isoformat(), end=end.isoformat()
            )
        )
    calendar = folder / "calendar.toml"
    known = calendar.read_text() if calendar.exists() else ""
    new = calendar.with_suffix(".new")
    new.write_text(known + "".join(entries))
    new.replace(calendar)


async def endure(folder: Path, sessions: int) -> tuple[Report, Curve]:
    """Run a facility through all sessions.

    Parameters
    ----------
    folder
        Becomes the facility's, and the working directory.
    sessions
        How many.
    """
    report, curve = Report("soak"), Curve()
    for name in ("files/SEM1", "data"):
        (folder / name).mkdir(parents=True)
    (folder / "instruments.toml").write_text(_INSTRUMENT)
    write_sessions(folder, [])
    os.chdir(folder)
    os.environ |= {
        "NX_INSTRUMENT_DATA_PATH": "files",
        "NX_DATA_PATH": "data",
        "NX_HARVEST_INTERVAL": "5",
        "NX_EXTRACTOR_WORKERS": "1",
        "NX_FILE_SETTLE_SECONDS": "0",
    }
    settings = Settings(instrument_data_path=Path("files"), data_path=Path("data"))
    batch = max(1, sessions // BATCHES)
    progress = Progress(sessions)
    async with running(settings, say=print), service_context(settings, "soak") as context:
        uploaded: set[str] = set()
        follower = context.store.follow()
        for first in range(0, sessions, batch):
            numbers = range(first, min(first + batch, sessions))
            await asyncio.to_thread(write_sessions, folder, numbers)
            await _all_uploaded(follower, uploaded, numbers.stop)
            curve.sample(settings.state_path)
            print(progress.describe(numbers.stop, curve), flush=True)
        used = cpu_s(settings.state_path)
        await follower.aclose()
    seconds = time.monotonic() - progress.began
    report.figures |= {"sessions": sessions, "sessions_per_s": sessions / seconds}
    report.figures["cpu_s_per_session"] = sum(used.values()) / sessions
    report.figures |= {f"{name}_cpu_s": spent for name, spent in sorted(used.items())}
    warm = max(1, len(next(iter(curve.samples.values()))) // WARM)
    for name in sorted(curve.samples):
        report.figures[f"{name}_mb"] = curve.samples[name][-1]
        report.bars[f"{name}_growth"] = Bar(curve.growth(name, warm), MOST)
    return report, curve


def show(curve: Curve) -> None:
    """Print the curve."""
    names = sorted(curve.samples)
    table = Table("batch", *names, title="memory of each service in MB")
    for number, row in enumerate(zip(*(curve.samples[name] for name in names), strict=True), 1):
        table.add_row(str(number), *(f"{value:.0f}" for value in row))
    Console().print(table)


def main() -> None:
    """Run it, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=5_000)
    options = parser.parse_args()
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        report, curve = asyncio.run(endure(Path(folder), options.sessions))
        os.chdir(home)
    show(curve)
    report.finish()


if __name__ == "__main__":
    main()
