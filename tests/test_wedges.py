"""Whatever is wedged, `nexuslims doctor` does not say that all is well; what it can mend, it mends.

`make wedges` runs all of them; the others run a few.
"""

import ctypes
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import psutil
import pytest
from demo.facility import make_facility
from tenacity import AsyncRetrying, Retrying, retry_if_result, stop_after_delay, wait_fixed

from nexuslims_contracts.topology import BUILDER, EVENTS, LEASES
from nexuslims_shared.context import ServiceContext, service_context
from nexuslims_shared.doctor import Finding, examine, examine_until_well, repair
from nexuslims_shared.facility import services_run_here
from nexuslims_shared.settings import read_settings

pytestmark = [pytest.mark.broker, pytest.mark.chaos]

_NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount something")
_LIBC = ctypes.CDLL(None, use_errno=True)
_READ_ONLY, _REMOUNT, _DETACH = 1, 32, 2

_RUNS = Retrying(
    retry=retry_if_result(lambda runs: not runs), wait=wait_fixed(0.1), stop=stop_after_delay(60)
)

Wedge = Callable[["Facility"], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Facility:
    """A facility that runs."""

    folder: Path
    up: "subprocess.Popen[bytes]"

    def services(self) -> dict[str, dict[str, int]]:
        """The processes of the services."""
        found: dict[str, dict[str, int]] = json.loads(
            (self.folder / "state" / "services.json").read_text()
        )
        return found

    def pid(self, service: str) -> int:
        """The process of a service."""
        return self.services()[service]["pid"]

    def broker(self) -> int:
        """The process of the broker."""
        return int(json.loads((self.folder / "state" / "broker.json").read_text())["pid"])


@pytest.fixture(scope="module")
def running_facility(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facility]:
    """`nexuslims up` in a sample facility, with thresholds of seconds."""
    folder = tmp_path_factory.mktemp("wedges")
    make_facility(folder)
    with (folder / ".env").open("a") as settings:
        settings.write("\nNX_STALLED_MINUTES=0.05\nNX_HARVEST_INTERVAL=1\nNX_EXTRACTOR_WORKERS=1\n")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("NX_") and name != "NATS_URL"
    }
    command = [sys.executable, "-P", "-m", "nexuslims_shared", "-C", str(folder), "up"]
    with (folder / "up.log").open("wb") as log:
        up = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            # a look before that would start a broker of its own, and `up` would wait for its end
            _RUNS(services_run_here, folder / "state")
            yield Facility(folder, up)
        finally:
            up.terminate()
            up.wait(60)


@pytest.fixture
async def facility(running_facility: Facility, monkeypatch: pytest.MonkeyPatch) -> Facility:
    """The facility, when all is well with it."""
    monkeypatch.chdir(running_facility.folder)
    for name in list(os.environ):
        if name.startswith("NX_") or name == "NATS_URL":
            monkeypatch.delenv(name)
    assert running_facility.up.poll() is None, log_of(running_facility)
    await until(lambda findings: not findings)
    return running_facility


def log_of(facility: Facility) -> str:
    """What `nexuslims up` printed last."""
    return (facility.folder / "up.log").read_text()[-2000:]


async def problems() -> dict[str, Finding]:
    """What `nexuslims doctor` finds wrong, or could not look at."""
    return {one.what: one for one in await examine() if one.problem}


async def until(wanted: Callable[[dict[str, Finding]], bool]) -> dict[str, Finding]:
    """Look until what is found is as wanted, for a minute."""
    retrying = AsyncRetrying(
        retry=retry_if_result(lambda found: not wanted(found)),
        wait=wait_fixed(0.2),
        stop=stop_after_delay(60),
        retry_error_callback=lambda state: state.outcome and state.outcome.result(),
    )
    found: dict[str, Finding] = await retrying(problems)
    assert wanted(found), found
    return found


# --- wedges: each breaks something, and takes back what nobody can mend from inside ---


