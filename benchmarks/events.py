"""Publish and consume through our event store, and through raw nats-py, in one run.

Both move the same messages: 1 KB of JSON, with the CloudEvents attributes, a deduplication id and
an expected sequence in headers. Raw publishing keeps 256 publishes in flight by
``asyncio.gather``; raw consuming is an ordered consumer with a callback and ``json.loads``. Ours
encodes, and gives validated events. Rounds alternate; CPU seconds are of this process, the broker's
are its own in both. Last, a service's own way of receiving: its durable consumer, subscriber and
processor, with a handler that does nothing, each event acknowledged.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import nats
from nats.js import JetStreamContext, api

from benchmarks.report import Bar, Report
from nexuslims_contracts.envelope import Envelope, Recorded, encode, envelop
from nexuslims_contracts.events import FileIndexed, Instrument
from nexuslims_contracts.identifiers import digest
from nexuslims_contracts.topology import EVENTS, EXTRACTOR
from nexuslims_shared.accounts.access import Access
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.consume import MessageProcessor, by_session
from nexuslims_shared.dead_letters import StreamDeadLetters
from nexuslims_shared.embedded import start_embedded
from nexuslims_shared.store.jetstream import JetStreamEventStore
from nexuslims_shared.store.period_directory import PeriodDirectory
from nexuslims_shared.subscriptions import Subscriptions, make_broker

WINDOW = 256
LIVE = 4_000
"""Events that a live service receives."""


def make_events(count: int, label: str) -> list[Envelope]:
    """Events of about 1 KB of payload, each on a subject of its own."""
    instrument = Instrument(pid="FEI-Titan-TEM", name="FEI Titan TEM", filestore="Titan_TEM")
    return [
        envelop(
            FileIndexed(
                session=f"{label}-{number // 500}",
                file=digest([label, str(number)])[:20],
                path=f"Titan_TEM/{'x' * 780}/{number}.dm3",
                size=17_385_215,
                mtime_ns=1_542_132_060_000_000_000 + number,
                instrument=instrument,
            ),
            source="nexuslims/indexer",
            time=datetime.now(UTC),
        )
        for number in range(count)
    ]


async def publish_ours(js: JetStreamContext, events: list[Envelope]) -> None:
    """Through the event store."""
    await JetStreamEventStore(js).append_all(events)


async def publish_raw(js: JetStreamContext, events: list[Envelope]) -> None:
    """Through nats-py."""
    documents = [
        (event.subject, encode(event)[0], event.event.model_dump(mode="json")) for event in events
    ]
    begin = time.process_time()

    async def one(subject: str, attributes: dict[str, str], document: dict[str, object]) -> None:
        headers = {**attributes, api.Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: "0"}
        await js.publish(subject, json.dumps(document).encode(), headers=headers)

    for start in range(0, len(documents), WINDOW):
        await asyncio.gather(*(one(*document) for document in documents[start : start + WINDOW]))
    raw_cpu.append(time.process_time() - begin)


raw_cpu: list[float] = []
"""Raw publishing without the preparation of its documents, which is not its work."""


async def consume_ours(js: JetStreamContext, count: int) -> None:
    """Through the event store: decoded, validated events."""
    seen = 0
    async for _ in JetStreamEventStore(js).read():
        seen += 1
        if seen == count:
            break
    if seen != count:
        raise RuntimeError(f"{seen} of {count} events were read")


async def consume_raw(js: JetStreamContext, count: int) -> None:
    """Through nats-py: an ordered consumer, a callback, JSON."""
    done = asyncio.Event()
    seen: list[object] = []

    async def take(message: object) -> None:
        seen.append(json.loads(message.data))  # type: ignore[attr-defined]
        if len(seen) == count:
            done.set()

    subscription = await js.subscribe("nexus.events.>", ordered_consumer=True, cb=take)
    await done.wait()
    await subscription.unsubscribe()


async def receive(js: JetStreamContext, url: str, count: int) -> tuple[float, float]:
    """Handle events as a live service does; wall and CPU seconds until all are acknowledged."""
    handled, done = 0, asyncio.Event()

    async def handle(batch: tuple[Recorded, ...]) -> None:
        nonlocal handled
        handled += len(batch)
        if handled >= count:
            done.set()

    access = Access.of(url)
    processor = MessageProcessor(
        EXTRACTOR.name, handle, StreamDeadLetters(js), key=by_session, concurrency=2, backlog=500
    )
    broker = make_broker(access)
    subscriptions = Subscriptions(
        broker,
        PeriodDirectory(js, 5.0),
        EXTRACTOR,
        processor.take,
        lambda: processor.room,
        inbox_prefix=f"{access.inboxes}.".encode(),
    )
    await broker.start()
    try:
        await subscriptions.catch_up()

        async def acknowledged() -> None:
            await done.wait()
            await processor.drain(30.0)

        return await timed(acknowledged())
    finally:
        await subscriptions.stop()
        await broker.stop()


async def measure_live(count: int) -> tuple[float, float]:
    """Events in a fresh broker, received by a service."""
    with tempfile.TemporaryDirectory() as folder:
        broker = start_embedded(Path(folder))
        client = await connect(broker.url, name="bench")
        try:
            js = client.jetstream(timeout=30)
            await provision(js)
            await publish_ours(js, make_events(count, "live"))
            return await receive(js, broker.url, count)
        finally:
            await client.close()
            broker.stop()


async def timed(work: Awaitable[None]) -> tuple[float, float]:
    """Wall and CPU seconds of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    await work
    return time.perf_counter() - wall, time.process_time() - cpu


