"""Finding the files of sessions: CPU beside GNU find on the same tree, memory, and live latency.

The tree has 1,000 folders of 100 files; a session is five folders' time. ``find`` is asked for the
files of one session as the incumbent asks it. Ours is the look through the folders, kept in an
index on the disk, and the decision whose each file is. Each figure is the lowest of some rounds.
Live: the services run as processes while 20 files are written and the session ends.
"""

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from demo.facility import View, write_fei_tiff
from tests.system import System, running

from benchmarks.report import Bar, Report
from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.events import (
    FileIndexed,
    Instrument,
    ReservationMatched,
    SessionEnded,
    SessionStarted,
)
from nexuslims_indexer.claims import Booked, Rules, Sessions
from nexuslims_indexer.gather import Evidence, batches, gather
from nexuslims_indexer.index import FolderIndex
from nexuslims_indexer.model import Tree
from nexuslims_indexer.names import Names
from nexuslims_indexer.walk import look

IGNORED: Final = ("*.mib", "*.db", "*.emi", "*.hdr")
NAMES: Final = Names("exclusive", IGNORED)
INCUMBENTS_ENDINGS: Final = ("dm3", "dm4", "h5", "msa", "ser", "spc", "tif", "tiff")
SECOND: Final = 10**9
FIRST: Final = 1_700_000_000
FOLDER_TIME: Final = 3600
SETTLE_S: Final = 1.0
LIVE_FILES: Final = 20


def make_tree(top: Path, folders: int, files: int) -> None:
    """Write a tree; the files of a folder are a second apart, the folders an hour."""
    for number in range(folders):
        folder = top / f"{number // 100:03}" / f"{number:05}"
        folder.mkdir(parents=True)
        for place in range(files):
            path = f"{folder}/image_{place:06}.dm3"
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
            moment = FIRST + number * FOLDER_TIME + place
            os.utime(path, (moment, moment))


