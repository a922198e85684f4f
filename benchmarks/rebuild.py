"""Rebuilding the records of many sessions from their events, beside the incumbent, in one run.

A real session of 14 files is read once by the services. Its events are stored again as sessions of
twenty files each, with a record that no builder would make, so that every rebuilt one differs:
events are read, records composed, validated and written to disk, and an event stored for each.
CPU seconds are those of the command, its processes and the broker. Then every session gets another
title, and the job is killed half way and started again: each record must be built exactly once.
"""

import argparse
import asyncio
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psutil
from tests.corpus import require_corpus
from tests.system import running

from benchmarks.environments import incumbent_environment
from benchmarks.report import Bar, Report
from benchmarks.session import SESSION, one_session, run_incumbent
from nexuslims_contracts.datasets import ArtifactRef
from nexuslims_contracts.envelope import Envelope, envelop
from nexuslims_contracts.events import (
    Event,
    ExtractionFailed,
    FileIndexed,
    MetadataExtracted,
    RecordBuilt,
    ReservationMatched,
    SessionIndexed,
    SessionStarted,
)
from nexuslims_contracts.identifiers import file_token
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.embedded import EmbeddedBroker, start_embedded
from nexuslims_shared.store.jetstream import JetStreamEventStore
from nexuslims_shared.store.port import read_session

FILES = 20


async def real_events(instrument_data: Path) -> list[Event]:
    """The events of a real session, as the services state them."""
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
        ) as system:
            for name in services:
                await system.wait_for_http(name, "/readyz", 200)
            await one_session(system, files=0)
            return [one.event for one in await read_session(system.store, SESSION)]


