"""A session of 50,000 files whose folder is renamed twice: indexed, read and built, end to end.

The services run as processes, as in production. The indexer finds the files, and finds them again
after each of two renames; then the extractor reads them, the builder makes the record and the
archive takes it. ``FILES=2000`` asks for fewer. The broker takes no message of more than 256 KB, so
whatever grows with the number of files is refused; the largest message that is stored, of events
and of key-value buckets, is reported, and the CPU time that a file costs each service.
"""

import asyncio
import os
import re
import signal
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import tifffile
from tests.system import System, running

from benchmarks.report import Bar, Report
from nexuslims_contracts.envelope import MAX_EVENT_BYTES, Recorded
from nexuslims_contracts.events import (
    Event,
    FileIndexed,
    Instrument,
    MetadataExtracted,
    RecordBuilt,
    RecordRejected,
    RecordUploaded,
    RetryRequested,
    SessionIndexed,
)
from nexuslims_contracts.testing import SessionEvents
from nexuslims_shared.broker import connect

SERVICES: Final = ("indexer", "extractor", "builder", "uploader", "console")
START: Final = datetime(2026, 6, 1, 8, tzinfo=UTC)
LENGTH: Final = timedelta(hours=8)
_HEADERS: Final = 4096
_BATCH: Final = 500
_STEPS: Final = 20
"""How often progress is printed while files are found or read."""


def main() -> None:
    """Run the benchmark."""
    report = Report("manifest")
    with tempfile.TemporaryDirectory() as text:
        asyncio.run(measure(Path(text), int(os.environ.get("FILES", "50000")), report))
    report.finish()


async def measure(folder: Path, files: int, report: Report) -> None:
    """Run one session through the services.

    Parameters
    ----------
    folder
        Where to work; empty.
    files
        How many files the session has.
    report
        Takes the figures and the bars.
    """
    places = [folder / "instruments" / "SEM" / name for name in ("series", "first", "second")]
    await asyncio.to_thread(write_files, places[0], files)
    (folder / "data").mkdir()
    settings = {
        "NX_INSTRUMENT_DATA_PATH": str(folder / "instruments"),
        "NX_DATA_PATH": str(folder / "data"),
        "NX_FILE_DELAY_DAYS": "3650",
    }
    async with running(folder, (), **settings) as system:
        _limit_messages(system)
        run = _Run(system, files, report)
        system.start("indexer", **settings)
        await run.index(places)
        system.start(*SERVICES[1:], **settings)
        await run.build()
        await _measure_messages(system, report)
        _measure_processes(system, report, files)


def write_files(folder: Path, count: int) -> None:
    """Write small images, of different content, over the time of a session.

    Parameters
    ----------
    folder
        Where; it is made.
    count
        How many.
    """
    folder.mkdir(parents=True)
    image = BytesIO()
    tifffile.imwrite(image, np.arange(64, dtype=np.uint8).reshape(8, 8))
    for number in range(count):
        path = folder / f"{number:06}.tif"
        path.write_bytes(image.getvalue() + number.to_bytes(4, "big"))
        moment = (START + LENGTH * (number + 1) / (count + 2)).timestamp()
        os.utime(path, (moment, moment))


