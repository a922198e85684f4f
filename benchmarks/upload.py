"""Records to a CDCS that takes 50 ms to answer: as many at once as configured, not one by one."""

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path

from benchmarks.report import Bar, Report
from benchmarks.uploads import write_sessions
from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.topology import UPLOADER
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.consume import Handler, MessageProcessor, by_session
from nexuslims_shared.dead_letters import StreamDeadLetters
from nexuslims_shared.embedded import start_embedded
from nexuslims_shared.people import MemoryPeople
from nexuslims_shared.service import ServiceContext, service_named
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.jetstream import JetStreamEventStore
from nexuslims_uploader.testing.cdcs import FakeCdcs

LATENCY_S = 0.05


class Counted:
    """A handler that says when it has handled so many events."""

    def __init__(self, handler: Handler | None, count: int) -> None:
        self._handler = handler
        self._left = count
        self.done = asyncio.Event()

    async def __call__(self, batch: tuple[Recorded, ...]) -> None:
        """Handle some."""
        if self._handler is not None:
            await self._handler(batch)
        self._left -= len(batch)
        if self._left <= 0:
            self.done.set()


async def upload(
    folder: Path, cdcs: FakeCdcs, count: int, size: int, concurrency: int
) -> tuple[float, int]:
    """Upload records; returns how long that took, in seconds, and how many were exactly there."""
    (folder / "instruments").mkdir()
    settings = Settings(
        instrument_data_path=folder / "instruments",
        data_path=folder / "data",
        state_path=folder / "state",
        destinations=("cdcs",),
        upload_concurrency=concurrency,
    )
    os.environ.update({"NX_CDCS_URL": cdcs.url, "NX_CDCS_TOKEN": "admin-token"})
    broker = start_embedded(folder)
    client = await connect(broker.url, name="bench")
    jetstream = client.jetstream()
    await provision(jetstream)
    store = JetStreamEventStore(jetstream)
    records = await write_sessions(settings, store, count, size)
    service = service_named("uploader", settings)
    context = ServiceContext(
        settings, store, MemoryPeople(), StreamDeadLetters(jetstream), jetstream
    )
    async with service.work(context) as handler:
        counted = Counted(handler, count)
        processor = MessageProcessor(
            UPLOADER.name,
            counted,
            context.dead_letters,
            key=by_session,
            concurrency=service.concurrency,
        )
        subscription = await jetstream.pull_subscribe_bind(UPLOADER.name, stream="NEXUS_EVENTS")
        messages = await subscription.fetch(count, timeout=10)
        begin = time.perf_counter()
        for message in messages:
            await processor.take(message)
        await counted.done.wait()
        took = time.perf_counter() - begin
        await processor.drain(60)
    await client.close()
    broker.stop()
    held = cdcs.held()
    return took, sum(held.get(session) == [xml] for session, xml in records.items())


async def measure(count: int, size: int, concurrency: int) -> Report:
    """Upload once, and count how many requests the server has at once.

    The time it takes is a figure without a bar: here the server's work is in the same process.
    """
    report = Report("upload")
    with tempfile.TemporaryDirectory() as folder:
        async with FakeCdcs().running() as cdcs:
            cdcs.latency = LATENCY_S
            took, exact = await upload(Path(folder), cdcs, count, size, concurrency)
            requests = len(cdcs.requests)
            report.bars["requests at once"] = Bar(cdcs.busiest, concurrency, at_least=True)
    report.figures |= {
        "records": count,
        "bytes each": size,
        "configured concurrency": concurrency,
        "requests": requests,
        "seconds": took,
        "seconds if one by one, at least": requests * LATENCY_S,
    }
    report.bars["records exactly there"] = Bar(exact, count, at_least=True)
    return report


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--concurrency", type=int, default=4)
    options = parser.parse_args()
    asyncio.run(measure(options.count, options.size, options.concurrency)).finish()


if __name__ == "__main__":
    main()
