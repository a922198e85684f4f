"""The indexer: finds the files of every session, and states whose they are.

What wakes it is a change of the calendar, an operator, a change on a disk, or the time. For each
instrument one look at its folders serves all of its sessions.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import Context
from datetime import timedelta
from typing import Final

from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.events import ExtractionFailed, RetryRequested
from nexuslims_contracts.identifiers import digest
from nexuslims_contracts.paths import readable
from nexuslims_contracts.topology import INDEXER
from nexuslims_indexer.access import EventAccess, ScanPolicy
from nexuslims_indexer.errors import IndexInUseError, ShareUnavailableError
from nexuslims_indexer.index import FolderIndex
from nexuslims_indexer.instrument import InstrumentIndexer
from nexuslims_indexer.manifest_updater import ManifestUpdater
from nexuslims_indexer.model import is_within
from nexuslims_indexer.names import DEFAULT_KINDS, Names
from nexuslims_indexer.people import FolderNames
from nexuslims_indexer.place import Place
from nexuslims_indexer.rules_brake import RulesBrake
from nexuslims_indexer.tracked_sessions import TrackedSessions, TreeKey
from nexuslims_indexer.warn import Warnings
from nexuslims_indexer.watch import is_local, watch
from nexuslims_shared.calendar_notes import CalendarNotes
from nexuslims_shared.consume import Handler, RetryLater, by_session
from nexuslims_shared.errors import BrokerUnavailableError, SettingsError
from nexuslims_shared.health import INSTRUMENT_FOLDERS, Check
from nexuslims_shared.published_kinds import PublishedKinds
from nexuslims_shared.service import Mount, Service, ServiceContext
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.settings import Settings, make_folder, make_state_folder
from nexuslims_shared.tasks import end

log = logging.getLogger(__name__)

_SHARE_DELAY: Final = timedelta(seconds=30)
_KINDS_INTERVAL_S: Final = 20.0


def create(settings: Settings) -> Service:
    """Make the service."""
    running: list[Indexer] = []
    return Service(
        name="indexer",
        work=lambda context: _work(context, running),
        consumer=INDEXER,
        key=by_session,
        concurrency=100,
        backlog=1000,
        mounts=[Mount(settings.instrument_data_path, "NX_INSTRUMENT_DATA_PATH")],
        checks=[_check_folders(running), _check_first_look(running)],
        notes=lambda: running[0].notes() if running else {},
    )


def _check_folders(running: Sequence["Indexer"]) -> Check:
    """Ready means: the folders of all instruments could be looked at."""

    async def problem() -> str:
        return "; ".join(running[0].troubles()) if running else ""

    return Check(INSTRUMENT_FOLDERS, problem)


def _check_first_look(running: Sequence["Indexer"]) -> Check:
    """Ready means too: what came while nobody looked was found."""

    async def problem() -> str:
        waiting = running[0].not_looked_at() if running else ["anything"]
        return f"not looked through yet: {', '.join(waiting)}" if waiting else ""

    return Check("first look", problem)


@asynccontextmanager
async def _work(context: ServiceContext, running: list["Indexer"]) -> AsyncIterator[Handler]:
    async with indexing(context, PublishedKinds.of(context.jetstream)) as indexer:
        running[:] = [indexer]
        yield indexer.handle
        running.clear()


@asynccontextmanager
async def indexing(
    context: ServiceContext, published: PublishedKinds, notes: CalendarNotes | None = None
) -> AsyncIterator["Indexer"]:
    """Run an indexer.

    Parameters
    ----------
    context
        What the service works with.
    published
        Which kinds of files the extractor in use reads.
    notes
        What waits for an operator; by default the broker's.
    """
    indexer = Indexer(context, published, notes or CalendarNotes.on(context.jetstream))
    await indexer.read_kinds()
    await indexer.catch_up()
    indexer.tasks += [
        asyncio.create_task(indexer.watch()),
        asyncio.create_task(indexer.follow_kinds()),
    ]
    try:
        yield indexer
    finally:
        await end(*indexer.tasks)
        indexer.close()


class Indexer:
    """The indexers of all instruments, by folder, and who is asked about a session.

    Parameters
    ----------
    context
        What the service works with.
    published
        Which kinds of files the extractor in use reads.
    notes
        What waits for an operator.
    """

    def __init__(
        self, context: ServiceContext, published: PublishedKinds, notes: CalendarNotes
    ) -> None:
        self._notes = notes
        self._published = published
        self._kinds = DEFAULT_KINDS
        self.tasks: list[asyncio.Task[None]] = []
        self._context = context
        self._settings = context.settings
        self._tracked = TrackedSessions(context.store)
        self._sessions = SessionRepository(context.store)
        self.instruments: dict[str, InstrumentIndexer] = {}
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._folder_names = FolderNames(context.people)
        self._catching_up = asyncio.Lock()
        self._is_new = True
        self._others = asyncio.Event()

    async def handle(self, batch: tuple[Recorded, ...]) -> None:
        """Look for the files of one session, and of those that its events concern.

        Raises
        ------
        RetryLater
            If the share is away. The broker keeps the wait, so it outlives this process.
        """
        events = [item.event for item in batch]
        if all(isinstance(one, ExtractionFailed) and one.failure != "changed" for one in events):
            return  # what is wrong with the file is nothing that a look would change
        await self.catch_up()
        session = batch[0].event.session
        tracked = self._tracked.by_token.get(session)
        if tracked is None or tracked.tree is None:
            return
        instrument = self._of(tracked.tree)
        if instrument is None:
            return
        instrument.mark([session])
        if not tracked.consent:
            return
        everything = any(isinstance(one, RetryRequested | ExtractionFailed) for one in events)
        try:
            await instrument.attend(session, batch[-1].envelope, everything=everything)
        except ShareUnavailableError as error:
            raise RetryLater(_SHARE_DELAY, str(error)) from error

    async def catch_up(self) -> None:
        """Bring the tracked sessions up to date, and tell the instruments concerned."""
        async with self._catching_up:
            changed = await self._tracked.catch_up()
            places = self._tracked.places()
            for folder in self.instruments.keys() - places:
                retiring = self._retire(folder, self.instruments.pop(folder))
                self.tasks.append(asyncio.create_task(retiring, context=Context()))
            for folder in places - self.instruments.keys():
                self._start(folder)
            if not self._is_new:
                for key, sessions in changed.items():
                    if instrument := self._of(key):
                        instrument.mark(sessions)
            self._is_new = False

    async def read_kinds(self) -> None:
        """Look for what the extractor in use reads, if that is something else than before."""
        kinds = await self._published.read()
        if kinds is not None and kinds != self._kinds:
            log.info("the extractor reads %s", ", ".join(sorted(kinds.endings)))
            self._kinds = kinds
            for folder, instrument in self.instruments.items():
                names = self._names()
                instrument.use(names, self._signature(folder, names))

    async def follow_kinds(self) -> None:
        """Ask now and then what the extractor in use reads."""
        while True:
            await asyncio.sleep(_KINDS_INTERVAL_S)
            try:
                await self.read_kinds()
            except BrokerUnavailableError as error:
                log.warning("%s", error)

    def troubles(self) -> list[str]:
        """Say which folders could not be looked at, and why."""
        return sorted(one.trouble for one in self.instruments.values() if one.trouble)

    def not_looked_at(self) -> list[str]:
        """Return the folders that were not looked through since the start."""
        return sorted(one.folder for one in self.instruments.values() if not one.has_looked)

    def notes(self) -> dict[str, str]:
        """Return what else an operator should know, by folder."""
        notes: dict[str, str] = {}
        for one in self.instruments.values():
            if one.manifests.warnings.clock:
                notes[one.folder] = one.manifests.warnings.clock
            notes |= {readable(place.path): place.reason for place in one.unreadable}
        return notes

    async def watch(self) -> None:
        """Have local disks tell of changes; start again when there is one more instrument."""
        while self._settings.file_watch == "auto":
            self._others.clear()
            root = self._settings.instrument_data_path
            folders = {
                folder: one.touch
                for folder, one in list(self.instruments.items())
                if await asyncio.to_thread(is_local, root / folder)
            }
            await watch(root, folders, self._others)

    def close(self) -> None:
        """Close the indexes."""
        for instrument in self.instruments.values():
            instrument.close()

    def _start(self, folder: str) -> None:
        instrument = self.instruments[folder] = self._make(folder)
        # it serves all sessions: it is not about the one that is handled at the moment
        looking = asyncio.create_task(instrument.run(), name=f"look {folder}", context=Context())
        self._looking[folder] = looking
        self.tasks.append(looking)
        self._others.set()

    async def _retire(self, folder: str, instrument: InstrumentIndexer) -> None:
        """Stop looking through a folder that has no sessions any more, or is in a wider one."""
        if looking := self._looking.pop(folder, None):
            await end(looking)
        await instrument.give_up()
        await asyncio.to_thread(instrument.close)

    def _of(self, key: TreeKey) -> InstrumentIndexer | None:
        """Return who looks through an instrument's folder, if anybody does."""
        return next((one for at, one in self.instruments.items() if is_within(key[1], at)), None)

    def _make(self, folder: str) -> InstrumentIndexer:
        settings, context = self._settings, self._context
        place, names = Place(settings, folder), self._names()
        index = self._index(folder, names)
        thread = ThreadPoolExecutor(1, thread_name_prefix=f"look {folder}")
        policy = ScanPolicy(
            settings.file_strategy,
            timedelta(days=settings.file_delay_days),
            timedelta(hours=settings.file_sweep_hours),
        )
        events = EventAccess(context.store, self._sessions, self.catch_up)
        return InstrumentIndexer(
            place,
            names=names,
            policy=policy,
            index=index,
            thread=thread,
            tracked=self._tracked,
            events=events,
            manifests=ManifestUpdater(
                place,
                policy=policy,
                index=index,
                thread=thread,
                tracked=self._tracked,
                events=events,
                folder_names=self._folder_names,
                warnings=Warnings(
                    place,
                    self._tracked,
                    index=index,
                    thread=thread,
                    letters=context.dead_letters,
                ),
                brake=RulesBrake(folder, self._notes, settings.harvest_brake),
            ),
        )

    def _names(self) -> Names:
        return Names(self._settings.file_strategy, self._settings.ignore_patterns, self._kinds)

    def _signature(self, folder: str, names: Names) -> str:
        return f"{self._settings.instrument_data_path} {folder} {names.signature}"

    def _index(self, folder: str, names: Names) -> FolderIndex:
        signature = self._signature(folder, names)
        try:
            state = make_state_folder(self._settings.state_path)
            home = make_folder(state / "index", "NX_STATE_PATH")
            return FolderIndex(home / f"{digest([folder])[:16]}.sqlite", signature)
        except (SettingsError, IndexInUseError, sqlite3.Error) as error:
            log.warning("%s: what is seen of the folders is kept in memory", error)
            return FolderIndex(":memory:", signature)
