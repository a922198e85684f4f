"""What traces cost the pipeline: CPU seconds of a real session of 14 files, with and without them.

With: all services send every span to a collector in this process, whose own time does not count.
Without: what is left are calls that find traces off, and metrics. That is too little to be seen
between two runs, so it is counted: as many calls as there were spans, stored events and handled
deliveries, times what one call costs here.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.corpus import require_corpus
from tests.otlp import Collector, collecting

from benchmarks.report import Bar, Report
from benchmarks.session import run_ours
from nexuslims_contracts.envelope import Recorded, envelop
from nexuslims_contracts.events import RetryRequested
from nexuslims_shared.telemetry import tracing
from nexuslims_shared.telemetry.work import handling

CALLS: Final = 20_000


def cost_of(call: Callable[[], None]) -> float:
    """CPU seconds of one call."""
    begin = time.process_time()
    for _ in range(CALLS):
        call()
    return (time.process_time() - begin) / CALLS


def cost_when_off(spans: int, deliveries: int) -> float:
    """CPU seconds of a session's calls while traces are off.

    Parameters
    ----------
    spans
        How many there were with traces on; as many calls find them off.
    deliveries
        How many of them are deliveries that were handled, whose durations are measured too.
    """
    event = envelop(RetryRequested(session="s-1", request="1"), source="bench")
    batch = (Recorded(event, 1, datetime.now(UTC)),)

    def span() -> None:
        with tracing.span("bench") as one:
            one.set({tracing.OUTCOME: "done"})

    def handle() -> None:
        with handling("bench", batch, 1):
            pass

    return spans * cost_of(span) + deliveries * cost_of(handle)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    off: list[float] = []
    on: list[float] = []
    collectors: list[Collector] = []
    with tempfile.TemporaryDirectory() as text:
        instrument_data = require_corpus().session_files(Path(text) / "instrument-data")
        for _ in range(rounds):
            off.append(asyncio.run(run_ours(instrument_data))["cpu"])
            with collecting() as collector:
                settings = {
                    "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
                    "OTEL_BSP_SCHEDULE_DELAY": "500",
                }
                on.append(asyncio.run(run_ours(instrument_data, **settings))["cpu"])
            collectors.append(collector)
    spans = collectors[0].spans
    deliveries = sum(1 for span in spans if span.name.startswith("process "))
    report = Report("telemetry")
    without = statistics.median(off)
    report.figures = {
        "rounds": rounds,
        "cpu_off_s": without,
        "cpu_on_s": statistics.median(on),
        "spans": len(spans),
        "deliveries": deliveries,
        "cost_when_off_s": cost_when_off(len(spans), deliveries),
    }
    pairs = [with_traces / alone - 1 for with_traces, alone in zip(on, off, strict=True)]
    report.figures["quietest_pair"] = min(pairs)
    report.bars["share_on"] = Bar(statistics.median(pairs), 0.10)
    report.bars["share_off"] = Bar(report.figures["cost_when_off_s"] / without, 0.01)
    report.finish()


if __name__ == "__main__":
    main()