@asynccontextmanager
async def stopped(facility: Facility, *, who: str) -> AsyncIterator[None]:
    """A process stands still."""
    own = {"broker": facility.broker, "supervisor": lambda: facility.up.pid}
    pid = own[who]() if who in own else facility.pid(who)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        if psutil.pid_exists(pid):
            os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def workers_stopped(facility: Facility) -> AsyncIterator[None]:
    """The extractor's worker processes stand still."""
    workers = psutil.Process(facility.pid("extractor")).children(recursive=True)
    for one in workers:
        one.suspend()
    yield
    for one in workers:
        if one.is_running():
            one.resume()


@asynccontextmanager
async def at_broker(
    facility: Facility, *, what: Callable[[ServiceContext], Awaitable[object]]
) -> AsyncIterator[None]:
    """Somebody changed something at the broker."""
    async with service_context(read_settings(), "wedge") as context:
        await what(context)
        yield


async def delete_consumer(context: ServiceContext) -> None:
    await context.jetstream.delete_consumer(EVENTS.name, "builder")


async def delete_bucket(context: ServiceContext) -> None:
    await context.jetstream.delete_stream(f"KV_{LEASES.name}")


async def limit_log(context: ServiceContext) -> None:
    config = (await context.jetstream.stream_info(EVENTS.name)).config
    config.max_msgs = 10_000_000
    await context.jetstream.update_stream(config)


async def forget_events(context: ServiceContext) -> None:
    config = (await context.jetstream.stream_info(EVENTS.name)).config
    config.max_age = 86_400.0
    await context.jetstream.update_stream(config)


async def pause_consumer(context: ServiceContext) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    await context.jetstream.pause_consumer(EVENTS.name, BUILDER.name, later)


async def change_consumer(context: ServiceContext) -> None:
    config = (await context.jetstream.consumer_info(EVENTS.name, BUILDER.name)).config
    config.filter_subjects = ["nexus.events.nobody.session-ended"]
    await context.jetstream.add_consumer(EVENTS.name, config)


async def write_dead_letter(context: ServiceContext) -> None:
    item = await context.store.get(1)
    assert item is not None
    await context.dead_letters.write("indexer", 1, item.subject, "wedged")


@asynccontextmanager
async def log_lost(facility: Facility) -> AsyncIterator[None]:
    """The broker's files are gone, and it was restarted."""
    shutil.rmtree(facility.folder / "state" / "broker" / "jetstream")
    os.kill(facility.broker(), signal.SIGKILL)
    yield


@asynccontextmanager
async def database_deleted(facility: Facility) -> AsyncIterator[None]:
    """The read model's files are deleted under the running console."""
    for file in (facility.folder / "state").glob("nexuslims.db*"):
        file.unlink()
    yield


