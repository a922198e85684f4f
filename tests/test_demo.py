"""``make demo``, and what an operator does next, as separate processes from the command line."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

pytestmark = [pytest.mark.broker, pytest.mark.timeout(600)]  # whole facilities are run

RECORD = "2026-03-02_FEI-Quanta-SEM_1001.xml"


def nexuslims(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NX_")}
    return subprocess.run(
        [sys.executable, "-m", "nexuslims_shared", "--dir", str(folder), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=300,
    )


def demo(folder: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--dir", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def left_running(folder: Path) -> list[str]:
    return [
        " ".join(process.info["cmdline"])
        for process in psutil.process_iter(["cwd", "cmdline"])
        if str(folder) in (process.info["cwd"] or "")
        or any(str(folder) in part for part in process.info["cmdline"] or [])
    ]


def events_of(folder: Path, session: str) -> list[str]:
    done = nexuslims(folder, "session", session, "--events", "--json")
    assert done.returncode == 0, done.stderr
    return [event["type"] for event in json.loads(done.stdout)["events"]]


def press_ctrl_c_when_it_is_there(
    process: subprocess.Popen[str],
) -> tuple[list[str], httpx.Response]:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if address := re.search(r"the console is at (http://\S+)", line):
            page = httpx.get(f"{address[1]}sessions/file-1001", timeout=60)
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does
            break
    lines += process.stdout
    process.wait()
    return lines, page


def look_at_the_console_of_a_demo_that_goes_on(folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "demo", "--keep", "--dir", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        lines, page = press_ctrl_c_when_it_is_there(process)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
    assert process.returncode == 0, lines
    assert any("sessions/file-1001" in line for line in lines)
    assert "Open the record" in page.text


def test_the_demo_and_a_rebuild_from_the_events_alone(tmp_path: Path) -> None:
    folder = tmp_path / "facility"
    done = demo(folder)
    for status in ("COMPLETED", "NO_FILES_FOUND", "NO_CONSENT"):
        assert status in done.stdout
    page = folder / "nexuslims-data" / "records" / "index.html"
    assert page.as_uri() in done.stdout
    assert "Gold nanoparticles on carbon" in page.read_text()
    assert left_running(folder) == []

    history = events_of(folder, "file-1001")
    look_at_the_console_of_a_demo_that_goes_on(folder)
    assert left_running(folder) == []
    assert events_of(folder, "file-1001") == history
    assert [path.name for path in page.parent.glob("*.xml")] == [RECORD]

    record = page.parent / RECORD
    before = record.read_bytes()
    shutil.rmtree(folder / "instrument-data")
    record.unlink()
    done = nexuslims(folder, "rebuild", "--all", "--json")
    assert done.returncode == 0, done.stderr
    assert record.read_bytes() == before
    assert left_running(folder) == []

    done = nexuslims(folder, "withdraw", "file-1001", "--yes", "--reason", "by mail", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "NO_CONSENT"
    assert "Gold nanoparticles on carbon" not in page.read_text()
    assert nexuslims(folder, "withdraw", "file-1001", "--undo").returncode == 0
    assert "Gold nanoparticles on carbon" in page.read_text()
    assert left_running(folder) == []
