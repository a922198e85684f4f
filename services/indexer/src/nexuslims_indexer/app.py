"""The indexer: when a session has ended, finds its files and states which they are."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from nexuslims_contracts.envelope import Recorded, envelop
from nexuslims_contracts.events import ReservationMatched, RetryRequested
from nexuslims_contracts.topology import INDEXER
from nexuslims_indexer.decide import Statement, Wait, Window, decide, quiet_time, window_of
from nexuslims_indexer.errors import ShareUnavailableError
from nexuslims_indexer.finder import Found, Search, find_files
from nexuslims_shared.consume import Handler, RetryLater, by_session
from nexuslims_shared.service import Mount, Service, ServiceContext
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.session.state import SessionState
from nexuslims_shared.session.status import ended
from nexuslims_shared.settings import Settings

log = logging.getLogger(__name__)

SOURCE: Final = "nexuslims/indexer"
_SHARE_DELAY: Final = timedelta(seconds=30)


def create(settings: Settings) -> Service:
    """Make the service."""
    return Service(
        name="indexer",
        work=_work,
        consumer=INDEXER,
        key=by_session,
        concurrency=4,
        backlog=100,
        mounts=[Mount(settings.instrument_data_path, "NX_INSTRUMENT_DATA_PATH")],
    )


@asynccontextmanager
async def _work(context: ServiceContext) -> AsyncIterator[Handler]:
    yield Indexer(context).handle


class Indexer:
    """Searches for files and states what it found."""

    def __init__(self, context: ServiceContext) -> None:
        self._store = context.store
        self._sessions = SessionRepository(context.store)
        self._settings = context.settings
        self._dead_letters = context.dead_letters

    async def handle(self, batch: tuple[Recorded, ...]) -> None:
        """Search for the files of one session.

        Raises
        ------
        NotYet
            If there are none yet, or the share is away. The broker keeps the wait, so it outlives
            this process.
        """
        session = batch[0].event.session
        state = await self._sessions.open(session, through=max(item.sequence for item in batch))
        schedule = ended(state)
        window = window_of(schedule) if schedule else None
        if window is None or not _is_wanted(state, batch):
            return
        if quiet := quiet_time(window, datetime.now(UTC)):
            raise RetryLater(quiet, "the session has just ended")
        found = await self._search(window)
        decision = decide(
            state,
            window,
            found,
            strategy=self._settings.file_strategy,
            now=datetime.now(UTC),
            delay=timedelta(days=self._settings.file_delay_days),
        )
        if isinstance(decision, Wait):
            raise RetryLater(decision.delay, f"no files yet, waiting until {decision.deadline}")
        await self._dead_letter(state.session, found)
        await self._state(decision, batch[-1])
        if not found.files and decision.session is None:
            log.warning("nothing is found any more: the files of the last scan stand")

    async def _search(self, window: Window) -> Found:
        search = Search(
            root=self._settings.instrument_data_path,
            folder=window.schedule.instrument.filestore,
            start=window.start,
            end=window.end,
            strategy=self._settings.file_strategy,
            ignore=self._settings.ignore_patterns,
        )
        try:
            found = await asyncio.to_thread(find_files, search)
        except ShareUnavailableError as error:
            raise RetryLater(_SHARE_DELAY, str(error)) from error
        for place in found.unreadable:
            log.warning("%s: %s: not searched, check its permissions", place.path, place.reason)
        return found

    async def _dead_letter(self, session: str, found: Found) -> None:
        """Files that no event can name are not lost without a word."""
        for path in found.unnameable:
            reason = f"{path}: the name is not Unicode: rename it, then `nexuslims retry {session}`"
            log.error("%s", reason)
            await self._dead_letters.write(INDEXER.name, 0, f"session {session}", reason)

    async def _state(self, statement: Statement, cause: Recorded) -> None:
        """Files first: a manifest is complete when it is stated."""
        await self._store.append_all(
            [envelop(event, source=SOURCE, cause=cause.envelope) for event in statement.files]
        )
        if statement.session is not None:
            await self._store.append(
                envelop(statement.session, source=SOURCE, cause=cause.envelope)
            )
            log.info("%d new files: %s", len(statement.files), statement.session.type_name())


def _is_wanted(state: SessionState, batch: tuple[Recorded, ...]) -> bool:
    """A message that comes again after its session was scanned needs no second search.

    A search answers what was said before it: the schedule, or a request to look again. The files
    of a user who did not consent to a record are nobody's business; later consent wakes us again.
    """
    if state.booking is None or not isinstance(state.booking.event, ReservationMatched):
        return False
    if state.scan is None or state.schedule is None:
        return True
    asked = [item.sequence for item in batch if isinstance(item.event, RetryRequested)]
    return state.scan.sequence < max([state.schedule.sequence, *asked])
