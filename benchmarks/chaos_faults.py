"""Faults, and the scheduler that lets them loose by the numbers of a seed."""

import asyncio
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import nats.errors
import nats.js.errors
from nats.js.api import DiscardPolicy

from benchmarks import chaos_disks
from benchmarks.chaos_facts import ask_doctor
from benchmarks.chaos_read_model import disturb, drop
from benchmarks.chaos_system import SERVICES, ChaosSystem
from benchmarks.chaos_waits import StalledError, bounded
from nexuslims_contracts.topology import CONSUMERS, EVENTS
from nexuslims_shared.errors import SharedError
from nexuslims_uploader.testing import Fault as AnswerFault

LONGER_THAN_ACK_WAIT: Final = (16.0, 20.0)
_LONGEST_S: Final = 90.0
"""A fault that takes longer is given up: the broker may be away whenever one needs it."""
_MOST_FROZEN: Final = 2
_DOUBLED: Final = SERVICES[:-1]
_ANSWERS: Final[tuple[AnswerFault, ...]] = ("busy", "broken", "cut before", "cut after")

_EXPECTED: Final = (
    StalledError,
    nats.errors.Error,
    nats.js.errors.Error,
    sqlite3.OperationalError,
    SharedError,
)
"""What a fault may meet because of another one."""

Act: TypeAlias = Callable[[ChaosSystem, random.Random], Coroutine[Any, Any, None]]


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
    """Kill a broker; it is started again on its files."""
    await system.brokers.restart(chance, kill=True, away=chance.uniform(0, 3))


async def restart_broker(system: ChaosSystem, chance: random.Random) -> None:
    """Restart a broker in order."""
    await system.brokers.restart(chance, kill=False, away=chance.uniform(0, 1))


async def fill_broker(system: ChaosSystem, chance: random.Random) -> None:
    """Have a broker's disk be full for some seconds; without one, its log reaches a limit."""
    seconds = chance.uniform(2, 8)
    if await system.brokers.fill(chance, seconds):
        return
    jetstream = system.client.jetstream(timeout=5)
    config = (info := await jetstream.stream_info(EVENTS.name)).config
    config.max_bytes, config.discard = info.state.bytes, DiscardPolicy.NEW
    try:
        await jetstream.update_stream(config)
        await asyncio.sleep(seconds)
    finally:
        await system.provision()


async def cut(system: ChaosSystem, chance: random.Random) -> None:
    """Cut all connections to the broker."""
    del chance
    system.network.cut()


async def hold(system: ChaosSystem, chance: random.Random) -> None:
    """Let nothing through between services and broker for some seconds."""
    system.network.hold()
    await asyncio.sleep(chance.uniform(1, 6))
    system.network.release()


async def deafen(system: ChaosSystem, chance: random.Random) -> None:
    """Let services' messages through, but no answer; then cut."""
    system.network.deafen()
    await asyncio.sleep(chance.uniform(0.5, 4))
    system.network.release()


async def read_only(system: ChaosSystem, chance: random.Random) -> None:
    """Have the records folder refuse new files for some seconds."""
    folder = system.facility.data / "records"
    if await asyncio.to_thread(chaos_disks.lock, folder):
        try:
            await asyncio.sleep(chance.uniform(2, 8))
        finally:
            await asyncio.to_thread(chaos_disks.unlock, folder)


async def delete_consumer(system: ChaosSystem, chance: random.Random) -> None:
    """Delete a service's consumer; it is provisioned again when the doctor was asked about it."""
    name = chance.choice(CONSUMERS).name
    try:
        await system.client.jetstream(timeout=5).delete_consumer(EVENTS.name, name)
        if await asyncio.to_thread(ask_doctor, system):
            system.greens.append(f"the consumer {name} was deleted, and the doctor found nothing")
    finally:
        await system.provision()


async def delete_read_model(system: ChaosSystem, chance: random.Random) -> None:
    """Delete the tables of the read model, and restart what keeps it."""
    del chance
    await system.end("console")
    await asyncio.to_thread(drop, system.database)
    system.mend()


async def disturb_database(system: ChaosSystem, chance: random.Random) -> None:
    """Have the database of the read model be held by somebody else, or cut its connections."""
    await asyncio.to_thread(disturb, system.database, chance.uniform(1, 6))


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
    fill_broker: 4,
    cut: 8,
    hold: 5,
    deafen: 5,
    read_only: 6,
    delete_consumer: 5,
    delete_read_model: 3,
    disturb_database: 3,
    edit_calendar: 24,
    fail_destination: 6,
}
_ONE_AT_A_TIME: Final = (
    {kill_broker, restart_broker, fill_broker, delete_consumer},
    {hold, deafen},
    {read_only},
    {fail_destination},
    {delete_read_model, disturb_database},
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
        await self.system.recover()

    def _is_under_way(self, act: Act) -> bool:
        """Tell whether a fault of a kind of which there is one at a time is not over."""
        group = next((one for one in _ONE_AT_A_TIME if act in one), set())
        running = (self._running.get(one) for one in group)
        return any(task is not None and not task.done() for task in running)

    async def _attempt(self, act: Act, chance: random.Random) -> None:
        """Do harm; that the broker is away meanwhile is no error of ours."""
        begun = time.monotonic()
        try:
            await bounded(act.__name__, _LONGEST_S, act(self.system, chance))
        except _EXPECTED as error:
            after = time.monotonic() - begun
            print(f"  {act.__name__}, {after:.0f} s: {error or type(error).__name__}")
