"""People edit records in CDCS and eLabFTW while the system changes them: no edit may be lost.

Each seed is one session with its own CDCS and eLabFTW (fakes, over HTTP) and a random order of
people's edits, late files, revised bookings, rebuilds, retries, withdrawals and their undoing, with
requests that fail in between. The builder and the uploader are the real ones, on an event store in
memory. In the end withdrawals are undone; every edit must be in the record where it was made, or
the session's state must report the conflict.
"""

import argparse
import asyncio
import random
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeAlias

from benchmarks.report import Bar, Report
from nexuslims_builder.app import Builder
from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.events import Event, UploadFailed
from nexuslims_contracts.record.model import Curation, Dataset
from nexuslims_contracts.record.reader import read_record
from nexuslims_contracts.record.writer import write_record
from nexuslims_contracts.testing import SessionEvents
from nexuslims_shared.consume import RetryLater
from nexuslims_shared.dead_letters import MemoryDeadLetters
from nexuslims_shared.network import Network
from nexuslims_shared.people import MemoryPeople
from nexuslims_shared.service import ServiceContext
from nexuslims_shared.session.state import SessionState, fold
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.memory import MemoryEventStore
from nexuslims_shared.store.port import read_session
from nexuslims_uploader.cdcs.client import CdcsClient
from nexuslims_uploader.cdcs.destination import CdcsDestination
from nexuslims_uploader.cdcs.previews import Previews
from nexuslims_uploader.cdcs.settings import CdcsSettings
from nexuslims_uploader.elabftw.client import ElabftwClient
from nexuslims_uploader.elabftw.destination import ElabftwDestination
from nexuslims_uploader.elabftw.settings import ElabftwSettings
from nexuslims_uploader.guarded_calls import GuardedCalls
from nexuslims_uploader.testing import Fault
from nexuslims_uploader.testing.cdcs import FakeCdcs
from nexuslims_uploader.testing.elabftw import Entry, FakeElabftw, Stored
from nexuslims_uploader.uploader import Uploader

STEPS: Final = 16
FAULTS: Final[tuple[Fault, ...]] = ("busy", "broken", "cut before", "cut after", "cut midway")
_MOST_TURNS: Final = 200
"""Turns of builder and uploader after which a session that does not come to rest is stuck."""


@dataclass(slots=True)
class Edits:
    """What people did at one destination and expect to find again."""

    words: set[str] = field(default_factory=set)
    ratings: dict[str, int] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    """The word in a place that is ours, such as a title: kept, or a conflict that is reported."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the edits of one seed."""

    edits: int
    conflicts: int
    lost: tuple[str, ...]


