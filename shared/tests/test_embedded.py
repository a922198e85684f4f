"""The embedded broker: it is waited for while it recovers, and not after it ended."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nexuslims_shared import embedded
from nexuslims_shared.broker import connect
from nexuslims_shared.embedded import StartingBroker, start_embedded
from nexuslims_shared.errors import TopologyError

READY_LATE = """
import json, os, pathlib, sys, time
time.sleep(0.3)
ports = pathlib.Path(sys.argv[1]) / f"nats-server_{os.getpid()}.ports"
ports.write_text(json.dumps({"nats": ["nats://127.0.0.1:4222"]}))
sys.stdin.read()
"""


def launch(home: Path, program: str) -> StartingBroker:
    (home / "server.log").write_text("the disk is full")
    process = subprocess.Popen([sys.executable, "-c", program, str(home)], stdin=subprocess.PIPE)
    return StartingBroker(process, home, home)


def test_a_broker_that_recovers_is_waited_for_and_says_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_REPORT_S", 0.01)
    starting = launch(tmp_path, READY_LATE)
    reports: list[str] = []
    broker = starting.wait(reports.append)
    assert broker.port == 4222
    assert "recovers its streams" in reports[0]
    assert "GB read of at most 0.0 GB" in reports[0]
    broker.stop()


def test_a_broker_that_ends_is_an_error_with_the_end_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match="the disk is full"):
        launch(tmp_path, "raise SystemExit(1)").wait(print)


@pytest.mark.broker
def test_a_killed_broker_starts_again(tmp_path: Path) -> None:
    first = start_embedded(tmp_path)
    first.process.kill()
    first.process.wait()
    second = start_embedded(tmp_path, port=first.port)
    assert second.port == first.port
    second.stop()


@pytest.mark.broker
async def test_streams_of_a_release_without_accounts_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    former, address = _start_without_accounts(folder)
    client = await connect(address, name="former", wait=False)
    await client.jetstream().add_stream(name="KEPT", subjects=["kept.>"])
    await client.jetstream().publish("kept.one", b"still here")
    await client.close()
    former.terminate()
    former.communicate()
    for _ in range(2):
        broker = start_embedded(tmp_path)
        client = await connect(broker.url, name="later", wait=False)
        message = await client.jetstream().get_msg("KEPT", 1)
        assert message.data == b"still here"
        await client.close()
        broker.stop()


def _start_without_accounts(folder: Path) -> tuple[subprocess.Popen[str], str]:
    former = subprocess.Popen(
        [embedded.find_server(), "-a", "127.0.0.1", "-p", "-1", "-js", "-sd", str(folder)],
        stderr=subprocess.PIPE,
        text=True,
    )
    listening = "Listening for client connections on"
    line = next(line for line in former.stderr or () if listening in line)
    return former, f"nats://{line.split()[-1]}"


def test_the_server_collects_garbage_less_often_unless_the_environment_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOGC", "50")
    monkeypatch.delenv("GOMEMLIMIT", raising=False)
    broker = start_embedded(tmp_path)
    try:
        text = Path(f"/proc/{broker.process.pid}/environ").read_bytes().decode()
    finally:
        broker.stop()
    environment = dict(line.split("=", 1) for line in text.split("\0") if line)
    assert environment["GOGC"] == "50"
    assert int(environment["GOMEMLIMIT"]) > 0


def test_a_new_state_folder_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        start_embedded(tmp_path / "new" / "state").stop()
        (tmp_path / "shared").mkdir()
        start_embedded(tmp_path / "shared").stop()
    finally:
        os.umask(before)
    modes = [(tmp_path / one).stat().st_mode for one in ("new/state", "new", "shared")]
    assert [stat.S_IMODE(mode) for mode in modes] == [0o700, 0o755, 0o755]
