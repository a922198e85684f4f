"""The brokers that the chaos harms: the embedded one, or the three of a cluster."""

import asyncio
import random
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from benchmarks import three_brokers
from benchmarks.chaos_disks import full, give_own_disk, unmount
from nexuslims_shared.accounts.access import Access
from nexuslims_shared.embedded import (
    EmbeddedBroker,
    credentials_folder,
    find_refusals,
    start_embedded,
)

_DISK_MB: Final = 96


class Brokers(Protocol):
    """One broker or several, of which each can be harmed."""

    @property
    def ports(self) -> tuple[int, ...]:
        """Where each listens."""
        ...

    @property
    def credentials(self) -> Path:
        """The folder with the keys of their users."""
        ...

    @property
    def access(self) -> Access:
        """How an operator reaches them, past the network that is cut."""
        ...

    async def start(self) -> None:
        """Start them, and wait until they can be used."""

    async def restart(self, chance: random.Random, *, kill: bool, away: float) -> None:
        """End one and start it again on its files and its port.

        Parameters
        ----------
        chance
            Chooses.
        kill
            Whether it is killed; otherwise it is asked to end.
        away
            Seconds between.
        """

    async def fill(self, chance: random.Random, seconds: float) -> bool:
        """Have the disk of one be full for some seconds; False where that is not possible.

        It is started again afterwards if it refused anything, as its supervisor would.

        Parameters
        ----------
        chance
            Chooses.
        seconds
            For how long.
        """
        ...

    async def mend(self) -> None:
        """Start those that have ended."""

    def stop(self) -> None:
        """End all of them."""


@dataclass(slots=True)
class OneBroker:
    """The embedded broker.

    Parameters
    ----------
    state
        The facility's state folder.
    """

    state: Path
    _broker: EmbeddedBroker | None = None
    _disk: bool = False

    @property
    def _running(self) -> EmbeddedBroker:
        if self._broker is None:
            raise RuntimeError("the broker was not started")
        return self._broker

    @property
    def _files(self) -> Path:
        return self.state / "broker" / "jetstream"

    @property
    def ports(self) -> tuple[int, ...]:
        """Where it listens; see the port."""
        return (self._running.port,)

    @property
    def credentials(self) -> Path:
        """The folder with the keys; see the port."""
        return credentials_folder(self.state)

    @property
    def access(self) -> Access:
        """How an operator reaches it; see the port."""
        return Access.of(self._running.url)

    async def start(self) -> None:
        """Start it on a disk of its own; see the port."""
        self._disk = give_own_disk(self._files, _DISK_MB)
        self._broker = await asyncio.to_thread(start_embedded, self.state)

    async def restart(self, chance: random.Random, *, kill: bool, away: float) -> None:
        """End it and start it again; see the port."""
        del chance
        broker = self._running
        if kill:
            broker.process.kill()
        await asyncio.to_thread(broker.end)
        await asyncio.sleep(away)
        await self.mend()

    async def fill(self, chance: random.Random, seconds: float) -> bool:
        """Have its disk be full for a while; see the port."""
        if not self._disk:
            return False
        with ExitStack() as stack:
            await asyncio.to_thread(stack.enter_context, full(self._files))
            await asyncio.sleep(seconds)
        if self._running.refusals():
            await self.restart(chance, kill=False, away=0)
        return True

    async def mend(self) -> None:
        """Start it if it has ended; see the port."""
        broker = self._running
        if broker.process.poll() is not None:
            self._broker = await asyncio.to_thread(start_embedded, self.state, port=broker.port)

    def stop(self) -> None:
        """End it; see the port."""
        self._running.end()
        if self._disk:
            unmount(self._files)


@dataclass(slots=True)
class ThreeBrokers:
    """A cluster of three.

    Parameters
    ----------
    folder
        For its files.
    """

    folder: Path
    _cluster: three_brokers.Cluster = field(init=False)
    _disks: bool = False

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self._cluster = three_brokers.Cluster(self.folder)

    @property
    def ports(self) -> tuple[int, ...]:
        """Where each listens; see the port."""
        return tuple(self._cluster.ports.values())

    @property
    def credentials(self) -> Path:
        """The folder with the keys; see the port."""
        return self._cluster.credentials

    @property
    def access(self) -> Access:
        """How an operator reaches them; see the port."""
        return self._cluster.access()

    async def start(self) -> None:
        """Start them, each on a disk of its own; see the port."""
        self._cluster.configure(advertise=False)
        disks = [give_own_disk(self.folder / name, _DISK_MB) for name in three_brokers.NAMES]
        self._disks = all(disks)
        for name in three_brokers.NAMES:
            self._cluster.start(name)
        await three_brokers.wait_for_cluster(self._cluster)

    async def restart(self, chance: random.Random, *, kill: bool, away: float) -> None:
        """End one and start it again, the leader of a stream or not; see the port."""
        name = chance.choice(three_brokers.NAMES)
        await self._end(name, kill=kill)
        await asyncio.sleep(away)
        await self.mend()

    async def fill(self, chance: random.Random, seconds: float) -> bool:
        """Have the disk of one be full for a while; see the port."""
        if not self._disks:
            return False
        name = chance.choice(three_brokers.NAMES)
        with ExitStack() as stack:
            await asyncio.to_thread(stack.enter_context, full(self.folder / name))
            await asyncio.sleep(seconds)
        process = self._cluster.processes[name]
        if find_refusals(self.folder / f"{name}.log", process.pid):
            await self._end(name, kill=False)
            await self.mend()
        return True

    async def mend(self) -> None:
        """Start those that have ended; see the port."""
        for name in three_brokers.NAMES:
            process = self._cluster.processes.get(name)
            if process is None or process.poll() is not None:
                self._cluster.start(name)

    def stop(self) -> None:
        """End them; see the port."""
        self._cluster.stop()
        if self._disks:
            for name in three_brokers.NAMES:
                unmount(self.folder / name)

    async def _end(self, name: str, *, kill: bool) -> None:
        if kill:
            self._cluster.kill(name)
        else:
            await asyncio.to_thread(self._cluster.terminate, name)
