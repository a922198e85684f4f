"""Three brokers on this host: one cluster, with users and keys; any of them can be killed."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext
from tests.system import free_port

from nexuslims_shared.accounts.access import Access
from nexuslims_shared.accounts.configuration import authorization
from nexuslims_shared.accounts.keys import make_keys, read_seed
from nexuslims_shared.accounts.rights import OPERATOR, USERS
from nexuslims_shared.broker import connect
from nexuslims_shared.embedded import find_server
from nexuslims_shared.processes import die_with_parent

NAMES: Final = ("broker-1", "broker-2", "broker-3")
SLOW: Final = "broker-3"
"""The one with slow disks, for old periods; the others have fast ones. Tags say so."""
_PATIENCE_S: Final = 60.0
_END_S: Final = 20.0

_CONFIG: Final = """\
server_name: {name}
server_tags: ["disk:{disk}"]
host: 127.0.0.1
port: {port}
jetstream {{ store_dir: {store} }}
cluster {{ name: chaos, listen: "127.0.0.1:{route}", routes: {routes}, no_advertise: {hidden} }}
{authorization}"""


@dataclass(slots=True)
class Cluster:
    """The brokers, by name."""

    folder: Path
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def credentials(self) -> Path:
        """The folder with the keys of their users."""
        return self.folder / "credentials"

    def access(self, user: str = OPERATOR) -> Access:
        """Return how a user reaches all of them."""
        urls = ",".join(f"nats://127.0.0.1:{self.ports[name]}" for name in NAMES)
        return Access.of(urls, seed=read_seed(self.credentials, user))

    def configure(self, *, advertise: bool = True) -> None:
        """Write what each broker is started with.

        Parameters
        ----------
        advertise
            Whether brokers tell clients of each other's addresses.
        """
        free = [free_port() for _ in range(2 * len(NAMES))]
        self.ports = dict(zip(NAMES, free, strict=False))
        routes = dict(zip(NAMES, free[len(NAMES) :], strict=True))
        users = authorization(make_keys(self.credentials, USERS))
        for name in NAMES:
            text = _CONFIG.format(
                name=name,
                disk="slow" if name == SLOW else "fast",
                port=self.ports[name],
                store=json.dumps(str(self.folder / name)),
                route=routes[name],
                hidden=str(not advertise).lower(),
                routes=json.dumps([f"nats://127.0.0.1:{port}" for port in routes.values()]),
                authorization=users,
            )
            (self.folder / f"{name}.conf").write_text(text)

    def start(self, name: str) -> None:
        """Start a broker."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [find_server(), "-c", str(self.folder / f"{name}.conf")],
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - one call into the kernel
            )

    def kill(self, name: str) -> None:
        """Kill a broker without a word."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def terminate(self, name: str) -> None:
        """Ask a broker to end; one that takes too long is killed. Blocks."""
        process = self.processes.pop(name)
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop(self) -> None:
        """Kill all that are left."""
        for name in list(self.processes):
            self.kill(name)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Cluster]:
    """Run the three until the context ends; they form a cluster when it begins."""
    cluster = Cluster(folder)
    cluster.configure()
    try:
        for name in NAMES:
            cluster.start(name)
        await wait_for_cluster(cluster)
        yield cluster
    finally:
        cluster.stop()


async def leader_of(jetstream: JetStreamContext, stream: str) -> str:
    """Return the broker that leads a stream, once all three hold all of it.

    Parameters
    ----------
    jetstream
        A context on a live connection.
    stream
        Its name.
    """
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            with suppress(nats.errors.Error, nats.js.errors.Error):
                found = (await jetstream.stream_info(stream)).cluster
                replicas = (found and found.replicas) or []
                current = [one for one in replicas if one.current and not one.offline]
                if found and found.leader and len(current) == len(NAMES) - 1:
                    return found.leader
            await asyncio.sleep(0.1)


async def wait_for_cluster(cluster: Cluster) -> None:
    """Wait until a stream can be held by all three."""
    client = await connect(cluster.access(), name="cluster")
    jetstream = client.jetstream()
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                with suppress(nats.errors.Error, nats.js.errors.Error):
                    await jetstream.add_stream(name="READY", num_replicas=len(NAMES))
                    await jetstream.delete_stream("READY")
                    return
                await asyncio.sleep(0.1)
    finally:
        await client.close()