class World:
    """One session, the services that work on it, and two servers that people use.

    Parameters
    ----------
    seed
        Of everything random.
    folder
        Where records are written.
    cdcs, elabftw
        The servers.
    """

    def __init__(self, seed: int, folder: Path, cdcs: FakeCdcs, elabftw: FakeElabftw) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - no secret
        self.cdcs, self.elabftw = cdcs, elabftw
        self.facts = SessionEvents(f"nemo-1-usage-{seed}")
        self.store = MemoryEventStore()
        self.settings = Settings(
            instrument_data_path=folder, data_path=folder, state_path=folder / "state"
        )
        self.at_cdcs, self.at_elabftw = Edits(), Edits()
        self.files = 0
        self.word = 0
        self.clock = 0.0
        context = ServiceContext(
            self.settings,
            self.store,
            MemoryPeople(),
            MemoryDeadLetters(),
            None,  # type: ignore[arg-type]
        )
        self.builder = Builder(context)
        self.destinations = self._connect()
        names = [one.name for one in self.destinations]
        calls = GuardedCalls(names, clock=lambda: self.clock)
        self.uploader = Uploader(context, self.destinations, calls)

    def _connect(self) -> tuple[CdcsDestination, ElabftwDestination]:
        network = Network(http_timeout=5)
        cdcs = CdcsSettings(url=self.cdcs.url, token="admin-token")  # noqa: S106
        client = CdcsClient(cdcs, network)
        elabftw = ElabftwSettings(url=self.elabftw.url, api_key="1-abc")
        return (
            CdcsDestination(client, cdcs, Previews(client, self.settings.data_path)),
            ElabftwDestination(ElabftwClient(elabftw, network), elabftw),
        )

    async def close(self) -> None:
        """Close the connections."""
        for one in self.destinations:
            await one.close()

    # --- the session ---

    async def state(self) -> SessionState:
        """Return what the events say."""
        return fold(await read_session(self.store, self.facts.session))

    async def tell(self, *events: Event) -> None:
        """State events, and let the services work until they have nothing to do."""
        for event in events:
            await self.store.append(envelop(event, source="chaos"))
        await self.settle()

    async def settle(self) -> None:
        """Let builder and uploader work in turns until none of them states anything more.

        Raises
        ------
        RuntimeError
            If they do not come to rest.
        """
        for _ in range(_MOST_TURNS):
            history = await read_session(self.store, self.facts.session)
            await self.builder.handle((history[-1],))
            waits = False
            try:
                last = (await read_session(self.store, self.facts.session))[-1]
                await self.uploader.handle((last,))
            except RetryLater:
                waits = True
                self.clock += 3600
            now = await self.store.last_sequence()
            if not waits and now == history[-1].sequence:
                return
        raise RuntimeError(f"{self.facts.session} does not come to rest")

    async def begin(self) -> None:
        """Hold the session: two files, a record at both destinations."""
        self.files = 2
        await self.tell(
            self.facts.started(),
            self.facts.matched(title="Gold"),
            self.facts.ended(),
            *(self.facts.indexed(number) for number in (1, 2)),
            self.facts.manifest(2),
            *(self.facts.extracted(number) for number in (1, 2)),
        )

    async def late_file(self) -> None:
        """One more file is found and read."""
        self.files += 1
        scan = (await self.state()).scan
        manifest = self.facts.manifest(self.files, after=scan.sequence if scan else 0)
        new = self.facts.indexed(self.files), manifest, self.facts.extracted(self.files)
        await self.tell(*new)

    async def revise(self) -> None:
        """The calendar gives the session another title."""
        booking = (await self.state()).booking
        after = booking.sequence if booking else 0
        await self.tell(self.facts.matched(title=f"Gold, {self._next()}", after=after))

    async def rebuild(self) -> None:
        """An operator has the record made again."""
        await self.tell(self.facts.rebuild(self._next()))

    async def retry(self) -> None:
        """An operator has what failed tried again."""
        await self.tell(self.facts.retry(self._next()))

    async def withdraw(self) -> None:
        """An operator takes the record back everywhere; what is held there goes with it."""
        self.at_cdcs.held.clear()
        await self.tell(self.facts.withdraw(self._next(), withdrawn=True))

    async def undo(self) -> None:
        """The record may be shown again."""
        await self.tell(self.facts.withdraw(self._next(), withdrawn=False))

    async def fail(self) -> None:
        """Some of the next requests fail."""
        for server in (self.cdcs, self.elabftw):
            server.fail(*self.chance.choices(FAULTS, k=2))
        await self.rebuild()

    # --- people ---

    async def describe(self) -> None:
        """Somebody describes a dataset in CDCS."""
        word = self._next()
        if self._edit_dataset(lambda one: replace(one, descriptions=(*one.descriptions, word))):
            self.at_cdcs.words.add(word)

    async def rate(self) -> None:
        """Somebody rates a dataset in CDCS."""
        rating = self.chance.randint(1, 5)
        edited = self._edit_dataset(
            lambda one: replace(one, curation=Curation(rating, featured=True))
        )
        if edited:
            self.at_cdcs.ratings[edited] = rating

    async def retitle(self) -> None:
        """Somebody changes what is ours in CDCS: the record's title."""
        for record in self.cdcs.records.values():
            word = self._next()
            theirs = replace(read_record(record.xml.encode()), title=f"Better {word}")
            record.xml = write_record(theirs).decode()
            self.at_cdcs.held = {word}  # it takes the place of the title that they gave before

    async def write(self) -> None:
        """Somebody writes before or after our part of an experiment's text."""
        for entry in self._experiments():
            word, body = self._next(), entry.content["body"]
            mine = f"<p>{word}</p>"
            entry.content["body"] = self.chance.choice((mine + body, body + mine))
            self.at_elabftw.words.add(word)

    async def write_inside(self) -> None:
        """Somebody writes into our part of an experiment's text."""
        for entry in self._experiments():
            word = self._next()
            before, mark, after = entry.content["body"].partition("</h1>")
            if mark:
                entry.content["body"] = f"{before}{mark}<p>{word}</p>{after}"
                self.at_elabftw.words.add(word)

    async def add_field(self) -> None:
        """Somebody adds a field to an experiment."""
        for entry in self._experiments():
            word = self._next()
            fields = entry.content["metadata"]["extra_fields"]
            fields[f"Mine {word}"] = {"type": "text", "value": word}
            self.at_elabftw.words.add(word)

    async def attach(self) -> None:
        """Somebody attaches a file to an experiment."""
        for entry in self._experiments():
            word = self._next()
            entry.uploads.append(Stored(10_000 + self.word, f"{word}.txt", "", b"mine"))
            self.at_elabftw.words.add(word)

    async def rename(self) -> None:
        """Somebody gives an experiment another title."""
        for entry in self._experiments():
            word = self._next()
            entry.content["title"] = word
            self.at_elabftw.held = {word}

    def _experiments(self) -> list[Entry]:
        return self.elabftw.visible()

    def _edit_dataset(self, change: Callable[[Dataset], Dataset]) -> str:
        """Change a dataset of the record in CDCS; return its name, empty if there is no record."""
        for record in self.cdcs.records.values():
            whole = read_record(record.xml.encode())
            (activity, *others) = whole.activities
            place = self.chance.randrange(len(activity.datasets))
            datasets = list(activity.datasets)
            datasets[place] = change(datasets[place])
            changed = replace(activity, datasets=tuple(datasets))
            record.xml = write_record(replace(whole, activities=(changed, *others))).decode()
            return datasets[place].name
        return ""

    def _next(self) -> str:
        self.word += 1
        return f"word{self.word}x"

    # --- the end ---

    async def outcome(self) -> Outcome:
        """Undo what was withdrawn, and look for every edit."""
        await self.undo()
        await self.rebuild()
        state = await self.state()
        conflicts = {
            name
            for name, upload in state.uploads.items()
            if isinstance(upload.event, UploadFailed) and upload.event.permanent
        }
        lost = [*self._lost_at_cdcs("cdcs" in conflicts), *self._lost_at_elabftw()]
        edits = [*self.at_cdcs.words, *self.at_cdcs.ratings, *self.at_cdcs.held]
        edits += [*self.at_elabftw.words, *self.at_elabftw.held]
        return Outcome(len(edits), len(conflicts), tuple(lost))

    def _lost_at_cdcs(self, reported: bool) -> Iterator[str]:
        records = list(self.cdcs.records.values())
        if len(records) != 1:
            yield f"{len(records)} records in CDCS"
            return
        there = records[0].xml
        rated = {one.name: one.curation for one in read_record(there.encode()).datasets()}
        yield from (f"cdcs {word}" for word in self.at_cdcs.words if word not in there)
        for name, rating in self.at_cdcs.ratings.items():
            curation = rated.get(name)
            if curation is None or curation.rating != rating:
                yield f"cdcs rating of {name}"
        if not reported:
            yield from (f"cdcs {word}" for word in self.at_cdcs.held if word not in there)

    def _lost_at_elabftw(self) -> Iterator[str]:
        entries = self._experiments()
        if len(entries) != 1:
            yield f"{len(entries)} experiments in eLabFTW"
            return
        (entry,) = entries
        names = [one.name for one in entry.uploads]
        there = f"{entry.content} {names}"
        words = self.at_elabftw.words | self.at_elabftw.held
        yield from (f"elabftw {word}" for word in sorted(words) if word not in there)


