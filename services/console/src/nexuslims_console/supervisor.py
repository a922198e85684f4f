"""Running programs as child processes: restarted when they end, stopped all together."""

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tenacity import AsyncRetrying, retry_if_exception_type, wait_exponential

from nexuslims_shared.processes import die_with_parent
from nexuslims_shared.tasks import end

FIRST_DELAY_S: Final = 0.5
LONGEST_DELAY_S: Final = 30.0
SETTLED_S: Final = 60.0
"""A program that ran this long is restarted as quickly as at first."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run.

    Parameters
    ----------
    name
        For messages.
    arguments
        The program and its arguments.
    log
        File that takes its output; appended to.
    environment
        Variables, in addition to ours.
    """

    name: str
    arguments: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)


class Supervisor:
    """Keeps programs running; use it from the main thread.

    Parameters
    ----------
    programs
        What to run, in the order of starting.
    say
        Takes messages for the operator.
    changed
        Called with the running processes' ids, by name, whenever they change.
    grace
        Seconds that programs have to end after SIGTERM.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        say: Callable[[str], None],
        changed: Callable[[Mapping[str, int]], None] = lambda _: None,
        grace: float = 25.0,
    ) -> None:
        self._programs = programs
        self._say = say
        self._changed = changed
        self._grace = grace
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._noting: asyncio.TimerHandle | None = None

    @property
    def pids(self) -> dict[str, int]:
        """Ids of the running processes, by name."""
        return {name: process.pid for name, process in self._running.items()}

    async def start(self) -> None:
        """Start all programs and keep them running."""
        for program in self._programs:
            first = await self._spawn(program)
            keeper = asyncio.create_task(self._keep(program, first), name=program.name)
            keeper.add_done_callback(self._report_failure)
            self._keepers.append(keeper)

    async def stop(self) -> None:
        """End all programs: by SIGTERM, and after the grace by SIGKILL."""
        await end(*self._keepers)
        if self._noting is not None:
            self._noting.cancel()
        processes = list(self._running.values())
        for process in processes:
            _signal(process, signal.SIGTERM)
        waiting = [asyncio.create_task(process.wait()) for process in processes]
        if waiting:
            await asyncio.wait(waiting, timeout=self._grace)
        for process in processes:
            _signal(process, signal.SIGKILL)
        await asyncio.gather(*waiting)
        self._running.clear()

    async def _keep(self, program: Program, process: asyncio.subprocess.Process) -> None:
        """Wait for a program's end and start it again, each time a little later."""
        clock = asyncio.get_running_loop().time
        delay = FIRST_DELAY_S
        while True:
            began = clock()
            code = await process.wait()
            self._running.pop(program.name, None)
            if clock() - began > SETTLED_S:
                delay = FIRST_DELAY_S
            self._say(
                f"{program.name} ended ({_reason(code)}), again in {delay:g} s;"
                f" its last line: {_last_line(program.log)}"
            )
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY_S)
            process = await self._spawn_again(program)

    async def _spawn_again(self, program: Program) -> asyncio.subprocess.Process:
        """Start a program, until it is possible: a disk may be full or gone for a while."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(OSError),
            wait=wait_exponential(multiplier=FIRST_DELAY_S, max=LONGEST_DELAY_S),
            before_sleep=lambda state: self._say(
                f"{program.name} cannot be started"
                f" ({state.outcome and state.outcome.exception()}), and is tried again"
            ),
        ):
            with attempt:
                return await self._spawn(program)
        raise AssertionError("the loop ends by a process or an error")

    def _report_failure(self, keeper: "asyncio.Task[None]") -> None:
        if not keeper.cancelled() and (error := keeper.exception()):
            self._say(f"{keeper.get_name()} is not kept running any more: {error!r}")

    async def _spawn(self, program: Program) -> asyncio.subprocess.Process:
        program.log.parent.mkdir(parents=True, exist_ok=True)
        with program.log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *program.arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **program.environment},
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )
        self._running[program.name] = process
        self._note()
        return process

    def _note(self) -> None:
        """Have it noted what runs; on a disk that is full or gone for a while, later."""
        if self._noting is not None:
            self._noting.cancel()
            self._noting = None
        try:
            self._changed(self.pids)
        except OSError as error:
            self._say(f"it cannot be noted which services run ({error}), and is tried again")
            later = asyncio.get_running_loop().call_later
            self._noting = later(LONGEST_DELAY_S, self._note)


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.send_signal(number)


def _reason(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    return f"killed by {signal.Signals(-code).name}"


def _last_line(log: Path) -> str:
    """Return the last line of a log; the file may have been moved away."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 4096))
            lines = stream.read().decode(errors="replace").strip().splitlines()
    except OSError as error:
        return f"unknown ({error})"
    return lines[-1] if lines else "none"
