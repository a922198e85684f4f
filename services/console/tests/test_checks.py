"""What doctor finds wrong with a facility's instruments, records and services."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nexuslims_console.checks import (
    _absent_records,
    _folders,
    _services,
    _supervisor,
    check_facility,
)
from nexuslims_console.database import Database
from nexuslims_console.projection import Projection
from nexuslims_shared import probes
from nexuslims_shared.facility import lock_facility, process_of_services
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.memory import MemoryEventStore


@pytest.mark.parametrize(
    ("folders", "named"),
    [
        (("A", "B"), ""),
        (("A", "A-2"), ""),
        (("A", "A"), "1 and 2 (A)"),
        (("A", "A/inner"), ""),
        (('A"\nfolders = "user', 'A"\nfolders = "user'), ""),
    ],
)
async def test_instruments_of_which_only_time_tells_whose_a_file_is_are_named(
    tmp_path: Path, folders: tuple[str, str], named: str
) -> None:
    text = ""
    for number, folder in enumerate(folders, start=1):
        (tmp_path / folder.partition('"')[0]).mkdir(parents=True, exist_ok=True)
        text += f'[[instrument]]\npid = "{number}"\nfilestore_path = "{folder}"\n'
    (tmp_path / "instruments.toml").write_text(text)
    settings = Settings(
        instrument_data_path=tmp_path,
        data_path=tmp_path / "data",
        state_path=tmp_path / "state",
        instruments_file=tmp_path / "instruments.toml",
    )
    finding = next(one for one in await check_facility(settings) if one.what == "instruments")
    assert bool(finding.problem) is bool(named)
    assert named in finding.problem


async def test_a_state_folder_that_takes_no_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a disk that its host mounted read-only: only what is open there goes on."""
    settings = Settings(
        instrument_data_path=tmp_path, data_path=tmp_path, state_path=tmp_path / "state"
    )
    settings.state_path.mkdir()
    monkeypatch.setattr(
        probes, "_write_problem", lambda path: "read-only" if path == settings.state_path else ""
    )
    problems = {one.what: one.problem for one in await _folders(settings)}
    assert problems[f"mount {settings.state_path}"] == "read-only"
    assert problems[f"mount {tmp_path}"] == ""


async def test_a_state_folder_that_others_can_look_into_is_named(tmp_path: Path) -> None:
    settings = Settings(
        instrument_data_path=tmp_path, data_path=tmp_path, state_path=tmp_path / "state"
    )
    settings.state_path.mkdir()
    for mode, named in ((0o755, ["chmod go="]), (0o700, [])):
        settings.state_path.chmod(mode)
        found = [one for one in await _folders(settings) if one.what == "state folder"]
        assert [one.problem for one in found] == [""] * len(named)
        assert [one.detail.partition("`")[2][:9] for one in found] == named


async def test_records_that_are_not_where_they_were_written_are_named(
    tmp_path: Path, database: Database, history: Any
) -> None:
    settings = Settings(instrument_data_path=tmp_path, data_path=tmp_path / "data")
    assert _absent_records(settings, database) == ""
    store = MemoryEventStore()
    for name in ("a", "b"):
        await history.complete(store, name)
        path = settings.records / "records" / f"{name}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    await Projection(store, database).catch_up()
    assert _absent_records(settings, database) == ""
    (settings.records / "records" / "a.xml").unlink()
    assert "1 of the newest 2 records are not in" in _absent_records(settings, database)


async def test_a_supervisor_that_lost_its_list_of_services_is_named(tmp_path: Path) -> None:
    assert process_of_services(tmp_path) == 0
    settings = Settings(instrument_data_path=tmp_path, data_path=tmp_path, state_path=tmp_path)
    assert await _services(settings) == []
    with lock_facility(tmp_path):
        assert process_of_services(tmp_path) == os.getpid()
        (finding,) = await _services(settings)
        assert finding.unknown
        assert "services.json is not there" in finding.problem


def test_a_supervisor_that_stands_still_is_named() -> None:
    assert _supervisor(0) == []
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert [one.problem for one in _supervisor(process.pid)] == [""]
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        assert f"kill -CONT {process.pid}" in _supervisor(process.pid)[0].problem
    finally:
        process.kill()
        process.communicate()
