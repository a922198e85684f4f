"""A log of a million events, or more: sessions opened, the read model made, the broker recovered.

The log is made once, into the user's cache folder (:mod:`benchmarks.scale_stream`: some 2.7 GB and
five minutes for a million); ``EVENTS=10000000`` asks for another length,
``PERIODS=month`` for a stream for each month. Sessions are opened by a
repository that remembers none, at random, first after the broker's start (cold: each block of the
log is read for the first time) and again (warm); as five of the six services open them, in a
process whose imports are exempt from collections of cycles as in a service, and once more with the
datasets of their files, which the builder needs. The read model is made in a process of its own,
whose peak of memory counts; the broker is killed, and timed until it answers. The
console's lists are called at a hundred thousand sessions (:mod:`benchmarks.scale_lists`).
"""

import argparse
import asyncio
import gc
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import psutil
from nats.aio.client import Client
from pydantic import TypeAdapter

from benchmarks.report import Bar, Report
from benchmarks.scale_lists import measure_lists
from benchmarks.scale_stream import session_count, session_name, stream_folder
from nexuslims_console.database import Database
from nexuslims_console.projection import Projection
from nexuslims_contracts.periods import PeriodLength
from nexuslims_shared.broker import connect
from nexuslims_shared.embedded import EmbeddedBroker, start_embedded
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.store.jetstream import JetStreamEventStore

_OPENED: Final = 400
_MEBIBYTE: Final = 1 << 20


def main() -> None:
    """Measure, print, and exit 0 if all bars hold."""
    options = argparse.ArgumentParser()
    options.add_argument("--project", metavar="URL", help="make the read model, in this process")
    url = options.parse_args().project
    if url:
        asyncio.run(_project(url))
        return
    events = int(os.environ.get("EVENTS", "1000000"))
    periods: PeriodLength = TypeAdapter(PeriodLength).validate_python(
        os.environ.get("PERIODS", "all")
    )
    report = Report("scale")
    gc.freeze()
    asyncio.run(_measure(stream_folder(events, periods), session_count(events), report))
    measure_lists(report)
    report.finish()


async def _measure(folder: Path, sessions: int, report: Report) -> None:
    broker = await asyncio.to_thread(start_embedded, folder)
    try:
        chosen = random.Random(14).sample(range(sessions), _OPENED)  # noqa: S311 - no secret
        names = [session_name(number) for number in chosen]
        for state in ("cold", "warm"):
            quantiles = statistics.quantiles(await _open_sessions(broker, names), n=100)
            report.bars[f"session opened p50 {state} (ms)"] = Bar(quantiles[49], 10.0)
            report.bars[f"session opened p99 {state} (ms)"] = Bar(quantiles[98], 50.0)
        whole = statistics.quantiles(await _open_sessions(broker, names, datasets=True), n=100)
        report.figures["session opened with its datasets, p50 (ms)"] = whole[49]
        _measure_projection(broker, report)
        broker = await asyncio.to_thread(_kill_and_start, broker, report)
    finally:
        await asyncio.to_thread(broker.stop)


async def _open_sessions(
    broker: EmbeddedBroker, names: list[str], *, datasets: bool = False
) -> list[float]:
    """Return the milliseconds that each session took."""
    client = await connect(broker.url, name="benchmark")
    try:
        repository = SessionRepository(_store(client), datasets=datasets, capacity=1)
        times = []
        for name in names:
            begin = time.perf_counter()
            state = await repository.open(name)
            times.append((time.perf_counter() - begin) * 1000)
            if state.record is None:
                raise SystemExit(f"session {name} has no record: delete the cache and try again")
        return times
    finally:
        await client.close()


def _measure_projection(broker: EmbeddedBroker, report: Report) -> None:
    """Make the read model from nothing, on two cores at most."""
    server = psutil.Process(broker.process.pid)
    before = sum(server.cpu_times()[:2])
    program = [sys.executable, "-m", "benchmarks.scale", "--project", broker.url]
    done = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True)
    answer = json.loads(done.stdout)
    broker_cpu = sum(server.cpu_times()[:2]) - before
    events = answer["events"]
    report.figures["events"] = events
    report.figures["read model, CPU (us an event)"] = answer["cpu"] / events * 1e6
    report.figures["read model, broker's CPU (us an event)"] = broker_cpu / events * 1e6
    report.figures["read model, on disk (bytes an event)"] = answer["bytes"] / events
    report.bars["read model (events a second)"] = Bar(events / answer["seconds"], 20_000, True)
    report.bars["read model, memory (MiB)"] = Bar(answer["memory"] / _MEBIBYTE, 300)


async def _project(url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "read-model.db"
        database = Database(f"sqlite:///{file}")
        database.prepare()
        client = await connect(url, name="benchmark")
        begin, cpu = time.perf_counter(), time.process_time()
        events = (await Projection(_store(client), database).catch_up()).messages
        print(
            json.dumps(
                {
                    "events": events,
                    "seconds": time.perf_counter() - begin,
                    "cpu": time.process_time() - cpu,
                    "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                    "bytes": file.stat().st_size,
                }
            )
        )
        await client.close()
        database.close()


def _kill_and_start(broker: EmbeddedBroker, report: Report) -> EmbeddedBroker:
    broker.process.kill()
    broker.process.wait()
    begin = time.perf_counter()
    started = start_embedded(broker.state)
    report.figures["broker started after kill -9 (s)"] = time.perf_counter() - begin
    server = psutil.Process(started.process.pid)
    report.figures["broker, memory (MiB)"] = server.memory_info().rss / _MEBIBYTE
    report.bars["broker started after kill -9"] = Bar(1.0, 1.0, True)
    return started


def _store(client: Client) -> JetStreamEventStore:
    return JetStreamEventStore(client.jetstream())


if __name__ == "__main__":
    main()
