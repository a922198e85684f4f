"""A whole system in a folder: the real broker, the services as real processes."""

import asyncio
import fcntl
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from nexuslims_contracts.envelope import Recorded, envelop
from nexuslims_contracts.events import Event
from nexuslims_contracts.topology import EVENTS
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.embedded import EmbeddedBroker, start_embedded
from nexuslims_shared.log_identity import settle_identity
from nexuslims_shared.session.state import SessionState, fold
from nexuslims_shared.session.status import FINAL, Status, progress
from nexuslims_shared.store.jetstream import JetStreamEventStore
from nexuslims_shared.store.port import read_session

PIPELINE = ("harvester", "indexer", "extractor", "builder", "uploader")


_PORTS = range(12_000, 32_000)
"""Below those that the kernel gives to connections, and to who asks for any (Linux, 32768 on)."""
_CLAIMS: list[IO[str]] = []


def free_port() -> int:
    """A port nobody listens on, nor will but who asked here, as long as this process lives."""
    for port in random.sample(_PORTS, len(_PORTS)):
        claim = (Path(tempfile.gettempdir()) / f"nexuslims-port-{port}.lock").open("w")
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.create_server(("127.0.0.1", port)):
                _CLAIMS.append(claim)
                return port
        except OSError:
            claim.close()
    raise AssertionError("no port is free")


@dataclass(slots=True)
class System:
    """The processes of a system, and a view of its log."""

    folder: Path
    broker: EmbeddedBroker
    store: JetStreamEventStore
    environment: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    def start(
        self, *names: str, program: Sequence[str] = ("-m", "nexuslims_shared"), **settings: str
    ) -> None:
        """Start services."""
        for name in names:
            self.ports[name] = free_port()
            with (self.folder / f"{name}.log").open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    [sys.executable, *program, "run", name],
                    cwd=self.folder,
                    env={
                        **self.environment,
                        **settings,
                        "NX_HTTP_PORT": str(self.ports[name]),
                        "NX_CONSOLE_PORT": "0",
                    },
                    stdout=log,
                    stderr=log,
                )

    def kill(self, name: str) -> None:
        """Kill a service without a word."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def terminate(self, name: str) -> int:
        """Ask a service to stop; its exit status."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        return process.wait(timeout=30)

    def stop(self) -> None:
        """Stop everything."""
        for name in list(self.processes):
            with suppress(subprocess.TimeoutExpired):
                self.terminate(name)
        self.broker.stop()

    def log(self, name: str) -> str:
        """What a service has said."""
        return (self.folder / f"{name}.log").read_text()

    def get(self, name: str, path: str) -> tuple[int, object]:
        """Ask a service's HTTP side; status 0 if nobody listens."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.ports[name]}{path}", timeout=5
            ) as answer:
                body = answer.read()
                return answer.status, json.loads(body) if body else None
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())
        except OSError:
            return 0, None

    async def wait_for_http(self, name: str, path: str, status: int) -> object:
        """Wait until a service answers so."""
        while True:
            code, body = await asyncio.to_thread(self.get, name, path)
            if code == status:
                return body
            self._require_life(name)
            await asyncio.sleep(0.05)

    async def wait_until_well(self, name: str) -> dict[str, str]:
        """Wait until a service is ready and nothing beside is wrong; returns what it checked.

        A service that starts may be ready before all that is not essential is there.
        """
        while True:
            body = await self.wait_for_http(name, "/readyz", 200)
            assert isinstance(body, dict)
            if body["well"]:
                return dict(body["checks"])
            self._require_life(name)
            await asyncio.sleep(0.05)

    async def wait_for_file(self, path: Path) -> None:
        """Wait until an artifact stands under its name: it follows the event that names it."""
        while True:
            if await asyncio.to_thread(path.is_file):
                return
            await asyncio.sleep(0.05)

    async def state(self, session: str) -> SessionState:
        """The state of a session now."""
        return fold(await read_session(self.store, session))

    async def append(self, event: Event) -> None:
        """State a fact."""
        await self.store.append(envelop(event, source="test"))

    async def wait_until(
        self, condition: Callable[[Recorded], bool], *, after: int = 0
    ) -> Recorded:
        """Follow the log until an event is as wished."""
        async for item in self.store.follow(after=after):
            if isinstance(item, Recorded) and condition(item):
                return item
        raise AssertionError("the log ended")

    async def wait_until_handled(self) -> None:
        """Wait until the services have handled, or given up, all that is in the log."""
        client = await connect(self.broker.url, name="test")
        try:
            jetstream = client.jetstream()
            while True:
                infos = await jetstream.consumers_info(EVENTS.name)
                if not any(one.num_pending or one.num_ack_pending for one in infos):
                    return
                await asyncio.sleep(0.05)
        finally:
            await client.close()

    async def wait_for_status(
        self, sessions: Iterable[str], wanted: Sequence[Status] = tuple(FINAL), after: int = 0
    ) -> dict[str, SessionState]:
        """Follow the log until each session has come to one of the statuses."""
        waiting, states = set(sessions), {}
        async for item in self.store.follow(after=after):
            session = item.event.session if isinstance(item, Recorded) else ""
            if session in waiting:
                states[session] = await self.state(session)
                if progress(states[session]).status in wanted:
                    waiting.discard(session)
            if not waiting:
                return states
        raise AssertionError("the log ended")

    def _require_life(self, name: str) -> None:
        status = self.processes[name].poll()
        if status is not None:
            raise AssertionError(f"{name} ended with {status}:\n{self.log(name)[-2000:]}")


@asynccontextmanager
async def running(
    folder: Path, services: Sequence[str] = PIPELINE, **settings: str
) -> AsyncIterator[System]:
    """Run services on a broker of their own, in a facility's folder.

    Where ``NX_PERIODS`` is among the settings, even as ``all``, the broker lets periods be opened.
    """
    periods = "NX_PERIODS" in settings
    broker = await asyncio.to_thread(start_embedded, folder / "state", periods=periods)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("NX_")},
        "NATS_URL": broker.address,
        "NX_NATS_CREDENTIALS": str(broker.credentials),
        "NX_HARVEST_INTERVAL": "1",
        **settings,
    }
    client = await connect(broker.url, name="test")
    await provision(client.jetstream())
    await settle_identity(client.jetstream(), "")
    system = System(folder, broker, JetStreamEventStore(client.jetstream()), environment)
    system.start(*services)
    begin = time.monotonic()
    try:
        yield system
        assert "Violation" not in system.broker.log, "a service lacks a right that it needs"
    except BaseException:
        print(f"after {time.monotonic() - begin:.1f} s:")
        for name in services:
            print(f"--- {name}\n{system.log(name)[-3000:]}")
        raise
    finally:
        await client.close()
        await asyncio.to_thread(system.stop)
