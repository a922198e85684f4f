"""Records held against a CDCS that takes 20 ms to answer: how many a second, and what is found.

Every second record is deleted there first: exactly those are to be found missing.
"""

import argparse
import asyncio
import hashlib
import os
import tempfile
import time
from pathlib import Path

from benchmarks.report import Bar, Report
from benchmarks.uploads import write_sessions
from nexuslims_contracts.envelope import Envelope, envelop
from nexuslims_contracts.events import RecordUploaded, UploadPlan
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.embedded import start_embedded
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.jetstream import JetStreamEventStore
from nexuslims_uploader.findings import Verification
from nexuslims_uploader.testing.cdcs import FakeCdcs
from nexuslims_uploader.verify import Scope, verify

LATENCY_S = 0.02


async def measure(folder: Path, cdcs: FakeCdcs, count: int) -> tuple[float, Verification]:
    """Verify records, half of which are gone; returns the seconds it took, and the outcome."""
    broker = start_embedded(folder)
    settings = Settings(
        instrument_data_path=folder,
        data_path=folder / "data",
        state_path=folder / "state",
        destinations=("cdcs",),
        nats_url=broker.url,
    )
    os.environ.update({"NX_CDCS_URL": cdcs.url, "NX_CDCS_TOKEN": "admin-token"})
    client = await connect(broker.url, name="bench")
    await provision(client.jetstream())
    store = JetStreamEventStore(client.jetstream())
    records = await write_sessions(settings, store, count, 20_000)
    await store.append_all([_uploaded(cdcs, session, xml) for session, xml in records.items()])
    for number in list(cdcs.records)[1::2]:
        del cdcs.records[number]
    cdcs.latency = LATENCY_S
    begin = time.perf_counter()
    outcome = await verify(settings, Scope(), lambda _done, _total: None)
    took = time.perf_counter() - begin
    await client.close()
    broker.stop()
    return took, outcome


def _uploaded(cdcs: FakeCdcs, session: str, xml: bytes) -> Envelope:
    """Have CDCS hold a record, and state that."""
    event = RecordUploaded(
        session=session,
        destination="cdcs",
        record_sha256=hashlib.sha256(xml).hexdigest(),
        plan=UploadPlan(strategy="all", destinations=("cdcs",)),
        record_id=str(cdcs.put(f"2018-11-13_FEI-Titan-TEM_{session}", xml.decode())),
        after=0,
    )
    return envelop(event, source="nexuslims/bench")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    count = parser.parse_args().count

    async def run() -> tuple[float, Verification]:
        with tempfile.TemporaryDirectory() as folder:
            async with FakeCdcs().running() as cdcs:
                return await measure(Path(folder), cdcs, count)

    took, outcome = asyncio.run(run())
    report = Report("verify")
    report.figures["seconds"] = took
    report.bars["records a second"] = Bar(count / took, 50, at_least=True)
    report.bars["records not looked at"] = Bar(count - outcome.records, 0)
    missing = sum(one.problem == "missing" for one in outcome.findings)
    report.bars["lost records not found"] = Bar(count // 2 - missing, 0)
    report.bars["findings that are wrong"] = Bar(len(outcome.findings) - missing, 0)
    report.finish()


if __name__ == "__main__":
    main()