@asynccontextmanager
async def database_locked(facility: Facility) -> AsyncIterator[None]:
    """Somebody else holds the read model."""
    connection = sqlite3.connect(facility.folder / "state" / "nexuslims.db", isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    yield
    connection.rollback()
    connection.close()


@asynccontextmanager
async def moved_away(facility: Facility, *, path: str, instead: str = "") -> AsyncIterator[None]:
    """A file or folder is not there, or something else is in its place."""
    place = facility.folder / path
    kept = place.with_name(f"{place.name}.kept")
    place.rename(kept)
    if instead == "fifo":
        os.mkfifo(place)
    elif instead == "file":
        place.write_text("no folder")
    yield
    if instead:
        place.unlink()
    kept.rename(place)


def mount(kind: str, place: Path, flags: int, data: str) -> None:
    """Mount something, as root."""
    arguments = (kind.encode(), os.fsencode(place), kind.encode(), flags, data.encode())
    if _LIBC.mount(*arguments):
        raise OSError(ctypes.get_errno(), "mount", str(place))


def unmount(facility: Facility, place: Path) -> None:
    """Take it away again, and what is remembered of it."""
    _LIBC.umount2(os.fsencode(place), _DETACH)
    (facility.folder / "state" / "mounts.json").unlink(missing_ok=True)


@asynccontextmanager
async def disk(facility: Facility, *, full: bool) -> AsyncIterator[None]:
    """The data folder is on a disk that is full, or may only be read."""
    place = facility.folder / "nexuslims-data"
    mount("tmpfs", place, 0, "size=64k")
    if full:
        with suppress(OSError), (place / "filler").open("wb") as filler:
            filler.write(bytes(1 << 20))
    else:
        mount("tmpfs", place, _READ_ONLY | _REMOUNT, "size=64k")
    try:
        yield
    finally:
        unmount(facility, place)


@asynccontextmanager
async def share_hangs(facility: Facility) -> AsyncIterator[None]:
    """The instruments' share has a server that does not answer (a FUSE without a program)."""
    place = facility.folder / "instrument-data"
    server = os.open("/dev/fuse", os.O_RDWR)
    data = f"fd={server},rootmode=40000,user_id=0,group_id=0"
    mount("fuse", place, 0, data)
    yield
    unmount(facility, place)
    os.close(server)


WEDGES: dict[str, tuple[Wedge, str, bool]] = {
    "deleted durable": (partial(at_broker, what=delete_consumer), "topology", True),
    "limited log": (partial(at_broker, what=limit_log), "broker limits", True),
    "stopped service": (partial(stopped, who="builder"), "service builder", True),
    "deleted database": (database_deleted, "service console", True),
    "calendar away": (partial(moved_away, path="calendar.toml"), "service harvester", False),
    "dead letter": (partial(at_broker, what=write_dead_letter), "dead letters", True),
    "deleted bucket": (partial(at_broker, what=delete_bucket), "topology", True),
    "stopped broker": (partial(stopped, who="broker"), "broker", True),
    "stopped console": (partial(stopped, who="console"), "service console", True),
    "stopped harvester": (partial(stopped, who="harvester"), "service harvester", True),
    "stopped workers": (workers_stopped, "service extractor", True),
    "calendar hangs": (
        partial(moved_away, path="calendar.toml", instead="fifo"),
        "service harvester",
        False,
    ),
    "locked database": (database_locked, "database", False),
    "destination away": (
        partial(moved_away, path="nexuslims-data/records/uploaded", instead="file"),
        "destination archive",
        False,
    ),
    "share away": (partial(moved_away, path="instrument-data"), "mount instrument-data", False),
    "full disk": (partial(disk, full=True), "mount nexuslims-data", False),
    "read-only disk": (partial(disk, full=False), "mount nexuslims-data", False),
    "stopped supervisor": (partial(stopped, who="supervisor"), "supervisor", False),
    "no list of services": (partial(moved_away, path="state/services.json"), "supervisor", False),
    "keys away": (partial(moved_away, path="state/broker/credentials"), "broker", False),
    "share hangs": (share_hangs, "mount instrument-data", False),
    "log that forgets": (partial(at_broker, what=forget_events), "broker limits", True),
    "paused consumer": (partial(at_broker, what=pause_consumer), "topology", True),
    "changed consumer": (partial(at_broker, what=change_consumer), "topology", True),
    "lost log": (log_lost, "topology", True),
}
"""What is wedged, what names it, and whether `--repair` mends it."""

ALWAYS = ("deleted durable", "destination away", "share away")
"""Those that every run of the tests does; `make wedges` does all."""

_AS_ROOT = ("full disk", "read-only disk", "share hangs")


def _params() -> Iterator[object]:
    for name in WEDGES if "WEDGES" in os.environ else ALWAYS:
        yield pytest.param(name, marks=[_NEEDS_ROOT] if name in _AS_ROOT else [])


@pytest.mark.parametrize("name", list(_params()))
async def test_no_wedge_looks_well_and_what_can_be_mended_is(facility: Facility, name: str) -> None:
    wedge, what, mends = WEDGES[name]
    async with wedge(facility):
        found = await until(lambda findings: what in findings)
        if mends:
            done = await repair(found.values())
            assert any(one.done for one in done), done
            left = [one for one in await examine_until_well(60, 0.2) if one.problem]
            assert [one for one in left if one.repair] == []
    await repair((await problems()).values())
    await until(lambda findings: not findings)
