"""Faults, and the scheduler that lets them loose by the numbers of a seed."""

import asyncio
import os
import random
import signal
import stat
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import nats.errors
import nats.js.errors

from benchmarks.chaos_system import SERVICES, ChaosSystem
from nexuslims_contracts.topology import CONSUMERS, EVENTS
from nexuslims_shared.broker import provision
from nexuslims_shared.errors import SharedError
from nexuslims_uploader.testing import Fault as AnswerFault

LONGER_THAN_ACK_WAIT: Final = (16.0, 20.0)
_LONGEST_S: Final = 90.0
"""A fault that takes longer is given up: the broker may be away whenever one needs it."""
_MOST_FROZEN: Final = 2
_DOUBLED: Final = SERVICES[:-1]
_ANSWERS: Final[tuple[AnswerFault, ...]] = ("busy", "broken", "cut before", "cut after")

Act: TypeAlias = Callable[[ChaosSystem, random.Random], Awaitable[None]]


async def kill(system: ChaosSystem, chance: random.Random) -> None:
    """Kill a service; it is started again a moment later."""
    name = chance.choice(SERVICES)
    await system.end(name)
    await asyncio.sleep(chance.uniform(0, 2))
    system.mend()


async def terminate(system: ChaosSystem, chance: random.Random) -> None:
    """Ask a service to end; it is started again."""
    await system.end(chance.choice(SERVICES), signal.SIGTERM)
    system.mend()


async def freeze(system: ChaosSystem, chance: random.Random) -> None:
    """Have a service stand still for longer than the broker waits for it."""
    name = chance.choice(SERVICES)
    if len(system.frozen) < _MOST_FROZEN and name not in system.frozen:
        system.freeze(name)
        await asyncio.sleep(chance.uniform(*LONGER_THAN_ACK_WAIT))
        system.thaw(name)


async def double(system: ChaosSystem, chance: random.Random) -> None:
    """Run a second one of a service beside the first for a while, then kill it."""
    name = f"{chance.choice(_DOUBLED)}#{chance.randrange(1_000_000)}"
    system.start(name)
    await asyncio.sleep(chance.uniform(5, 20))
    await system.end(name)


async def kill_broker(system: ChaosSystem, chance: random.Random) -> None:
    """Kill the broker; it is started again on its files."""
    await system.restart_broker(kill=True, away=chance.uniform(0, 3))


async def restart_broker(system: ChaosSystem, chance: random.Random) -> None:
    """Restart the broker in order."""
    await system.restart_broker(kill=False, away=chance.uniform(0, 1))


async def cut(system: ChaosSystem, chance: random.Random) -> None:
    """Cut all connections to the broker."""
    del chance
    system.proxy.cut()


async def hold(system: ChaosSystem, chance: random.Random) -> None:
    """Let nothing through between services and broker for some seconds."""
    system.proxy.hold()
    await asyncio.sleep(chance.uniform(1, 6))
    system.proxy.release()


async def deafen(system: ChaosSystem, chance: random.Random) -> None:
    """Let services' messages through, but no answer; then cut."""
    system.proxy.deafen()
    await asyncio.sleep(chance.uniform(0.5, 4))
    system.proxy.release()


async def read_only(system: ChaosSystem, chance: random.Random) -> None:
    """Have the records folder refuse new files for some seconds."""
    folder = system.facility.data / "records"
    if await asyncio.to_thread(_lock, folder):
        try:
            await asyncio.sleep(chance.uniform(2, 8))
        finally:
            await asyncio.to_thread(_unlock, folder)


async def delete_consumer(system: ChaosSystem, chance: random.Random) -> None:
    """Delete a service's consumer; it is provisioned again."""
    jetstream = system.client.jetstream(timeout=5)
    try:
        await jetstream.delete_consumer(EVENTS.name, chance.choice(CONSUMERS).name)
        await asyncio.sleep(chance.uniform(0, 2))
    finally:
        await provision(jetstream)


async def delete_read_model(system: ChaosSystem, chance: random.Random) -> None:
    """Delete the database of the read model, and restart what keeps it."""
    del chance
    await system.end("console")
    for path in (system.folder / "state").glob("nexuslims.db*"):
        path.unlink()
    system.mend()


