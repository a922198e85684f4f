"""An indexer with its log of events, for tests."""

import asyncio
from pathlib import Path

from nexuslims_contracts.envelope import Recorded, envelop
from nexuslims_contracts.events import Event, SessionIndexed
from nexuslims_indexer.app import indexing
from nexuslims_indexer.listing import list_folder
from nexuslims_shared.bucket import MemoryBucket
from nexuslims_shared.calendar_notes import CalendarNotes
from nexuslims_shared.dead_letters import MemoryDeadLetters
from nexuslims_shared.errors import BrokerUnavailableError
from nexuslims_shared.people import MemoryPeople
from nexuslims_shared.published_kinds import PublishedKinds
from nexuslims_shared.service import ServiceContext
from nexuslims_shared.session.state import SessionState, fold
from nexuslims_shared.store.memory import MemoryEventStore
from nexuslims_shared.store.port import read_session


class Breaking(MemoryEventStore):
    """A store that fails when a manifest comes, as often as it is told."""

    failures = 0

    async def append(self, envelope, *, expect=None):
        if isinstance(envelope.event, SessionIndexed) and self.failures:
            self.failures -= 1
            raise BrokerUnavailableError("the broker does not answer")
        return await super().append(envelope, expect=expect)


class Office:
    """An indexer with its log of events."""

    def __init__(self, settings, facts) -> None:
        self.facts = facts
        self.store = Breaking()
        self.letters = MemoryDeadLetters()
        self.people = MemoryPeople()
        self.kinds = PublishedKinds(MemoryBucket())
        self.notes = CalendarNotes(MemoryBucket())
        self.context = ServiceContext(settings, self.store, self.people, self.letters, None)  # type: ignore[arg-type]

    async def state(self, *events: Event) -> None:
        for event in events:
            await self.store.append(envelop(event, source="test"))

    async def history(self, facts=None) -> list[Recorded]:
        return await read_session(self.store, (facts or self.facts).session)

    async def wake(self) -> None:
        """Deliver the last event of the calendar, or of an operator, to an indexer that starts."""
        async with indexing(self.context, self.kinds) as indexer:
            await indexer.handle(await self.batch())

    async def batch(self) -> tuple[Recorded, ...]:
        mine = [item for item in await self.history() if item.envelope.source == "test"]
        return tuple(mine[-1:])

    async def folded(self, facts=None) -> SessionState:
        return fold(await self.history(facts))

    async def stated(self, kind: type[Event], facts=None) -> list[Event]:
        return [one.event for one in await self.history(facts) if isinstance(one.event, kind)]


def current(state: SessionState) -> list[str]:
    return sorted(file.indexed.event.path for file in state.current_files().values())


async def looked_through(indexer) -> None:
    """Every instrument was looked through, and what was found stated."""
    await asyncio.gather(*(one.once() for one in indexer.instruments.values()))


def failing(name: str, error: OSError, real=list_folder):
    """A listing that fails for folders of a name."""

    def listing(path, *arguments):
        if Path(path).name == name:
            raise error
        return real(path, *arguments)

    return listing
