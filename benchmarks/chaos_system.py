"""The system that the chaos is let loose on: brokers, network, services, destinations."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from nats.aio.client import Client

from benchmarks.chaos_brokers import Brokers, OneBroker, ThreeBrokers
from benchmarks.chaos_facility import MadeUpFacility
from benchmarks.chaos_proxy import Network
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.processes import die_with_parent
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.jetstream import JetStreamEventStore
from nexuslims_uploader.testing.elabftw import FakeElabftw

SERVICES: Final = ("harvester", "indexer", "extractor", "builder", "uploader", "console")
_GOODBYE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a system runs on.

    Parameters
    ----------
    sessions
        How many its calendar has.
    brokers
        How many brokers hold its log: 1 or 3.
    database
        Address of the read model, if it is not to be in SQLite.
    """

    sessions: int
    brokers: int = 1
    database: str = ""


@dataclass(slots=True)
class ChaosSystem:
    """All processes, and the means to do them harm.

    Parameters
    ----------
    facility
        What the system works on.
    surroundings
        What it runs on.
    brokers
        The brokers' processes.
    network
        Between the services and the brokers.
    client
        A connection that does not go through that network.
    elabftw
        A destination.
    """

    facility: MadeUpFacility
    surroundings: Surroundings
    brokers: Brokers
    network: Network
    client: Client
    elabftw: FakeElabftw
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    frozen: set[str] = field(default_factory=set)
    greens: list[str] = field(default_factory=list)
    """Moments in which something was out of order and all was said to be well."""

    @property
    def folder(self) -> Path:
        """The facility's folder."""
        return self.facility.folder

    @property
    def store(self) -> JetStreamEventStore:
        """The log."""
        return JetStreamEventStore(self.client.jetstream(timeout=5))

    @property
    def settings(self) -> Settings:
        """As the services have them."""
        return Settings(
            instrument_data_path=self.folder / "instruments",
            data_path=self.facility.data,
            state_path=self.folder / "state",
        )

    @property
    def database(self) -> str:
        """Address of the read model."""
        return self.surroundings.database or self.settings.read_model_url

    def environment(self) -> dict[str, str]:
        """Return the settings of the services."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("NX_")}
        return {
            **own,
            "NATS_URL": ",".join(f"nats://127.0.0.1:{port}" for port in self.network.ports),
            "NX_NATS_CREDENTIALS": str(self.brokers.credentials),
            "NX_STREAM_REPLICAS": str(self.surroundings.brokers),
            "NX_INSTRUMENT_DATA_PATH": "instruments",
            "NX_DATA_PATH": "data",
            "NX_STATE_PATH": "state",
            "NX_HARVEST_INTERVAL": "1",
            "NX_HARVEST_BRAKE": "1000",
            "NX_EXTRACTOR_WORKERS": "1",
            "NX_DESTINATIONS": "archive,elabftw",
            "NX_ELABFTW_URL": self.elabftw.url,
            "NX_ELABFTW_API_KEY": "1-abc",
            "NX_HTTP_TIMEOUT": "3",
            "NX_HTTP_PORT": "0",
            "NX_DATABASE_URL": self.database,
        }

    def start(self, name: str) -> None:
        """Start a service; ``builder#2`` is a second builder."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "nexuslims_shared", "run", name.partition("#")[0]],
                cwd=self.folder,
                env=self.environment(),
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - one call into the kernel
            )

    async def end(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End a service.

        Parameters
        ----------
        name
            Of the process.
        number
            The signal; one that asks is followed by one that kills.
        """
        process = self.processes.pop(name, None)
        if process is None:
            return
        self.thaw(name, process)
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(process.wait, 25)
            return
        process.kill()
        await asyncio.to_thread(process.wait)

    def freeze(self, name: str) -> None:
        """Have a process stand still."""
        if name in self.processes:
            self.processes[name].send_signal(signal.SIGSTOP)
            self.frozen.add(name)

    def thaw(self, name: str, process: "subprocess.Popen[bytes] | None" = None) -> None:
        """Have a process go on.

        Parameters
        ----------
        name
            Of the process.
        process
            The process, if it is not among the others any more.
        """
        found = process or self.processes.get(name)
        if name in self.frozen and found is not None:
            found.send_signal(signal.SIGCONT)
        self.frozen.discard(name)

    def mend(self) -> None:
        """Start every service that has ended by itself, or was ended, as a supervisor would."""
        for name in SERVICES:
            process = self.processes.get(name)
            if process is None or process.poll() is not None:
                self.start(name)

    async def recover(self) -> None:
        """End every harm that was done: nothing is frozen, held or away any more."""
        for name in list(self.frozen):
            self.thaw(name)
        self.network.release()
        await self.brokers.mend()
        self.mend()

    async def provision(self) -> None:
        """Give the brokers what the system needs there, or what was taken from it."""
        await provision(self.client.jetstream(timeout=5), replicas=self.surroundings.brokers)

    def describe(self) -> str:
        """Return which processes run, and what the last line of their logs is."""
        lines = []
        for name, process in sorted(self.processes.items()):
            code = process.poll()
            state = "frozen" if name in self.frozen else "runs" if code is None else f"ended {code}"
            text = (self.folder / f"{name}.log").read_text(errors="replace").strip()
            lines.append(f"    {name} {state}: {text.rpartition(chr(10))[2][:300]}")
        return "\n".join(lines)

    async def stop(self) -> None:
        """End everything."""
        for name in list(self.processes):
            await self.end(name)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.client.close(), _GOODBYE_S)


@asynccontextmanager
async def chaos_system(folder: Path, surroundings: Surroundings) -> AsyncIterator[ChaosSystem]:
    """Make a facility, and run the system on it.

    Parameters
    ----------
    folder
        An empty one.
    surroundings
        What it is to run on.
    """
    facility = MadeUpFacility(folder, surroundings.sessions)
    await asyncio.to_thread(facility.write)
    async with AsyncExitStack() as stack:
        one = surroundings.brokers == 1
        brokers = OneBroker(folder / "state") if one else ThreeBrokers(folder / "brokers")
        stack.callback(brokers.stop)
        await brokers.start()
        network = await stack.enter_async_context(Network.to(brokers.ports))
        client = await connect(brokers.access, name="chaos")
        elabftw = FakeElabftw()
        await stack.enter_async_context(elabftw.running())
        system = ChaosSystem(facility, surroundings, brokers, network, client, elabftw)
        stack.push_async_callback(system.stop)
        await system.provision()
        for name in SERVICES:
            system.start(name)
        yield system
