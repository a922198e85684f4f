"""Three brokers; the one that leads the log is killed, again and again, while events are appended.

``make chaos-cluster``. Writers append through our event store as services do. Each time that the
three hold all of the log, the leader is killed (SIGKILL); it is started again once the others have
taken over. In the end the log is read: every event that was acknowledged is there, and none twice.
"""

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from nats.js import JetStreamContext
from rich.console import Console
from rich.table import Table

from benchmarks import three_brokers
from benchmarks.report import Bar, Report
from benchmarks.three_brokers import Cluster, leader_of
from nexuslims_contracts.envelope import Recorded, envelop
from nexuslims_contracts.events import RetryRequested
from nexuslims_contracts.topology import EVENTS
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.store.jetstream import JetStreamEventStore

WRITERS = 8
PAUSE_S = 0.02
WITHIN_S = 10.0


@dataclass(slots=True)
class Writers:
    """Append events without end, and keep what was acknowledged and how long it took."""

    store: JetStreamEventStore
    acknowledged: list[str] = field(default_factory=list)
    counts: Counter[int] = field(default_factory=Counter)
    longest: float = 0.0
    stopping: bool = False
    _grown: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def write(self, number: int) -> None:
        """Append one event after another, each on its own subject."""
        count = 0
        while not self.stopping:
            count += 1
            event = RetryRequested(session=f"s-{number}-{count}", request="chaos")
            envelope = envelop(event, source="chaos")
            begun = time.monotonic()
            await self.store.append(envelope)
            self.longest = max(self.longest, time.monotonic() - begun)
            async with self._grown:
                self.acknowledged.append(envelope.id)
                self.counts[number] += 1
                self._grown.notify_all()
            await asyncio.sleep(PAUSE_S)

    async def wait_for_all(self) -> None:
        """Wait until each writer has appended an event that it began after this."""
        wanted = {number: self.counts[number] + 2 for number in range(WRITERS)}
        async with self._grown:
            await self._grown.wait_for(
                lambda: all(self.counts[number] >= count for number, count in wanted.items())
            )


async def endure(folder: Path, kills: int) -> Report:
    """Kill leaders, and return what became of the log.

    Parameters
    ----------
    folder
        For the brokers' files.
    kills
        How often.
    """
    report = Report("chaos-cluster")
    async with three_brokers.running(folder) as cluster:
        client = await connect(cluster.access(), name="chaos")
        jetstream = client.jetstream(timeout=5)
        await provision(jetstream, replicas=len(three_brokers.NAMES))
        writers = Writers(JetStreamEventStore(jetstream))
        async with asyncio.TaskGroup() as group:
            for number in range(WRITERS):
                group.create_task(writers.write(number))
            gaps = [await _kill_leader(cluster, jetstream, writers) for _ in range(kills)]
            writers.stopping = True
        await leader_of(jetstream, EVENTS.name)
        stored = Counter(
            [item.envelope.id async for item in writers.store.read() if isinstance(item, Recorded)]
        )
        await client.close()
    _show(gaps)
    report.figures |= {
        "kills": kills,
        "acknowledged": len(writers.acknowledged),
        "stored": sum(stored.values()),
        "mean_s_until_all_go_on": sum(gaps) / len(gaps),
    }
    report.bars["lost"] = Bar(sum(one not in stored for one in writers.acknowledged), 0)
    report.bars["twice"] = Bar(sum(count > 1 for count in stored.values()), 0)
    report.bars["longest_s_until_all_go_on"] = Bar(max(gaps), WITHIN_S)
    report.bars["longest_append_s"] = Bar(writers.longest, WITHIN_S)
    return report


async def _kill_leader(cluster: Cluster, jetstream: JetStreamContext, writers: Writers) -> float:
    """Kill the leader of the log; return after how many seconds every writer goes on."""
    leader = await leader_of(jetstream, EVENTS.name)
    await writers.wait_for_all()
    cluster.kill(leader)
    killed = time.monotonic()
    await writers.wait_for_all()
    resumed = time.monotonic() - killed
    cluster.start(leader)
    return resumed


def _show(gaps: list[float]) -> None:
    table = Table("kill", "s until all writers go on", title="the leader of the log, killed")
    for number, gap in enumerate(gaps, start=1):
        table.add_row(str(number), f"{gap:.2f}")
    Console().print(table)


def main() -> None:
    """Run it, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(endure(Path(folder), options.kills))
    report.finish()


if __name__ == "__main__":
    main()
