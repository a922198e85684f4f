"""A facility through the turn of a year: services go on, a period goes away and comes back."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from demo.facility import make_facility

from nexuslims_contracts.events import RebuildRequested
from nexuslims_contracts.periods import ALL, Period
from nexuslims_shared.embedded import start_embedded
from nexuslims_shared.session.status import Status, progress
from tests.system import System, running

pytestmark = pytest.mark.broker

FIRST = ("file-1001", "file-1002", "file-1003")
LATER = "file-1004"
Y2025, Y2026 = Period.named("2025"), Period.named("2026")


@pytest.fixture
def facility(tmp_path: Path) -> Path:
    """The sample facility, in which one session began on the last evening of a year."""
    make_facility(tmp_path)
    calendar = tmp_path / "calendar.toml"
    text = calendar.read_text()
    assert "2026-03-03T10:00:00-07:00" in text
    text = text.replace("2026-03-03T10:00:00-07:00", "2025-12-31T10:00:00-07:00")
    calendar.write_text(text.replace("2026-03-03T11:00:00-07:00", "2026-01-01T09:00:00-07:00"))
    return tmp_path


def add_session(facility: Path) -> None:
    """A session that the calendar gets while everything runs."""
    calendar = facility / "calendar.toml"
    first = calendar.read_text().split("[[session]]")[1]
    calendar.write_text(
        f"{calendar.read_text()}\n[[session]]"
        + first.replace("1001", "1004").replace("2026-03-02", "2024-03-02")
    )


async def command(system: System, *arguments: str, fails: bool = False) -> str:
    """Run a command as an operator does; return what it prints, or why it fails."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "nexuslims_shared", *arguments),
        cwd=system.folder,
        env=system.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert bool(process.returncode) == fails, err.decode()
    return (err if fails else out).decode()


def records(facility: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in (facility / "nexuslims-data/records").glob("*.xml")
    }


async def test_services_go_on_through_the_turn_of_a_year(facility: Path, tmp_path: Path) -> None:
    """The switch to periods comes after the first session; a third year comes by itself."""
    async with running(facility, [], NX_PERIODS="all") as system:
        services = ("harvester", "indexer", "extractor", "builder", "uploader", "console")
        system.start(*services, NX_PERIODS="year")
        states = await system.wait_for_status(FIRST)
        periods = {name: Period.of(state.through) for name, state in states.items()}
        assert periods == {FIRST[0]: Y2026, FIRST[1]: Y2025, FIRST[2]: Y2026}
        assert progress(states[FIRST[0]]).status is Status.COMPLETED
        add_session(facility)
        states = await system.wait_for_status([LATER])
        assert Period.of(states[LATER].through) == Period.named("2024")
        listed = json.loads(await command(system, "periods", "list", "--json"))
        assert [one["name"] for one in listed][:4] == ["all", "2024", "2025", "2026"]
        rows = json.loads(await command(system, "sessions", "--json"))
        assert {row["session"] for row in rows} == {*FIRST, LATER}
        await _send_away_and_bring_back(system, tmp_path / "2025")
        for name in services:
            body = await system.wait_for_http(name, "/readyz", 200)
            assert isinstance(body, dict)
            assert body["ready"]


async def _send_away_and_bring_back(system: System, saved: Path) -> None:
    """A period's session waits while it is away, and is worked on when it is back."""
    await command(system, "periods", "backup", "2025", str(saved))
    await command(system, "periods", "remove", "2025", "--backup", str(saved))
    refused = await command(system, "retry", FIRST[1], fails=True)
    assert "nexuslims periods restore 2025" in refused
    rebuilt = json.loads(await command(system, "rebuild", "--all", "--dry-run", "--json"))
    assert rebuilt["periods_away"] == ["2025"]
    await command(system, "periods", "restore", "2025", str(saved))
    before = await system.state(FIRST[1])
    await command(system, "retry", FIRST[1])
    await system.wait_until(
        lambda item: item.event.session == FIRST[1] and item.event.kind() == "files-not-found",
        after=before.through,
    )


async def test_a_log_of_one_stream_goes_on_as_a_period(facility: Path) -> None:
    """New sessions begin in periods, old ones stay where they are and can be rebuilt there."""
    async with running(facility, NX_PERIODS="all") as system:
        before = await system.wait_for_status(FIRST)
        assert {Period.of(state.through) for state in before.values()} == {ALL}
        for name in list(system.processes):
            assert system.terminate(name) == 0
        add_session(facility)
        system.start("harvester", "indexer", "extractor", "builder", NX_PERIODS="month")
        await system.wait_for_status([LATER], (Status.BUILT_NOT_EXPORTED, *_SETTLED))
        assert Period.of((await system.state(LATER)).through) == Period.named("2024-03")
        await system.append(RebuildRequested(session=FIRST[0], request="again"))
        after = await system.state(FIRST[0])
        assert Period.of(after.through) == ALL


_SETTLED = (Status.COMPLETED, Status.NO_FILES_FOUND, Status.TO_BE_BUILT, Status.ERROR)


async def test_a_backup_gives_the_same_sessions_and_records(facility: Path, tmp_path: Path) -> None:
    """On a fresh broker, after a rebuild, to the byte."""
    saved = tmp_path / "saved"
    async with running(facility, NX_PERIODS="year") as system:
        await system.wait_for_status(FIRST)
        before = json.loads(await command(system, "sessions", "--json"))
        answer = json.loads(await command(system, "backup", str(saved), "--json"))
        assert answer["verified"]
        for name in list(system.processes):
            assert system.terminate(name) == 0
    built = records(facility)
    assert built
    for path in (facility / "nexuslims-data/records").glob("*.xml"):
        path.unlink()
    fresh = await asyncio.to_thread(start_embedded, facility / "fresh")
    try:
        system.environment |= {
            "NATS_URL": fresh.address,
            "NX_NATS_CREDENTIALS": str(fresh.credentials),
            "NX_STATE_PATH": "fresh",
        }
        await command(system, "restore", str(saved))
        rebuilt = json.loads(await command(system, "rebuild", "--all", "--json"))
        assert rebuilt["ok"]
        assert records(facility) == built
        after = json.loads(await command(system, "sessions", "--json"))
        assert [row["session"] for row in after] == [row["session"] for row in before]
        assert [row["status"] for row in after] == [row["status"] for row in before]
    finally:
        await asyncio.to_thread(fresh.stop)
