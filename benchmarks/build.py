"""The cost of building records: CPU time of small ones, and how time and memory grow.

``make bench-build``. Sessions are made up: each file has one signal with 120 parameters, as a DM3
of a busy microscope has, 40 of which differ from file to file. Their messages are written to disk
first; what is measured is a process that reads them one by one as the builder reads its log, folds
them, composes the record and validates it. Files of the operating system and the broker are left
out: ``make bench-rebuild`` has them.
"""

import gc
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.report import Bar, Report
from nexuslims_builder.build import compose
from nexuslims_builder.collector import collect_rarely
from nexuslims_builder.signals import SignalReader
from nexuslims_contracts.datasets import ArtifactRef, Dataset, ExtractorVersion
from nexuslims_contracts.envelope import Recorded, decode, encode, envelop
from nexuslims_contracts.events import Event, MetadataExtracted, RecordBuilt, Sample
from nexuslims_contracts.testing import SessionEvents
from nexuslims_shared.session.state import INITIAL, evolve
from nexuslims_shared.settings import Settings

SHARED: Final = 80
OWN: Final = 40
SMALL: Final = 20
SIZES: Final = (SMALL, 100, 1_000, 10_000)
ROUNDS: Final = 25
START: Final = datetime(2018, 11, 13, 16, tzinfo=UTC)


def main() -> None:
    """Run the benchmark, or be the process that is measured."""
    if len(sys.argv) > 1:
        measured(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
        return
    report = Report("build")
    per_file = {}
    with TemporaryDirectory() as folder:
        for size in SIZES:
            path = Path(folder, f"{size}.jsonl")
            path.write_text("".join(_lines(size)), encoding="utf-8")
            rounds = ROUNDS if size == SMALL else 3 if size <= 1_000 else 1  # noqa: PLR2004
            found = _in_process(Path(folder, f"{SMALL}.jsonl"), path, rounds)
            per_file[size] = found["cpu_s"] / size
            report.figures[f"cpu_ms_record_of_{size}"] = 1e3 * found["cpu_s"]
            report.figures[f"megabytes_record_of_{size}"] = found["bytes"] / 1e6
            report.figures[f"memory_mb_record_of_{size}"] = found["memory_mb"]
    report.bars["cpu_ms_record_of_20_files"] = Bar(1e3 * per_file[SMALL] * SMALL, 15)
    report.bars["cpu_per_file_10000_over_100"] = Bar(per_file[10_000] / per_file[100], 1.1)
    report.bars["memory_mb_10000_files"] = Bar(report.figures["memory_mb_record_of_10000"], 300)
    report.finish()


def measured(first: Path, path: Path, rounds: int) -> None:
    """Build the record of the messages in a file, and print what it cost.

    Parameters
    ----------
    first
        Messages of a small session, one a line: its record is built before, and not counted, as a
        service's first one costs more, whatever its size.
    path
        One message a line.
    rounds
        How often; the median counts.
    """
    settings = Settings(instrument_data_path=path.parent, data_path=path.parent)
    collect_rarely()
    _build(first, settings)
    spent, size = [], 0
    for _ in range(rounds):
        gc.collect()
        begun = time.process_time()
        size = _build(path, settings)
        spent.append(time.process_time() - begun)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"cpu_s": median(spent), "memory_mb": memory, "bytes": size}
    sys.stdout.write(json.dumps(figures))


def _build(path: Path, settings: Settings) -> int:
    """Build one record as the service does; return how many bytes it has."""
    state, reader, signals = INITIAL, SignalReader(), {}
    for recorded in _messages(path):
        state = evolve(state, _light(recorded))
    for recorded in _messages(path):
        if isinstance(recorded.event, MetadataExtracted):
            signals[recorded.event.file] = reader.read(recorded.event)
    outcome, xml = compose(state, {"ned": "Ned Land (ned)"}, signals, settings)
    if not isinstance(outcome, RecordBuilt):
        raise TypeError(f"the record is rejected: {outcome.reason}")
    return len(xml)


def _messages(path: Path) -> Iterator[Recorded]:
    with path.open(encoding="utf-8") as lines:
        for sequence, line in enumerate(lines, start=1):
            headers, _, payload = line.partition("\t")
            envelope = decode(json.loads(headers), payload.encode())
            yield Recorded(envelope, sequence, START)


def _light(recorded: Recorded) -> Recorded:
    """Leave out what was read from the file, as the repository of sessions does."""
    event = recorded.event
    if not isinstance(event, MetadataExtracted):
        return recorded
    bare = event.model_copy(update={"datasets": ()})
    return replace(recorded, envelope=replace(recorded.envelope, event=bare))


def _in_process(first: Path, path: Path, rounds: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.build", str(first), str(path), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _lines(size: int) -> Iterator[str]:
    for event in _events(size):
        headers, payload = encode(envelop(event, source="bench", time=START))
        yield f"{json.dumps(headers)}\t{payload.decode()}\n"


def _events(size: int) -> Iterator[Event]:
    """Make the events of a session whose files come in bursts of about 25."""
    facts = SessionEvents(start=START, end=START + timedelta(days=30))
    yield facts.started()
    yield facts.matched(experimenter="ned", samples=(Sample(id="s-1", name="Gold"),))
    yield facts.ended()
    for number in range(size):
        second = int(START.timestamp()) + 60 + 20 * number + 1800 * (number // 25)
        yield facts.indexed(
            number, path=f"Titan/image_{number:05}.dm3", mtime_ns=second * 1_000_000_000
        )
    yield facts.manifest(size)
    for number in range(size):
        yield facts.extracted(
            number,
            datasets=(_dataset(number),),
            extractor=ExtractorVersion(name="dm", version="1.0"),
        )


def _dataset(number: int) -> Dataset:
    tags = {f"tag_{place}": f"value {place}" for place in range(SHARED // 2)}
    numbers = {f"number_{place}": place * 1.5 for place in range(SHARED - SHARED // 2)}
    own = {f"own_{place}": (number + 1) * 1.25 + place for place in range(OWN // 2)}
    quantities = {
        f"measured_{place}": {"value": number * 0.37 + place, "unit": "um"}
        for place in range(OWN - OWN // 2)
    }
    path = f"Titan/image_{number:05}.dm3.thumb.png"
    return Dataset(
        index=0,
        name=f"image_{number:05}",
        dataset_type="Image",
        data_type="TEM_Imaging",
        creation_time=START + timedelta(seconds=number),
        shape=(2048, 2048),
        metadata={"acceleration_voltage": {"value": 300.0, "unit": "kV"}},
        extensions={"gatan": {**tags, **numbers}, **own, **quantities},
        preview=ArtifactRef(path=path, sha256="a" * 64, size=1),
    )


if __name__ == "__main__":
    main()
