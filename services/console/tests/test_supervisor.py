"""Programs are kept running, and none is left over."""

import asyncio
import errno
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil
import pytest

from nexuslims_console import supervisor as supervisor_module
from nexuslims_console.supervisor import Program, Supervisor

SLEEPER = "import signal, sys; print('at work', flush=True); open(sys.argv[1], 'w'); signal.pause()"
STUBBORN = f"import signal; signal.signal(15, signal.SIG_IGN); {SLEEPER}"
BROKEN = "import sys; sys.exit('the disk is full')"


class Heard(list[str]):
    """What the supervisor said, and a way to wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = asyncio.Event()

    def __call__(self, text: str) -> None:
        self.append(text)
        self._changed.set()

    def changed(self, pids: Mapping[str, int]) -> None:
        self(f"pids {dict(pids)}")

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), 20)


def program(folder: Path, name: str, code: str) -> Program:
    gate = folder / f"{name}.gate"
    os.mkfifo(gate)
    return Program(name, [sys.executable, "-c", code, str(gate)], folder / "logs" / f"{name}.log")


async def started(folder: Path, name: str) -> None:
    """Wait until a program is at work: its gate opens when both sides are there."""
    await asyncio.wait_for(asyncio.to_thread((folder / f"{name}.gate").read_bytes), 20)


async def test_a_killed_program_is_started_again(tmp_path: Path) -> None:
    heard = Heard()
    supervisor = Supervisor(
        [program(tmp_path, "one", SLEEPER)], say=heard, changed=heard.changed, grace=5
    )
    await supervisor.start()
    first = supervisor.pids["one"]
    await started(tmp_path, "one")
    os.kill(first, signal.SIGKILL)
    await heard.until(lambda: supervisor.pids.get("one", first) != first)
    second = supervisor.pids["one"]
    await started(tmp_path, "one")
    await supervisor.stop()
    restarted = "one ended (killed by SIGKILL), again in 0.5 s; its last line: at work"
    assert any(restarted in line for line in heard)
    assert not psutil.pid_exists(second)


async def test_a_program_that_always_fails_is_given_more_and_more_time(tmp_path: Path) -> None:
    heard = Heard()
    supervisor = Supervisor([program(tmp_path, "bad", BROKEN)], say=heard, grace=5)
    await supervisor.start()
    await heard.until(lambda: len(heard) == 2)
    await supervisor.stop()
    assert heard[0] == "bad ended (exit code 1), again in 0.5 s; its last line: the disk is full"
    assert "again in 1 s" in heard[1]


async def test_a_program_that_does_not_end_is_forced(tmp_path: Path) -> None:
    supervisor = Supervisor(
        [program(tmp_path, "stubborn", STUBBORN), program(tmp_path, "good", SLEEPER)],
        say=print,
        grace=0.3,
    )
    await supervisor.start()
    pids = list(supervisor.pids.values())
    await started(tmp_path, "stubborn")
    await supervisor.stop()
    assert not any(psutil.pid_exists(pid) for pid in pids)


async def test_stopping_while_a_program_waits_to_be_restarted(tmp_path: Path) -> None:
    heard = Heard()
    supervisor = Supervisor([program(tmp_path, "bad", BROKEN)], say=heard, grace=5)
    await supervisor.start()
    await heard.until(lambda: len(heard) == 1)
    await supervisor.stop()
    assert supervisor.pids == {}


@pytest.mark.chaos
async def test_killing_the_supervisor_leaves_no_orphans(tmp_path: Path) -> None:
    one = program(tmp_path, "one", SLEEPER)
    code = f"""
import asyncio
import errno
from pathlib import Path
from nexuslims_console import supervisor as supervisor_module
from nexuslims_console.supervisor import Program, Supervisor
async def main():
    program = Program("one", {one.arguments!r}, Path({str(one.log)!r}))
    supervisor = Supervisor([program], say=print)
    await supervisor.start()
    print(supervisor.pids["one"], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    child = psutil.Process(int(await parent.stdout.readline()))
    await started(tmp_path, "one")
    parent.kill()
    await parent.wait()
    gone, alive = await asyncio.to_thread(psutil.wait_procs, [child], 10)
    assert gone
    assert not alive


async def test_a_log_that_was_moved_away_does_not_end_the_keeping(tmp_path: Path) -> None:
    heard = Heard()
    supervisor = Supervisor([program(tmp_path, "one", SLEEPER)], say=heard, changed=heard.changed)
    await supervisor.start()
    first = supervisor.pids["one"]
    await started(tmp_path, "one")
    (tmp_path / "logs" / "one.log").rename(tmp_path / "one.log.1")
    os.kill(first, signal.SIGKILL)
    await heard.until(lambda: supervisor.pids.get("one", first) != first)
    await supervisor.stop()
    assert "its last line: unknown" in "\n".join(heard)


async def test_a_program_that_cannot_be_started_for_a_while_is_tried_again(tmp_path: Path) -> None:
    heard = Heard()
    supervisor = Supervisor([program(tmp_path, "one", SLEEPER)], say=heard, changed=heard.changed)
    await supervisor.start()
    first = supervisor.pids["one"]
    await started(tmp_path, "one")
    logs = tmp_path / "logs"
    logs.rename(tmp_path / "elsewhere")
    logs.touch()
    os.kill(first, signal.SIGKILL)
    await heard.until(lambda: any("cannot be started" in line for line in heard))
    logs.unlink()
    await heard.until(lambda: supervisor.pids.get("one", first) != first)
    await supervisor.stop()


async def test_what_runs_is_noted_later_where_a_disk_is_full_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the program runs meanwhile, once."""
    heard, full = Heard(), [False]
    monkeypatch.setattr(supervisor_module, "LONGEST_DELAY_S", 0.05)

    def note(pids: Mapping[str, int]) -> None:
        if full[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        heard.changed(pids)

    supervisor = Supervisor([program(tmp_path, "one", SLEEPER)], say=heard, changed=note)
    await supervisor.start()
    first = supervisor.pids["one"]
    await started(tmp_path, "one")
    full[0] = True
    os.kill(first, signal.SIGKILL)
    await heard.until(lambda: any("cannot be noted" in line for line in heard))
    second = supervisor.pids["one"]
    full[0] = False
    await heard.until(lambda: f"pids {{'one': {second}}}" in heard)
    await supervisor.stop()
    assert second != first
    assert not any("cannot be started" in line for line in heard)
