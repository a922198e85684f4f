"""What a record of 1,000 datasets costs its readers, beside one with all tags of the vendors.

``make bench-record``. The record is that of a real session of a TEM, its activities again and
again; what stands in it with ``NX_RECORD_VENDOR_TREES`` stood in every record before. A front-end's
page grows with the bytes and the number of parameters; the CPU time of the archive's is measured.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from tests.corpus import require_corpus

from benchmarks.report import Bar, Report
from nexuslims_builder.build import compose
from nexuslims_builder.signals import SignalReader
from nexuslims_contracts.datasets import ArtifactRef, Dataset
from nexuslims_contracts.envelope import Recorded, envelop
from nexuslims_contracts.events import Event, MetadataExtracted, RecordBuilt
from nexuslims_contracts.record.reader import read_record
from nexuslims_contracts.record.writer import write_record
from nexuslims_contracts.testing import SessionEvents
from nexuslims_shared.session.state import INITIAL, evolve
from nexuslims_shared.settings import Settings
from nexuslims_uploader.pages import record_page
from nexuslims_uploader.testing import record_to_upload

START: Final = datetime(2018, 11, 13, 16, tzinfo=UTC)
ROUNDS: Final = 15
INSTRUMENTS: Final = """
[[instrument]]
pid = "FEI-Titan-TEM"
name = "FEI Titan TEM"
filestore_path = "Titan_TEM"
timezone = "America/New_York"
"""
ENDINGS: Final = frozenset({".dm3", ".ser"})


def events_of(files: Sequence[Path], instruments: Path) -> Iterator[Event]:
    """Read the files of a session; give its events.

    Parameters
    ----------
    files
        Their paths, in the order of time.
    instruments
        The file of the facility's instruments.
    """
    command = [sys.executable, "-m", "nexuslims_shared", "extract", "--json", "--instrument"]
    command += ["FEI-Titan-TEM", *map(str, files)]
    variables = {**os.environ, "NX_INSTRUMENTS_FILE": str(instruments)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    known = set(Dataset.model_fields) - {"preview"}
    start = datetime.fromtimestamp(files[0].stat().st_mtime, UTC)
    facts = SessionEvents(start=start, end=start + timedelta(hours=12))
    yield from (facts.started(), facts.matched(), facts.ended())
    for number, (path, line) in enumerate(zip(files, done.stdout.splitlines(), strict=True)):
        some = json.loads(line)["datasets"]
        found = tuple(Dataset(**{name: one[name] for name in known & one.keys()}) for one in some)
        preview = ArtifactRef(path=f"Titan_TEM/{path.name}.thumb.png", sha256="a" * 64, size=1)
        found = tuple(one.model_copy(update={"preview": preview}) for one in found)
        moment = path.stat().st_mtime_ns
        yield facts.indexed(number, path=f"Titan_TEM/{path.name}", mtime_ns=moment)
        yield facts.extracted(number, datasets=found)
    yield facts.manifest(len(files))


def build(events: Sequence[Event], *, vendor_trees: bool) -> bytes:
    """Build the record of a session.

    Parameters
    ----------
    events
        Of the session, in order.
    vendor_trees
        Whether the tags of the vendors' software are in it.
    """
    state, signals = INITIAL, {}
    reader = SignalReader(vendor_trees=vendor_trees)
    for sequence, event in enumerate(events, start=1):
        if isinstance(event, MetadataExtracted):
            signals[event.file] = reader.read(event)
        state = evolve(state, Recorded(envelop(event, source="bench"), sequence, START))
    settings = Settings(instrument_data_path=Path(), data_path=Path())
    outcome, xml = compose(state, {}, signals, settings)
    if not isinstance(outcome, RecordBuilt):
        raise TypeError(f"the record is rejected: {outcome.reason}")
    return bytes(xml)


def page_seconds(records: Mapping[str, bytes]) -> dict[str, float]:
    """Return the CPU time of the archive's page of each record, the least of several, in turn.

    Parameters
    ----------
    records
        By name.
    """
    loaded = {name: record_to_upload(xml) for name, xml in records.items()}
    least = dict.fromkeys(records, math.inf)
    for _ in range(ROUNDS):
        for name, record in loaded.items():
            begin = time.process_time()
            record_page(record, home="..", previews="..")
            least[name] = min(least[name], time.process_time() - begin)
    return least


def repeated(xml: bytes, count: int) -> bytes:
    """Return a record with its activities again and again.

    Parameters
    ----------
    xml
        The record.
    count
        How many datasets it is to have, at least.
    """
    experiment = read_record(xml)
    times = math.ceil(count / len(list(experiment.datasets())))
    return write_record(replace(experiment, activities=experiment.activities * times))


def incumbents(example: Path) -> bytes:
    """Return the incumbent's record of that session, whose second activity the example repeats.

    Parameters
    ----------
    example
        The record that it made.
    """
    experiment = read_record(example.read_bytes())
    return write_record(replace(experiment, activities=experiment.activities[:2]))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="Datasets")
    count = parser.parse_args().count
    corpus = require_corpus()
    with tempfile.TemporaryDirectory() as folder:
        root = corpus.session_files(Path(folder))
        files = [path for path in root.rglob("*") if path.suffix in ENDINGS]
        files.sort(key=lambda path: path.stat().st_mtime_ns)
        instruments = Path(folder, "instruments.toml")
        instruments.write_text(INSTRUMENTS)
        events = list(events_of(files, instruments))
    records = {
        "for readers": build(events, vendor_trees=False),
        "with all tags": build(events, vendor_trees=True),
        "the incumbent's": incumbents(corpus.record("example_record.xml")),
    }
    report = Report("record")
    whole = {name: repeated(once, count) for name, once in records.items()}
    size, page = {}, page_seconds(whole)
    for name, xml in whole.items():
        experiment = read_record(xml)
        datasets = list(experiment.datasets())
        parameters = sum(len(one.setup) for one in experiment.activities)
        parameters += sum(len(one.parameters) for one in datasets)
        size[name] = len(xml) / len(datasets)
        page[name] /= len(datasets)
        report.figures[f"{name}: datasets"] = len(datasets)
        report.figures[f"{name}: megabytes"] = len(xml) / 1e6
        report.figures[f"{name}: parameters a dataset"] = parameters / len(datasets)
        report.figures[f"{name}: CPU s of the archive's page"] = page[name] * len(datasets)
    for what, figures in (("size", size), ("page", page)):
        ratio = figures["for readers"] / figures["the incumbent's"]
        report.bars[f"{what} beside the incumbent's record"] = Bar(ratio, 1)
    ratio = size["for readers"] / size["with all tags"]
    report.bars["size beside one with all tags"] = Bar(ratio, 0.5)
    ratio = page["for readers"] / page["with all tags"]
    report.bars["page beside one with all tags"] = Bar(ratio, 1)
    report.finish()


if __name__ == "__main__":
    main()
