"""Rebuilding many records as a job: processes, a crash half way, Ctrl-C, a broker that restarts."""

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter

import pytest

from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.events import RecordBuilt
from nexuslims_contracts.testing import SessionEvents
from nexuslims_shared.embedded import start_embedded
from nexuslims_shared.service import provision_broker, service_context
from nexuslims_shared.settings import Settings
from tests.halting import halting, wait_until_halted

SESSIONS = 64
"""In pieces of four, of which no more than four are given to the processes at a time."""
pytestmark = pytest.mark.broker


class Facility:
    """A folder, a broker, and a log of sessions whose records no builder would make so."""

    def __init__(self, folder):
        self.folder = folder
        self.jobs = []
        for name in ("files", "data"):
            (folder / name).mkdir()
        (folder / ".env").write_text("NX_INSTRUMENT_DATA_PATH=files\nNX_DATA_PATH=data\n")
        self.settings = Settings(
            instrument_data_path=folder / "files",
            data_path=folder / "data",
            state_path=folder / "state",
        )
        self.broker = start_embedded(self.settings.state_path)
        asyncio.run(self._fill())

    async def _fill(self):
        await provision_broker(self.settings)
        events = []
        for number in range(SESSIONS):
            made = SessionEvents(f"s-{number}")
            events += [*made.inputs(), made.built(1)]
        async with service_context(self.settings, "test") as context:
            await context.store.append_all([envelop(event, source="test") for event in events])

    def start(self, *options, program=("-m", "nexuslims_shared")):
        command = [sys.executable, *program, "rebuild", "--all", "--json", *options]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        command += ["--processes", "2"]
        self.jobs.append(subprocess.Popen(command, cwd=self.folder, text=True, **pipes))
        return self.jobs[-1]

    def start_and_halt(self):
        """A job that stands still, with some sessions done and others not begun."""
        job = self.start(program=halting("nexuslims_builder.rebuild.journal:Journal.add"))
        wait_until_halted(job)
        assert 0 < self.done() < SESSIONS
        return job

    def finish(self, job):
        out, err = job.communicate()
        assert job.returncode == 0, err
        return json.loads(out)

    def done(self):
        files = (self.folder / "state" / "rebuild").glob("*.jsonl")
        return sum(file.read_bytes().count(b"\n") for file in files)

    def rebuilt(self):
        """How often each session got a new record."""
        return asyncio.run(self._rebuilt())

    async def _rebuilt(self):
        async with service_context(self.settings, "test") as context:
            items = context.store.read(filters=(RecordBuilt.filter(),))
            return Counter([item.event.session async for item in items if item.event.replaces])

    def on_disk(self):
        return {path.name: path.read_bytes() for path in self.settings.records.glob("*.xml")}


@pytest.fixture
def facility(tmp_path):
    facility = Facility(tmp_path)
    yield facility
    for job in facility.jobs:
        job.kill()
    facility.broker.stop()


@pytest.mark.chaos
def test_a_killed_rebuild_goes_on_and_does_nothing_twice(facility):
    job = facility.start_and_halt()
    job.kill()
    job.communicate()
    before = facility.done()
    outcome = facility.finish(facility.start())
    assert outcome["changed"] + outcome["unchanged"] == SESSIONS
    assert outcome["changed"] >= before
    assert facility.rebuilt() == Counter({f"s-{number}": 1 for number in range(SESSIONS)})
    first = facility.on_disk()
    assert len(first) == SESSIONS
    again = facility.finish(facility.start())
    assert (again["unchanged"], again["ok"]) == (SESSIONS, True)
    assert facility.on_disk() == first


@pytest.mark.chaos
def test_ctrl_c_stops_a_rebuild_with_a_word_and_it_goes_on(facility):
    job = facility.start_and_halt()
    job.send_signal(signal.SIGINT)
    job.send_signal(signal.SIGCONT)
    _, err = job.communicate()
    assert job.returncode == 128 + signal.SIGINT
    assert "the same command goes on" in err
    assert "Traceback" not in err
    facility.finish(facility.start())
    assert facility.rebuilt() == Counter({f"s-{number}": 1 for number in range(SESSIONS)})


@pytest.mark.chaos
def test_a_broker_that_is_restarted_costs_a_rebuild_a_moment(facility):
    job = facility.start_and_halt()
    port = facility.broker.port
    facility.broker.stop()
    facility.broker = start_embedded(facility.settings.state_path, port=port)
    job.send_signal(signal.SIGCONT)
    assert facility.finish(job)["ok"]
    assert facility.rebuilt() == Counter({f"s-{number}": 1 for number in range(SESSIONS)})


def test_shares_together_do_everything_once(facility):
    jobs = [facility.start("--share", share) for share in ("1/2", "2/2")]
    outcomes = [facility.finish(job) for job in jobs]
    assert sum(outcome["changed"] for outcome in outcomes) == SESSIONS
    assert set(facility.rebuilt().values()) == {1}


def test_a_dry_run_counts_and_writes_nothing(facility):
    outcome = facility.finish(facility.start("--dry-run"))
    assert (outcome["changed"], outcome["dry_run"]) == (SESSIONS, True)
    assert facility.rebuilt() == Counter()
    assert facility.on_disk() == {}