async def measure_round(
    count: int,
    publish: Callable[[JetStreamContext, list[Envelope]], Awaitable[None]],
    consume: Callable[[JetStreamContext, int], Awaitable[None]],
    *,
    raw: bool,
) -> dict[str, float]:
    """One fresh broker, one way."""
    events = make_events(count, publish.__name__)
    with tempfile.TemporaryDirectory() as folder:
        broker = start_embedded(Path(folder))
        access = Access.of(broker.url)
        client = await (
            nats.connect(list(access.servers), **access.options)
            if raw
            else connect(access, name="bench")
        )
        js = client.jetstream(timeout=30)
        try:
            await provision(js)
            published = await timed(publish(js, events))
            info = await js.stream_info(EVENTS.name)
            if info.state.messages != count:
                raise RuntimeError(f"{info.state.messages} of {count} events are in the stream")
            consumed = await timed(consume(js, count))
        finally:
            await client.close()
            broker.stop()
    return {
        "publish_wall": published[0],
        "publish_cpu": published[1],
        "consume_wall": consumed[0],
        "consume_cpu": consumed[1],
    }


async def run(count: int, rounds: int) -> Report:
    """Alternate rounds; the bar is the ratio of medians, in CPU seconds."""
    ours: list[dict[str, float]] = []
    raw: list[dict[str, float]] = []
    for _ in range(rounds):
        ours.append(await measure_round(count, publish_ours, consume_ours, raw=False))
        one = await measure_round(count, publish_raw, consume_raw, raw=True)
        raw.append({**one, "publish_cpu": raw_cpu[-1]})
    live = [await measure_live(LIVE) for _ in range(rounds)]
    report = Report("events")
    report.figures["events"] = count
    report.figures["rounds"] = rounds
    for name, rows in (("ours", ours), ("raw", raw)):
        for part in ("publish", "consume"):
            for kind in ("cpu", "wall"):
                rate = count / statistics.median(row[f"{part}_{kind}"] for row in rows)
                report.figures[f"{name}_{part}_per_{kind}_s"] = rate
    report.figures["live_per_wall_s"] = LIVE / statistics.median(wall for wall, _ in live)
    live_per_cpu = LIVE / statistics.median(cpu for _, cpu in live)
    report.bars["live_per_cpu_s"] = Bar(live_per_cpu, 1500, at_least=True)
    for part in ("publish", "consume"):
        ratio = report.figures[f"ours_{part}_per_cpu_s"] / report.figures[f"raw_{part}_per_cpu_s"]
        report.bars[f"{part}_ours_over_raw"] = Bar(ratio, 0.8, at_least=True)
    return report


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    asyncio.run(run(options.events, options.rounds)).finish()


if __name__ == "__main__":
    main()
