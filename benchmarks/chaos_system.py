"""The system that the chaos is let loose on: broker, network, services, destinations."""

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

from benchmarks.chaos_facility import MadeUpFacility
from benchmarks.chaos_proxy import Proxy
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.embedded import EmbeddedBroker, start_embedded
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.jetstream import JetStreamEventStore
from nexuslims_uploader.testing.elabftw import FakeElabftw

SERVICES: Final = ("harvester", "indexer", "extractor", "builder", "uploader", "console")


@dataclass(slots=True)
class ChaosSystem:
    """All processes, and the means to do them harm.

    Parameters
    ----------
    facility
        What the system works on.
    broker
        The broker's process.
    proxy
        The network between the services and the broker.
    client
        A connection that does not go through the proxy.
    elabftw
        A destination.
    database
        Address of the read model, if it is not in SQLite.
    """

    facility: MadeUpFacility
    broker: EmbeddedBroker
    proxy: Proxy
    client: Client
    elabftw: FakeElabftw
    database: str = ""
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    frozen: set[str] = field(default_factory=set)

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

    def environment(self) -> dict[str, str]:
        """Return the settings of the services."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("NX_")}
        return {
            **own,
            "NATS_URL": f"nats://127.0.0.1:{self.proxy.port}",
            "NX_NATS_CREDENTIALS": str(self.broker.credentials),
            "NX_INSTRUMENT_DATA_PATH": "instruments",
            "NX_DATA_PATH": "data",
            "NX_HARVEST_INTERVAL": "1",
            "NX_HARVEST_BRAKE": "1000",
            "NX_EXTRACTOR_WORKERS": "1",
            "NX_DESTINATIONS": "archive,elabftw",
            "NX_ELABFTW_URL": self.elabftw.url,
            "NX_ELABFTW_API_KEY": "1-abc",
            "NX_HTTP_TIMEOUT": "3",
            "NX_HTTP_PORT": "0",
            **({"NX_DATABASE_URL": self.database} if self.database else {}),
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

    async def restart_broker(self, *, kill: bool, away: float) -> None:
        """End the broker and start it again on its files and its port.

        Parameters
        ----------
        kill
            Whether it is killed; otherwise it is asked to end.
        away
            Seconds between.
        """
        if kill:
            self.broker.process.kill()
        await asyncio.to_thread(self.broker.end)
        await asyncio.sleep(away)
        port = self.broker.port
        state = self.broker.state
        self.broker = await asyncio.to_thread(start_embedded, state, port=port)

    async def stop(self) -> None:
        """End everything."""
        for name in list(self.processes):
            await self.end(name)
        await self.client.close()
        await asyncio.to_thread(self.broker.end)


@asynccontextmanager
async def chaos_system(
    folder: Path, sessions: int, database: str = ""
) -> AsyncIterator[ChaosSystem]:
    """Make a facility, and run the system on it.

    Parameters
    ----------
    folder
        An empty one.
    sessions
        How many sessions its calendar has.
    database
        Address of the read model, if it is not to be in SQLite.
    """
    facility = MadeUpFacility(folder, sessions)
    await asyncio.to_thread(facility.write)
    async with AsyncExitStack() as stack:
        broker = await asyncio.to_thread(start_embedded, folder / "state")
        proxy = await stack.enter_async_context(Proxy(broker.port))
        client = await connect(broker.url, name="chaos")
        await provision(client.jetstream())
        elabftw = FakeElabftw()
        await stack.enter_async_context(elabftw.running())
        system = ChaosSystem(facility, broker, proxy, client, elabftw, database)
        stack.push_async_callback(system.stop)
        for name in SERVICES:
            system.start(name)
        yield system
