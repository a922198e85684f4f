"""What the contracts cost: importing them, and writing and reading one event."""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from benchmarks.cli import cpu_of
from benchmarks.report import Bar, Report
from nexuslims_contracts.datasets import Axis, Dataset, ExtractorVersion
from nexuslims_contracts.envelope import Envelope, decode, encode, envelop
from nexuslims_contracts.events import MetadataExtracted
from nexuslims_contracts.metadata import fields_of

FIELDS: Final = 60
_MODULES: Final = "envelope, events, metadata, record, topology, units, upcasting"
_EMPTY: Final = [sys.executable, "-c", "pass"]
_PYDANTIC: Final = [
    sys.executable,
    "-c",
    "from pydantic import create_model; create_model('One', field=(int, 1))()",
]
_IMPORT: Final = [sys.executable, "-c", f"from nexuslims_contracts import {_MODULES}"]
_FIRST_QUANTITY: Final = [
    sys.executable,
    "-c",
    "from nexuslims_contracts.units import to_preferred; to_preferred('1', 'furlong', 'mm')",
]


def typical() -> Envelope:
    """Return the reading of an image, with as many fields as the bar speaks of."""
    own = [field for field in fields_of("SpectrumImage") if field.kind in ("quantity", "text")]
    metadata = {
        field.name: {"value": 1.25 * place, "unit": field.unit} if field.unit else f"text {place}"
        for place, field in enumerate(own[: FIELDS // 2])
    }
    extensions = {f"vendor_field_{place}": place * 0.5 for place in range(FIELDS - len(metadata))}
    return envelop(
        MetadataExtracted(
            session="nemo-1-usage-5821",
            file="0123456789abcdef0123",
            outcome="extracted",
            extractor=ExtractorVersion(name="dm", version="1.0.0"),
            datasets=(
                Dataset(
                    index=0,
                    name="BF 10 kX",
                    dataset_type="SpectrumImage",
                    data_type="STEM_EELS",
                    creation_time=datetime(2018, 11, 13, 15, tzinfo=UTC),
                    shape=(64, 64, 2048),
                    dtype="float32",
                    axes=tuple(Axis(name=name, size=64, unit="nm") for name in "yxE"),
                    metadata=metadata,
                    extensions=extensions,
                ),
            ),
        ),
        source="nexuslims/extractor",
    )


def per_second(work: Callable[[], object], seconds: float = 0.5) -> float:
    """Calls per CPU second."""
    calls, start = 0, time.process_time()
    while (spent := time.process_time() - start) < seconds:
        work()
        calls += 1
    return calls / spent


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    report = Report("contracts")
    commands = (
        ("python", _EMPTY),
        ("pydantic", _PYDANTIC),
        ("first_import", _IMPORT),
        ("unit", _FIRST_QUANTITY),
    )
    for name, command in commands:
        cpu_of(command)
        report.figures[f"{name}_cpu_s"] = statistics.median(cpu_of(command) for _ in range(rounds))
    envelope = typical()
    headers, payload = encode(envelope)
    if decode(headers, payload) != envelope:
        sys.exit("what was written is not what was read")
    report.figures["fields"] = float(
        sum(
            len(one["metadata"]) + len(one["extensions"]) for one in json.loads(payload)["datasets"]
        )
    )
    report.figures["payload_bytes"] = float(len(payload))
    speeds = [per_second(lambda: decode(*encode(envelope))) for _ in range(rounds)]
    report.bars["import_cpu_s"] = Bar(report.figures.pop("first_import_cpu_s"), 0.4)
    report.bars["encode_and_decode_per_s"] = Bar(statistics.median(speeds), 5000, at_least=True)
    report.finish(
        {
            "import_cpu_s": f"a new process that imports {_MODULES}",
            "pydantic_cpu_s": "a new process that makes one model of one field",
            "unit_cpu_s": "a new process that converts a rare unit, by Pint's registry",
        }
    )


if __name__ == "__main__":
    main()