class _Run:
    """What happens to one session, and how long it takes."""

    def __init__(self, system: System, files: int, report: Report) -> None:
        self._system, self._files, self._report = system, files, report
        self._sequence = 0

    async def index(self, places: list[Path]) -> None:
        """Have the files found, at each of some places in turn."""
        sem = Instrument(pid="SEM", name="SEM", filestore="SEM")
        facts = SessionEvents("many-1", START, START + LENGTH, sem)
        for event in (facts.started(), facts.matched(), facts.ended()):
            await self._system.append(event)
        await self._wait(
            "indexed (s)", lambda item: isinstance(item.event, SessionIndexed), FileIndexed
        )
        for number, (before, after) in enumerate(pairwise(places), start=1):
            before.rename(after)
            await self._system.append(RetryRequested(session="many-1", request=f"{number}"))
            await self._wait(f"indexed after rename {number} (s)", self._is_complete, FileIndexed)

    def _is_complete(self, item: Recorded) -> bool:
        event = item.event
        return isinstance(event, SessionIndexed) and (event.count, event.missing) == (
            self._files,
            0,
        )

    async def build(self) -> None:
        """Have the files read, the record built and put into the archive."""
        begin = time.perf_counter()
        read = await self._wait(
            "read and built (s)", lambda item: _is_record(item.event), MetadataExtracted
        )
        built = read.event
        if not isinstance(built, RecordBuilt):
            raise SystemExit(f"the record was rejected: {built}")
        self._report.figures["files read a second"] = self._files / (time.perf_counter() - begin)
        self._report.figures["record (MB)"] = built.record.size / 1e6
        await self._wait("uploaded (s)", lambda item: isinstance(item.event, RecordUploaded))
        datasets = Bar(built.datasets, self._files, at_least=True)
        self._report.bars["datasets in the record"] = datasets
        self._report.bars["files that could not be read"] = Bar(built.failures, 0)

    async def _wait(
        self,
        what: str,
        condition: Callable[[Recorded], bool],
        counted: type[Event] = SessionIndexed,
    ) -> Recorded:
        """Wait for an event, and print how many came of those that are counted."""
        begin = time.perf_counter()
        step = max(self._files // _STEPS, 1)
        count = 0

        def is_it(item: Recorded) -> bool:
            nonlocal count
            if isinstance(item.event, counted):
                count += 1
                if count % step == 0:
                    rate = count / (time.perf_counter() - begin)
                    print(f"  {count:,} of {self._files:,} files, {rate:.0f} a second", flush=True)
            return condition(item)

        found = await self._system.wait_until(is_it, after=self._sequence)
        self._report.figures[what] = time.perf_counter() - begin
        print(f"{what}: {self._report.figures[what]:.1f}", flush=True)
        self._sequence = found.sequence
        return found


def cpu_of_tree(pid: int) -> float:
    """Return the CPU seconds of a process, of those it started, and of those that have ended.

    Parameters
    ----------
    pid
        Of the process; Linux counts.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # it has ended in between: its parent has its time
    own = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return own + sum(cpu_of_tree(int(child)) for child in children)


def _is_record(event: object) -> bool:
    return isinstance(event, RecordBuilt | RecordRejected)


def _limit_messages(system: System) -> None:
    """Have the broker refuse messages that are longer than an event may be."""
    config = system.broker.state / "broker" / "server.conf"
    limit = f"max_payload: {MAX_EVENT_BYTES + _HEADERS}"
    config.write_text(re.sub(r"max_payload: \S+", limit, config.read_text()))
    system.broker.process.send_signal(signal.SIGHUP)


async def _measure_messages(system: System, report: Report) -> None:
    """Find the largest message of all streams: the events', and those of the buckets."""
    client = await connect(system.broker.url, name="benchmark")
    jetstream = client.jetstream()
    largest, count = 0, 0
    for stream in await jetstream.streams_info():
        left = stream.state.messages
        name = stream.config.name
        subscription = await jetstream.pull_subscribe(">", stream=name)
        while left > 0:
            messages = await subscription.fetch(min(left, _BATCH), timeout=10)
            left, count = left - len(messages), count + len(messages)
            largest = max(largest, *(len(message.data) for message in messages))
            for message in messages:
                await message.ack()
    report.figures["messages stored"] = count
    report.bars["largest message (bytes)"] = Bar(largest, MAX_EVENT_BYTES)
    await client.close()


def _measure_processes(system: System, report: Report, files: int) -> None:
    """Report what each service took: CPU time, and the most memory that it ever held."""
    pids = {name: process.pid for name, process in system.processes.items()}
    for name, pid in {**pids, "broker": system.broker.process.pid}.items():
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        peak = int(status.partition("VmHWM:")[2].split()[0])
        report.figures[f"{name}, memory (MiB)"] = peak / 1024
        report.figures[f"{name}, CPU a file (ms)"] = 1e3 * cpu_of_tree(pid) / files


if __name__ == "__main__":
    main()