def sessions(events: list[Event], count: int) -> Iterator[list[Envelope]]:
    """Make sessions of the events of one, with other names and times, and twenty files each."""
    for number in range(count):
        name, shift = f"bench-{number}", timedelta(hours=number // 4)
        made = [_moved(event, name, shift) for event in _with_files(events)]
        last = RecordBuilt(
            session=name,
            record=ArtifactRef(path=f"{name}.xml", sha256=f"{number:064x}", size=1),
            title="Not built by any builder",
            activities=1,
            datasets=1,
            inputs_through_seq=1,
            inputs_digest="",
            builder="0",
        )
        yield [envelop(event, source="nexuslims/benchmark") for event in (*made, last)]


def _with_files(events: list[Event]) -> Iterator[Event]:
    """Give the events of a session again, with as many files as we want."""
    read = {event.file: event for event in events if isinstance(event, MetadataExtracted)}
    found = [one for one in events if isinstance(one, FileIndexed) and one.file in read]
    chosen = [(number, found[number % len(found)]) for number in range(FILES)]
    for event in events:
        match event:
            case FileIndexed() | MetadataExtracted() | ExtractionFailed() | RecordBuilt():
                continue
            case SessionIndexed():
                yield from (_numbered(number, file) for number, file in chosen)
                yield event.model_copy(update={"count": FILES})
            case _:
                yield event
    for number, file in chosen:
        token = _numbered(number, file).file
        yield read[file.file].model_copy(update={"file": token})


def _numbered(number: int, file: FileIndexed) -> FileIndexed:
    path, mtime = f"{number:02d}-{file.path.rpartition('/')[2]}", file.mtime_ns + number * 10**9
    changed = {"path": f"Titan_TEM/{path}", "mtime_ns": mtime}
    return file.model_copy(update={**changed, "file": file_token(path, file.size, mtime)})


def _moved(event: Event, session: str, shift: timedelta) -> Event:
    """Give an event to another session, at another time."""
    update: dict[str, object] = {"session": session}
    if isinstance(event, SessionStarted):  # the record's file is named after it
        update["calendar_event"] = session
    for name in ("start", "end"):
        moment = getattr(event, name, None)
        if moment is not None:
            update[name] = moment + shift
    return event.model_copy(update=update)


async def store_sessions(broker: EmbeddedBroker, events: list[Event], count: int) -> None:
    """Store the events of all sessions."""
    client = await connect(broker.url, name="benchmark")
    try:
        await provision(client.jetstream())
        store = JetStreamEventStore(client.jetstream())
        waiting: list[Envelope] = []
        for made in sessions(events, count):
            waiting += made
            if len(waiting) >= 2000:  # noqa: PLR2004 - some windows of the store
                await store.append_all(waiting)
                waiting = []
        await store.append_all(waiting)
    finally:
        await client.close()


async def built_records(broker: EmbeddedBroker, after: int) -> Counter[str]:
    """Count the records that were built after a position, by session."""
    client = await connect(broker.url, name="benchmark")
    try:
        store = JetStreamEventStore(client.jetstream())
        items = store.read(filters=(RecordBuilt.filter(),), after=after)
        return Counter([item.subject.split(".")[2] async for item in items])
    finally:
        await client.close()


class Facility:
    """A folder with a log, and the command that rebuilds from it."""

    def __init__(self, folder: Path, broker: EmbeddedBroker) -> None:
        self.folder = folder
        self.broker = broker
        self.command: list[str | Path] = [
            Path(sys.executable).with_name("nexuslims"),
            "rebuild",
            "--all",
        ]
        self.command += ["--processes", "2", "--json"]

    def start(self, **settings: str) -> subprocess.Popen[str]:
        """Start a rebuild of everything on two processes."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("NX_")},
            "NATS_URL": self.broker.url,
            "NX_INSTRUMENT_DATA_PATH": str(self.folder),
            "NX_DATA_PATH": str(self.folder / "data"),
            "NX_STATE_PATH": str(self.folder / "state"),
            **settings,
        }
        return subprocess.Popen(
            self.command, cwd=self.folder, env=environment, text=True, stdout=subprocess.PIPE
        )

    def finish(self, job: subprocess.Popen[str]) -> dict[str, float]:
        """Wait for a rebuild; return what it printed."""
        out, _ = job.communicate()
        if job.returncode:
            raise RuntimeError(f"the rebuild ended with {job.returncode}: {out[-2000:]}")
        outcome: dict[str, float] = json.loads(out)
        return outcome

    def measured(self, **settings: str) -> tuple[float, float]:
        """Seconds, and CPU seconds of all processes, of one rebuild that is not disturbed."""
        broker = psutil.Process(self.broker.process.pid)
        before, begin = _cpu_of(broker), time.monotonic()
        self.finish(self.start(**settings))
        return time.monotonic() - begin, _cpu_of(broker) - before

    def done(self) -> int:
        """How many sessions the journal of an unfinished rebuild holds."""
        files = list((self.folder / "state" / "rebuild").glob("*.jsonl"))
        return sum(file.read_bytes().count(b"\n") for file in files)


def _cpu_of(broker: psutil.Process) -> float:
    times, ours = broker.cpu_times(), resource.getrusage(resource.RUSAGE_CHILDREN)
    return float(times.user + times.system + ours.ru_utime + ours.ru_stime)


async def retitle_sessions(broker: EmbeddedBroker, count: int) -> int:
    """Give every session another title; return the last position before that."""
    client = await connect(broker.url, name="benchmark")
    try:
        store = JetStreamEventStore(client.jetstream())
        position = await store.last_sequence()
        titles = [
            ReservationMatched(session=f"bench-{number}", tier="calendar", title="New", after=1)
            for number in range(count)
        ]
        await store.append_all([envelop(one, source="nexuslims/benchmark") for one in titles])
        return position
    finally:
        await client.close()


def killed_and_resumed(facility: Facility, count: int) -> dict[str, float]:
    """Kill a rebuild half way and start it again; how many records were built how often."""
    position = asyncio.run(retitle_sessions(facility.broker, count))
    job = facility.start()
    while facility.done() < count // 2 and job.poll() is None:
        time.sleep(0.05)
    job.send_signal(signal.SIGKILL)
    job.communicate()
    before = facility.done()
    facility.finish(facility.start())
    built = asyncio.run(built_records(facility.broker, after=position))
    return {
        "done_when_killed": before,
        "built_once": sum(1 for times in built.values() if times == 1),
        "built_twice": sum(1 for times in built.values() if times > 1),
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3, help="of the incumbent")
    arguments = parser.parse_args()
    python, count = incumbent_environment(), arguments.sessions
    report = Report("rebuild")
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        instrument_data = require_corpus().session_files(folder / "instrument-data")
        incumbent = [run_incumbent(python, instrument_data) for _ in range(arguments.rounds)]
        events = asyncio.run(real_events(instrument_data))
        (folder / "data").mkdir()
        broker = start_embedded(folder / "broker")
        try:
            asyncio.run(store_sessions(broker, events, count))
            facility = Facility(folder, broker)
            changed_s, changed_cpu = facility.measured()
            shutil.rmtree(folder / "data" / "records")
            again_s, again_cpu = facility.measured()
            files = len(list((folder / "data" / "records").glob("*.xml")))
            report.figures |= killed_and_resumed(facility, count)
        finally:
            broker.stop()
    theirs = statistics.median(one["cpu"] for one in incumbent)
    report.figures |= {
        "sessions": count,
        "files_each": FILES,
        "records_on_disk": files,
        "seconds": changed_s,
        "cpu_ms_per_record": 1000 * changed_cpu / count,
        "seconds_without_changes": again_s,
        "records_per_s_without_changes": count / again_s,
        "cpu_ms_per_record_without_changes": 1000 * again_cpu / count,
        "incumbent_cpu_s_per_record": theirs,
    }
    report.bars["records_per_s"] = Bar(count / changed_s, 100, at_least=True)
    report.bars["not_built_exactly_once"] = Bar(count - report.figures["built_once"], 0)
    report.bars["missing_on_disk"] = Bar(count - files, 0)
    report.bars["incumbent_cpu_over_ours"] = Bar(
        theirs / (changed_cpu / count), 1000, at_least=True
    )
    report.finish()


if __name__ == "__main__":
    main()
