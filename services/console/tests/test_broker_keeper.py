"""The embedded broker is restarted where only that helps, and not where it does not."""

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from nexuslims_console import broker_keeper
from nexuslims_console.broker_keeper import broker_at_work
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.embedded import BROKER_FILE, find_refusals, start_embedded
from nexuslims_shared.settings import Settings

pytestmark = pytest.mark.broker


@pytest.fixture
async def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A facility whose broker has all streams and buckets, and does not run."""
    monkeypatch.delenv("NATS_URL", raising=False)
    made = Settings(
        instrument_data_path=tmp_path, data_path=tmp_path, state_path=tmp_path / "state"
    )
    broker = await asyncio.to_thread(start_embedded, made.state_path)
    client = await connect(broker.url, name="test")
    await provision(client.jetstream())
    await client.close()
    await asyncio.to_thread(broker.stop)
    return made


def pid(settings: Settings) -> int:
    return int(json.loads((settings.state_path / BROKER_FILE).read_text())["pid"])


def refuse(settings: Settings) -> None:
    """Have the server's log say what it says where its disk is full (nats-server 2.15)."""
    line = f"[{pid(settings)}] 2026/11/27 07:00:00.0 [ERR] JetStream failed to store a msg: full\n"
    with (settings.state_path / "broker" / "server.log").open("a") as log:
        log.write(line)


class Messages:
    """What the keeper says, and a way to wait for it."""

    def __init__(self) -> None:
        self._said: asyncio.Queue[str] = asyncio.Queue()

    def __call__(self, text: str) -> None:
        self._said.put_nowait(text)

    async def wait_for(self, words: str) -> None:
        while words not in await self._said.get():
            pass


async def test_a_broker_that_refused_to_store_is_restarted(settings: Settings) -> None:
    say = Messages()
    async with broker_at_work(settings, say, look_every=0.05):
        before = pid(settings)
        refuse(settings)
        await say.wait_for("the broker is restarted: JetStream failed to store a msg: full")
        await say.wait_for("the broker is back")
        assert pid(settings) != before


async def test_without_room_on_its_disk_it_is_left_and_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_keeper, "has_room", lambda *_: False)
    say = Messages()
    async with broker_at_work(settings, say, look_every=0.05):
        before = pid(settings)
        refuse(settings)
        await say.wait_for("there is no room on its disk")
        assert pid(settings) == before


async def test_a_broker_that_cannot_be_started_for_a_while_is_tried_again(
    settings: Settings,
) -> None:
    """As on a disk that is full, or read-only, when its broker is killed."""
    say = Messages()
    async with broker_at_work(settings, say):
        home = settings.state_path / "broker"
        (home / "server.conf").unlink()
        (home / "server.conf").mkdir()
        os.kill(pid(settings), signal.SIGKILL)
        await say.wait_for("the broker cannot be started ([Errno 21] Is a directory")
        (home / "server.conf").rmdir()
        await say.wait_for("the broker is back")


async def test_a_log_that_was_taken_away_does_not_end_the_looking(settings: Settings) -> None:
    say = Messages()
    async with broker_at_work(settings, say, look_every=0.05):
        log = settings.state_path / "broker" / "server.log"
        log.unlink()
        assert find_refusals(log, pid(settings)) == ""
        refuse(settings)
        await say.wait_for("the broker is restarted")
        await say.wait_for("the broker is back")