async def edit_calendar(system: ChaosSystem, chance: random.Random) -> None:
    """Change some sessions in the calendar."""
    for _ in range(chance.randrange(1, 4)):
        system.facility.edit(chance)


async def fail_destination(system: ChaosSystem, chance: random.Random) -> None:
    """Have a destination answer wrongly for some seconds."""
    system.elabftw.choose = lambda _: chance.choice((None, *_ANSWERS))
    await asyncio.sleep(chance.uniform(1, 5))
    system.elabftw.choose = lambda _: None


WEIGHTS: Final[Mapping[Act, int]] = {
    kill: 16,
    terminate: 6,
    freeze: 14,
    double: 8,
    kill_broker: 5,
    restart_broker: 3,
    cut: 8,
    hold: 5,
    deafen: 5,
    read_only: 6,
    delete_consumer: 5,
    delete_read_model: 3,
    edit_calendar: 24,
    fail_destination: 6,
}
_ONE_AT_A_TIME: Final = (
    {kill_broker, restart_broker, delete_consumer},
    {hold, deafen},
    {read_only},
    {fail_destination},
    {delete_read_model},
)


@dataclass(slots=True)
class Scheduler:
    """Lets faults loose one after the other; those that last go on beside the next.

    Parameters
    ----------
    system
        What they are let loose on.
    seed
        Determines which, when and for how long.
    pause
        Seconds between two faults, at least and at most.
    """

    system: ChaosSystem
    seed: int
    pause: tuple[float, float] = (0.2, 1.4)
    done: Counter[str] = field(default_factory=Counter)
    _running: dict[Act, "asyncio.Task[None]"] = field(default_factory=dict)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def run(self, faults: int) -> None:
        """Let so many faults loose, and wait until all of them are over."""
        chance = random.Random(self.seed)  # noqa: S311 - no secret
        acts, weights = list(WEIGHTS), list(WEIGHTS.values())
        while self.done.total() < faults:
            (act,) = chance.choices(acts, weights)
            inner = random.Random(chance.random())  # noqa: S311 - no secret
            await asyncio.sleep(chance.uniform(*self.pause))
            if self._is_under_way(act):
                continue
            self.done[act.__name__] += 1
            task = asyncio.create_task(self._attempt(act, inner))
            self._running[act] = task
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        while self._tasks:
            await asyncio.gather(*self._tasks)
        for name in list(self.system.frozen):
            self.system.thaw(name)
        self.system.proxy.release()
        self.system.mend()

    def _is_under_way(self, act: Act) -> bool:
        """Tell whether a fault of a kind of which there is one at a time is not over."""
        group = next((one for one in _ONE_AT_A_TIME if act in one), set())
        running = (self._running.get(one) for one in group)
        return any(task is not None and not task.done() for task in running)

    async def _attempt(self, act: Act, chance: random.Random) -> None:
        """Do harm; that the broker is away meanwhile is no error of ours."""
        try:
            async with asyncio.timeout(_LONGEST_S):
                await act(self.system, chance)
        except TimeoutError:
            print(f"  {act.__name__}: not done within {_LONGEST_S:.0f} s")
        except (nats.errors.Error, nats.js.errors.Error, SharedError) as error:
            print(f"  {act.__name__}: {error or type(error).__name__}")


def _lock(folder: Path) -> bool:
    """Have a folder refuse new files; False where that is not possible, as for root."""
    if not folder.is_dir() or os.geteuid() == 0:
        return _mount_read_only(folder)
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    return True


def _unlock(folder: Path) -> None:
    if os.geteuid() == 0:
        os.system(f"umount -l '{folder}'")  # noqa: S605 - our own folder
    else:
        folder.chmod(stat.S_IRWXU)


def _mount_read_only(folder: Path) -> bool:
    """Mount a folder onto itself for reading: root is kept from writing by nothing else."""
    if not folder.is_dir() or os.geteuid() != 0:
        return False
    bound = os.system(f"mount --bind '{folder}' '{folder}' 2>/dev/null")  # noqa: S605 - as above
    if bound:
        return False
    if os.system(f"mount -o remount,ro,bind '{folder}' 2>/dev/null"):  # noqa: S605 - as above
        _unlock(folder)
        return False
    return True
