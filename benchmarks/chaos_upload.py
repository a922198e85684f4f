"""Records to four destinations while requests fail and the uploader is killed, again and again.

The uploader is a real process; the archive is a folder, the servers of the others are fakes. Each
request to one of them fails with a probability, in one of six ways; the uploader is killed
(SIGKILL) and started again every so many requests. In the end every destination must hold each
record exactly once, with the right bytes.
"""

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.report import Bar, Report
from benchmarks.uploads import write_sessions
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.embedded import start_embedded
from nexuslims_shared.session.state import fold
from nexuslims_shared.session.status import exported
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.jetstream import JetStreamEventStore
from nexuslims_shared.store.port import EventStore, read_session
from nexuslims_uploader.catalogue import FOLDER
from nexuslims_uploader.notebook import COMMENT, KEY, key_of
from nexuslims_uploader.testing import Fault, Request
from nexuslims_uploader.testing.cdcs import FakeCdcs
from nexuslims_uploader.testing.elabftw import FakeElabftw
from nexuslims_uploader.testing.labarchives import FakeLabarchives

WAYS: Sequence[Fault] = (
    "busy",
    "broken",
    "cut before",
    "cut after",
    "cut midway",
    "silent after",
)
SEED = 6


@dataclass(slots=True)
class Weather:
    """Decides which requests fail, and when the uploader dies."""

    probability: float
    every: int
    """Requests between two deaths."""
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))  # noqa: S311 - no secret
    requests: int = 0
    failed: int = 0
    death: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, request: Request) -> Fault | None:
        """Choose the fate of one request."""
        del request
        self.requests += 1
        if self.requests % self.every == 0:
            self.death.set()
        if self.chance.random() >= self.probability:
            return None
        self.failed += 1
        return self.chance.choice(WAYS)


@dataclass(slots=True)
class Mortal:
    """The uploader as a process that is started again whenever it is killed."""

    folder: Path
    environment: dict[str, str]
    deaths: int = 0

    async def live(self, weather: Weather, deaths: int) -> None:
        """Run; die so many times, then go on."""
        while True:
            with (self.folder / "uploader.log").open("ab") as log:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    *("-m", "nexuslims_shared", "run", "uploader"),
                    cwd=self.folder,
                    env=self.environment,
                    stdout=log,
                    stderr=log,
                )
            try:
                if self.deaths >= deaths:
                    await process.wait()
                    raise SystemExit(f"the uploader ended: see {self.folder / 'uploader.log'}")
                weather.death.clear()
                await weather.death.wait()
                self.deaths += 1
            finally:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


@dataclass(frozen=True, slots=True)
class Fakes:
    """The servers of the destinations."""

    cdcs: FakeCdcs = field(default_factory=FakeCdcs)
    elabftw: FakeElabftw = field(default_factory=FakeElabftw)
    labarchives: FakeLabarchives = field(default_factory=FakeLabarchives)

    @asynccontextmanager
    async def running(self, weather: Weather) -> AsyncIterator[None]:
        """Serve, in that weather."""
        async with AsyncExitStack() as stack:
            for server in (self.cdcs, self.elabftw, self.labarchives):
                server.choose = weather
                await stack.enter_async_context(server.running())
            yield

    def held(self, sessions: Collection[str]) -> dict[str, dict[str, list[bytes]]]:
        """Return the records that each holds, by session; those of no session count too."""
        return {
            "cdcs": self.cdcs.held(),
            "elabftw": attached(self.elabftw, sessions),
            "labarchives": self.labarchives.held(tuple(sessions)),
        }


def environment(folder: Path, broker: str, fakes: Fakes) -> dict[str, str]:
    """Settings of the uploader."""
    return {
        **os.environ,
        "NATS_URL": broker,
        "NX_INSTRUMENT_DATA_PATH": str(folder / "instruments"),
        "NX_DATA_PATH": str(folder / "data"),
        "NX_STATE_PATH": str(folder / "state"),
        "NX_DESTINATIONS": "archive,cdcs,labarchives,elabftw",
        "NX_UPLOAD_CONCURRENCY": "8",
        "NX_HTTP_TIMEOUT": "2",
        "NX_CDCS_URL": fakes.cdcs.url,
        "NX_CDCS_TOKEN": "admin-token",
        "NX_ELABFTW_URL": fakes.elabftw.url,
        "NX_ELABFTW_API_KEY": "1-abc",
        "NX_LABARCHIVES_URL": f"{fakes.labarchives.url}/api/",
        "NX_LABARCHIVES_ACCESS_KEY_ID": FakeLabarchives.key_id,
        "NX_LABARCHIVES_ACCESS_PASSWORD": FakeLabarchives.password,
        "NX_LABARCHIVES_USER_ID": FakeLabarchives.user,
        "NX_LABARCHIVES_NOTEBOOK_ID": FakeLabarchives.notebook,
        "NX_LABARCHIVES_PAUSE": "0",
    }