def cpu_of_find(top: Path) -> float:
    """CPU seconds of GNU find, asked for one session's files as the incumbent does."""
    endings = [part for one in INCUMBENTS_ENDINGS for part in ("-o", "-iname", f"*.{one}")]
    ignored = [part for one in IGNORED for part in ("-and", "-not", "-iname", one)]
    window = (f"@{FIRST}", f"@{FIRST + 5 * FOLDER_TIME}")
    command = ["find", "-H", str(top), "-type", "f", "-newermt", window[0]]
    command += ["-not", "-newermt", window[1], "(", *endings[1:], ")", *ignored, "-print0"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def sessions_of(count: int, folders: int) -> Sessions:
    """Sessions one after the other, over the time of the whole tree."""
    length = folders // count * FOLDER_TIME * SECOND
    start = FIRST * SECOND - 1
    rules = Rules(grace_ns=600 * SECOND)
    return Sessions(
        [
            Booked(f"s{one}", start + one * length, start + (one + 1) * length, rules)
            for one in range(count)
        ]
    )


def found_by(index: FolderIndex, sessions: Sessions, count: int) -> int:
    """Count the files of some sessions."""
    return sum(
        len(files)
        for batch in batches(sessions.booked[:count])
        for files in gather(index, sessions, batch, Evidence()).values()
    )


def cpu_of(work: Callable[[], object]) -> float:
    """CPU seconds of this process while it does something."""
    before = time.process_time()
    work()
    return time.process_time() - before


def measure(root: Path, folders: int, rounds: int) -> dict[str, float]:
    """Compare with find: a first look, 200 sessions, a second look with 100 new files."""
    sessions, tree = sessions_of(200, folders), Tree(root, "SEM", 5 * SECOND)
    best: dict[str, float] = {}
    for number in range(rounds):
        path = root / f"index-{number}.sqlite"
        index = FolderIndex(path, NAMES.signature)

        look_through = partial(_look, tree, index)
        figures = {
            "find_cpu_s": cpu_of_find(root / "SEM"),
            "first_look_cpu_s": cpu_of(look_through),
            "files_of_1_cpu_s": cpu_of(partial(found_by, index, sessions, 1)),
            "files_of_200_cpu_s": cpu_of(partial(found_by, index, sessions, 200)),
        }
        if found_by(index, sessions, 200) < folders * 100:
            raise RuntimeError("files are missing")
        _write_new(root / "SEM", number)
        figures["second_look_cpu_s"] = cpu_of(look_through)
        index.close()
        best = {name: min(value, best.get(name, value)) for name, value in figures.items()}
    return best


def _look(tree: Tree, index: FolderIndex) -> None:
    look(tree, index, NAMES, time.time_ns())


def _write_new(top: Path, number: int) -> None:
    for one in range(100):
        path = top / f"{one % 10:03}" / f"{(one % 10) * 100 + one:05}" / f"new_{number}.dm3"
        path.write_bytes(b"")
        moment = FIRST + ((one % 10) * 100 + one) * FOLDER_TIME + 900 + number
        os.utime(path, (moment, moment))


def peak_of_look(root: Path) -> None:
    """Print the peak memory of this process, MiB, after a look and one session's files."""
    index = FolderIndex(root / "index.sqlite", NAMES.signature)
    look(Tree(root, "SEM", 5 * SECOND), index, NAMES, time.time_ns())
    found_by(index, sessions_of(1, 5), 1)
    index.close()
    sys.stdout.write(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}\n")


def memory(folders: int, files: int) -> float:
    """Peak memory, MiB, of looking through a tree for the first time."""
    with tempfile.TemporaryDirectory() as text:
        make_tree(Path(text) / "SEM", folders, files)
        command = [sys.executable, "-m", "benchmarks.index", "--peak", text]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


async def live() -> dict[str, float]:
    """Seconds from a file's close to its event, and from the session's end to its record."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        for name in ("data", "instruments/SEM"):
            (folder / name).mkdir(parents=True)
        services = ("indexer", "extractor", "builder")
        async with running(
            folder,
            services,
            NX_INSTRUMENT_DATA_PATH=str(folder / "instruments"),
            NX_DATA_PATH=str(folder / "data"),
            NX_FILE_SETTLE_SECONDS=str(SETTLE_S),
        ) as system:
            for name in services:
                await system.wait_for_http(name, "/readyz", 200)
            return await _live_session(system, folder / "instruments" / "SEM")


async def _live_session(system: System, folder: Path) -> dict[str, float]:
    sem = Instrument(pid="SEM", name="SEM", filestore="SEM")
    start = datetime.now(UTC) - timedelta(minutes=1)
    common = {"session": "live-1", "instrument": sem, "start": start}
    await system.append(SessionStarted(calendar="bench", calendar_event="1", **common))
    await system.append(
        ReservationMatched(session="live-1", tier="calendar", title="Live", after=0)
    )
    latencies = []
    for number in range(LIVE_FILES):
        path = folder / f"day/{number:02}.tif"
        path.parent.mkdir(exist_ok=True)
        write_fei_tiff(path, View(datetime.now(UTC), 10_000.0, 0.0), np.random.default_rng(number))
        closed = datetime.now(UTC)
        event = await system.wait_until(partial(_is_of, path.name))
        latencies.append((event.envelope.time - closed).total_seconds())
    end = datetime.now(UTC)
    await system.append(SessionEnded(end=end, **common))
    built = await system.wait_until(_is_built)
    return {
        "file_to_event_s": max(latencies),
        "end_to_record_s": (built.envelope.time - end).total_seconds(),
    }


def _is_of(name: str, item: Recorded) -> bool:
    """Tell whether an event says that a file of a name was found."""
    return isinstance(item.event, FileIndexed) and item.event.path.endswith(name)


def _is_built(item: Recorded) -> bool:
    return item.event.kind() == "record-built"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="without memory at a million files")
    parser.add_argument("--peak", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        peak_of_look(arguments.peak)
        return
    report = Report("index")
    with tempfile.TemporaryDirectory() as text:
        make_tree(Path(text) / "SEM", 1000, 100)
        report.figures = measure(Path(text), 1000, arguments.rounds)
    figures = report.figures
    find, first = figures["find_cpu_s"], figures["first_look_cpu_s"]
    one, many = figures["files_of_1_cpu_s"], figures["files_of_200_cpu_s"]
    report.bars["one_session_over_find"] = Bar((first + one) / find, 1.2)
    report.bars["200_sessions_over_find"] = Bar((first + many) / find, 3)
    report.bars["second_look_over_find"] = Bar(figures["second_look_cpu_s"] / find, 0.3)
    if not arguments.quick:
        report.bars["peak_mib_10_000_folders"] = Bar(memory(10_000, 100), 300)
        report.bars["peak_mib_one_folder"] = Bar(memory(1, 1_000_000), 300)
    figures |= asyncio.run(live())
    figures["settle_s"] = SETTLE_S
    report.bars["file_to_event_s"] = Bar(figures["file_to_event_s"], 2 + SETTLE_S)
    report.bars["end_to_record_s"] = Bar(figures["end_to_record_s"], 60)
    report.finish()


if __name__ == "__main__":
    main()