Step: TypeAlias = Callable[[World], Awaitable[None]]

SYSTEM: Final[tuple[Step, ...]] = (
    World.late_file, World.revise, World.rebuild, World.retry, World.fail, World.withdraw,
    World.undo, World.undo, World.undo,
)  # fmt: skip
PEOPLE: Final[tuple[Step, ...]] = (
    World.describe, World.rate, World.retitle, World.write, World.write_inside, World.add_field,
    World.attach, World.rename,
)  # fmt: skip


async def mix(seed: int) -> Outcome:
    """Play one random mix of edits and changes.

    Parameters
    ----------
    seed
        Of everything random.
    """
    async with AsyncExitStack() as stack:
        cdcs = await stack.enter_async_context(FakeCdcs().running())
        elabftw = await stack.enter_async_context(FakeElabftw().running())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="curation-")))
        world = World(seed, folder, cdcs, elabftw)
        stack.push_async_callback(world.close)
        await world.begin()
        for _ in range(STEPS):
            kind = world.chance.choice((SYSTEM, PEOPLE))
            await world.chance.choice(kind)(world)
        return await world.outcome()


def main() -> None:
    """Run the mixes, and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=1)
    arguments = parser.parse_args()
    report = Report("chaos-curation")
    outcomes = {}
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        outcomes[seed] = asyncio.run(mix(seed))
    lost = {seed: one.lost for seed, one in outcomes.items() if one.lost}
    report.figures["mixes"] = len(outcomes)
    report.figures["edits"] = sum(one.edits for one in outcomes.values())
    report.figures["sessions with a conflict that is reported"] = sum(
        bool(one.conflicts) for one in outcomes.values()
    )
    report.bars["edits lost or overwritten"] = Bar(sum(map(len, lost.values())), 0)
    report.bars["edits made"] = Bar(report.figures["edits"], arguments.seeds, at_least=True)
    report.finish({f"seed {seed}": ", ".join(one) for seed, one in list(lost.items())[:20]})


if __name__ == "__main__":
    main()