async def until_exported(store: EventStore, sessions: Sequence[str], limit: float) -> int:
    """Wait until every session is where it should be; returns how many are not in time."""
    waiting = set(sessions)
    with suppress(TimeoutError):
        async with asyncio.timeout(limit):
            while waiting:
                await asyncio.sleep(1)
                for session in sorted(waiting):
                    state = fold(await read_session(store, session, files=False))
                    if exported(state):
                        waiting.discard(session)
    return len(waiting)


def archived(settings: Settings) -> dict[str, list[bytes]]:
    """Return what the archive holds, by session."""
    found: dict[str, list[bytes]] = {}
    for path in (settings.records / FOLDER).glob("*.xml"):
        session = path.stem.rpartition("_")[2]
        found.setdefault(session, []).append(path.read_bytes())
    return found


def attached(elabftw: FakeElabftw, sessions: Iterable[str]) -> dict[str, list[bytes]]:
    """Return the records attached to experiments, by session; an experiment of none counts too."""
    names = {key_of(session): session for session in sessions}
    found: dict[str, list[bytes]] = {}
    for entry in elabftw.visible():
        key = entry.content["metadata"]["extra_fields"].get(KEY, {}).get("value", "")
        files = [one for one in entry.uploads if (one.state, one.comment) == (1, COMMENT)]
        found.setdefault(names.get(key, key), []).extend(one.content for one in files)
    return found


async def endure(folder: Path, options: argparse.Namespace) -> Report:
    """Run it."""
    for name in ("instruments", "data"):
        (folder / name).mkdir()
    settings = Settings(
        instrument_data_path=folder / "instruments",
        data_path=folder / "data",
        state_path=folder / "state",
    )
    weather = Weather(options.probability, options.every)
    begin = time.perf_counter()
    async with AsyncExitStack() as stack:
        broker = start_embedded(folder)
        stack.callback(broker.stop)
        client = await connect(broker.url, name="chaos")
        stack.push_async_callback(client.close)
        await provision(client.jetstream())
        store = JetStreamEventStore(client.jetstream())
        fakes = Fakes()
        await stack.enter_async_context(fakes.running(weather))
        records = await write_sessions(settings, store, options.count)
        mortal = Mortal(folder, environment(folder, broker.url, fakes))
        living = asyncio.create_task(mortal.live(weather, options.deaths))
        late = await _beside(living, lambda: until_exported(store, tuple(records), options.limit))
        held = {"archive": archived(settings), **fakes.held(records.keys())}
    expected = {session: [xml] for session, xml in records.items()}
    report = Report("chaos-upload")
    report.figures |= {
        "records": options.count,
        "destinations": len(held),
        "requests": weather.requests,
        "of them failed": weather.failed,
        "seconds": time.perf_counter() - begin,
    }
    report.bars["deaths"] = Bar(mortal.deaths, options.deaths, at_least=True)
    report.bars["sessions not exported in time"] = Bar(late, 0)
    for name, there in held.items():
        wrong = sum(there.get(key) != expected.get(key) for key in there.keys() | expected.keys())
        report.bars[f"sessions not exactly once in {name}"] = Bar(wrong, 0)
    return report


async def _beside(living: "asyncio.Task[None]", work: Callable[[], Awaitable[int]]) -> int:
    """Work while the uploader lives, and end it afterwards; its end is the end of all."""
    working = asyncio.ensure_future(work())
    await asyncio.wait({living, working}, return_when=asyncio.FIRST_COMPLETED)
    if living.done():
        working.cancel()
        living.result()
    living.cancel()
    with suppress(asyncio.CancelledError):
        await living
    return working.result()


def main() -> None:
    """Run, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="Records")
    parser.add_argument("--probability", type=float, default=0.3, help="Of a request to fail")
    parser.add_argument("--deaths", type=int, default=20, help="Times the uploader is killed")
    parser.add_argument("--every", type=int, default=60, help="Requests between two deaths")
    parser.add_argument("--limit", type=float, default=900, help="Seconds to be done in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(endure(Path(folder), options))
    report.finish()


if __name__ == "__main__":
    main()
