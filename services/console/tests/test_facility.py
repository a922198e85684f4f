"""The facility: broker and services as processes, one at a time, and nothing left over."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from nexuslims_console import facility as facility_module
from nexuslims_console.facility import _saying, at_work, read_services, running
from nexuslims_console.supervisor import Program
from nexuslims_shared.errors import AlreadyRunningError
from nexuslims_shared.facility import runs_here
from nexuslims_shared.service import service_context
from nexuslims_shared.settings import Settings, read_settings

SLEEPER = "import signal; signal.pause()"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A facility whose services only wait."""
    monkeypatch.delenv("NATS_URL", raising=False)
    (tmp_path / "files").mkdir()
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(
        facility_module, "installed", lambda group: {"one": None, "two": None, "console": None}
    )
    monkeypatch.setattr(
        facility_module,
        "_program",
        lambda name, port, settings: Program(
            name, [sys.executable, "-c", SLEEPER], settings.logs / f"{name}.log"
        ),
    )
    return read_settings(
        instrument_data_path=tmp_path / "files",
        data_path=tmp_path / "data",
        state_path=tmp_path / "state",
        shutdown_grace=1,
    )


async def test_services_run_and_are_stopped(settings: Settings) -> None:
    async with running(settings, say=print, without=("console",)) as ports:
        services = read_services(settings.state_path)
        assert set(services) == {"one", "two"} == set(ports)
        assert all(psutil.pid_exists(at["pid"]) for at in services.values())
        async with service_context(settings, "test") as context:
            assert await context.store.last_sequence() == 0
    assert not any(psutil.pid_exists(at["pid"]) for at in services.values())
    assert read_services(settings.state_path) == {}
    assert not (settings.state_path / "broker.json").exists()


async def test_two_in_one_folder_are_refused(settings: Settings) -> None:
    assert not runs_here(settings.state_path)
    async with running(settings, say=print):
        assert runs_here(settings.state_path)
        with pytest.raises(AlreadyRunningError, match=f"process {os.getpid()}"):
            async with running(settings, say=print):
                pass
        before = read_services(settings.state_path)
        async with at_work(settings, say=print):
            assert read_services(settings.state_path) == before
    assert not runs_here(settings.state_path)


@pytest.mark.chaos
async def test_a_killed_broker_comes_back_on_its_port(settings: Settings) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with running(settings, say=heard.put_nowait):
        file = settings.state_path / "broker.json"
        before = json.loads(file.read_text())
        os.kill(before["pid"], signal.SIGKILL)
        assert "the broker ended" in await asyncio.wait_for(heard.get(), 10)
        assert "the broker is back" in await asyncio.wait_for(heard.get(), 20)
        assert json.loads(file.read_text())["pid"] != before["pid"]
        assert json.loads(file.read_text())["url"] == before["url"]
        async with service_context(settings, "test") as context:
            assert await context.store.last_sequence() == 0


@pytest.fixture
async def real_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[[], asyncio.subprocess.Process]]:
    """Run ``nexuslims up``, with the real console service alone."""
    for name in list(os.environ):
        if name.startswith("NX_") or name == "NATS_URL":
            monkeypatch.delenv(name)
    (tmp_path / "files").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / ".env").write_text("NX_INSTRUMENT_DATA_PATH=files\nNX_DATA_PATH=data\n")
    code = (
        "from nexuslims_console import facility\n"
        "facility.installed = lambda group: {'console': None}\n"
        "from nexuslims_shared.cli.shell import main; main()"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        "-C",
        str(tmp_path),
        "up",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    yield lambda: process
    if process.returncode is None:
        process.kill()
        await process.wait()


async def family(up: asyncio.subprocess.Process) -> list[psutil.Process]:
    """Wait until all is ready; gives the broker's and the services' processes."""
    assert up.stderr is not None
    async with asyncio.timeout(60):
        while b"all services are ready" not in (line := await up.stderr.readline()):
            assert line, "`nexuslims up` ended"
    return psutil.Process(up.pid).children(recursive=True)


@pytest.mark.chaos
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
async def test_however_up_ends_nothing_is_left(
    real_up: Callable[[], asyncio.subprocess.Process], number: signal.Signals
) -> None:
    up = real_up()
    children = await family(up)
    assert len(children) >= 2
    up.send_signal(number)
    code = await asyncio.wait_for(up.wait(), 30)
    assert code == (-9 if number == signal.SIGKILL else 128 + number)
    _, alive = await asyncio.to_thread(psutil.wait_procs, children, 20)
    assert alive == []


async def test_an_interrupted_command_says_what_becomes_of_the_work() -> None:
    messages: list[str] = []
    with pytest.raises(asyncio.CancelledError), _saying(messages.append, "the services go on"):
        raise asyncio.CancelledError
    assert messages == ["interrupted: the services go on"]
