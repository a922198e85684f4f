"""The rescue of a broker cluster that lost its majority, as docs/operations/rescue.md tells it."""

import shutil
import subprocess
import sysconfig
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nats.errors
import nats.js.errors
import pytest
from nats.js import JetStreamContext
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.events import RetryRequested
from nexuslims_contracts.topology import CONSUMERS, EVENTS
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.store.jetstream import JetStreamEventStore
from nexuslims_shared.store.port import read_session
from tests.system import free_port

pytestmark = [pytest.mark.chaos, pytest.mark.broker]

NAMES = ("nats-1", "nats-2", "nats-3")


@dataclass(slots=True)
class Cluster:
    """Three brokers on this machine."""

    folder: Path
    clients: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in NAMES})
    routes: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in NAMES})
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return ",".join(f"nats://127.0.0.1:{port}" for port in self.clients.values())

    def start(self, *names: str) -> None:
        server = shutil.which("nats-server", path=sysconfig.get_path("scripts"))
        assert server
        routes = ",".join(f"nats://127.0.0.1:{port}" for port in self.routes.values())
        for name in names:
            with (self.folder / f"{name}.log").open("ab") as log:
                self.running[name] = subprocess.Popen(
                    [
                        *(server, "--name", name, "--addr", "127.0.0.1"),
                        *("--port", str(self.clients[name]), "--jetstream"),
                        *("--store_dir", str(self.folder / name), "--cluster_name", "nexuslims"),
                        *("--cluster", f"nats://127.0.0.1:{self.routes[name]}"),
                        *("--routes", routes),
                    ],
                    stdout=log,
                    stderr=log,
                )

    def kill(self, *names: str) -> None:
        for name in names:
            process = self.running.pop(name)
            process.kill()
            process.wait()

    def lose_disk(self, *names: str) -> None:
        for name in names:
            shutil.rmtree(self.folder / name)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[JetStreamContext]:
        client = await connect(self.url, name="test")
        try:
            yield client.jetstream(timeout=2)
        finally:
            await client.close()


async def patiently(work: Callable[[], Awaitable[None]]) -> None:
    """Until the brokers have agreed who leads."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type((nats.errors.Error, nats.js.errors.Error, AssertionError)),
        wait=wait_fixed(0.2),
        stop=stop_after_delay(30),
        reraise=True,
    ):
        with attempt:
            await work()


async def copies(jetstream: JetStreamContext, wanted: int) -> None:
    info = await jetstream.stream_info(EVENTS.name)
    assert info.cluster is not None
    current = [peer for peer in info.cluster.replicas or [] if peer.current and not peer.offline]
    assert len(current) == wanted


async def consumers(jetstream: JetStreamContext) -> None:
    found = {one.name for one in await jetstream.consumers_info(EVENTS.name)}
    assert {spec.name for spec in CONSUMERS} <= found


def request(number: int) -> RetryRequested:
    return RetryRequested(session="s-1", request=str(number))


async def test_two_of_three_brokers_are_lost_with_their_disks(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    try:
        cluster.start(*NAMES)
        async with cluster.connected() as jetstream:
            await patiently(lambda: provision(jetstream, replicas=3))
            store = JetStreamEventStore(jetstream)
            for number in range(50):
                await store.append(envelop(request(number), source="test"))
            await patiently(lambda: copies(jetstream, 2))
        cluster.kill(*NAMES)
        cluster.lose_disk("nats-2", "nats-3")

        cluster.start("nats-1", "nats-2")
        async with cluster.connected() as jetstream:
            await patiently(lambda: copies(jetstream, 1))
            cluster.start("nats-3")
            await patiently(lambda: copies(jetstream, 2))
            store = JetStreamEventStore(jetstream)
            assert len(await read_session(store, "s-1")) == 50
            await patiently(lambda: consumers(jetstream))
            await store.append(envelop(request(50), source="test"))
            assert len(await read_session(store, "s-1")) == 51
    finally:
        cluster.kill(*cluster.running)
