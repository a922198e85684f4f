"""Keeping the files of one instrument indexed: when to look, and at what."""

import asyncio
import logging
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import time_ns
from typing import Final

from nexuslims_contracts.envelope import Envelope
from nexuslims_contracts.paths import readable
from nexuslims_indexer.access import EventAccess, ScanPolicy
from nexuslims_indexer.errors import ShareUnavailableError
from nexuslims_indexer.index import FolderIndex
from nexuslims_indexer.manifest_updater import ManifestUpdater
from nexuslims_indexer.model import Growing, Look, Seen, Tree, Unreadable
from nexuslims_indexer.names import Names
from nexuslims_indexer.place import Place
from nexuslims_indexer.schedule import LONGEST, Occasion, next_look
from nexuslims_indexer.share import check_folder
from nexuslims_indexer.threads import in_thread
from nexuslims_indexer.tracked_sessions import TrackedSession, TrackedSessions
from nexuslims_indexer.walk import RECENT_NS, look, look_at
from nexuslims_shared.errors import BrokerUnavailableError

log = logging.getLogger(__name__)

LIVE: Final = timedelta(seconds=10)
"""How often folders are looked through while a session goes on."""
PROBE: Final = timedelta(seconds=5)
"""How often the instrument's folder itself is asked whether it is another one."""
_RETRY: Final = timedelta(seconds=30)
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_LONG_AGO: Final = datetime.fromtimestamp(0, UTC)


@dataclass(slots=True)
class _LookRequest:
    """What the next look is to do: all, some folders, or as the index says."""

    everything: bool = False
    folders: set[str] = field(default_factory=set)
    asked: bool = False


class InstrumentIndexer:
    """Looks through one folder and those below, and has it decided whose the files are.

    It is that of one instrument, or of several that share it.

    Parameters
    ----------
    place
        The folder, and what is set for its instruments.
    names, policy
        How its files are found.
    index, thread
        What was seen before, and the one thread in which folders and index are used.
    tracked
        The sessions.
    events
        The stream.
    manifests
        States what files the sessions have.
    """

    def __init__(
        self,
        place: Place,
        *,
        names: Names,
        policy: ScanPolicy,
        index: FolderIndex,
        thread: ThreadPoolExecutor,
        tracked: TrackedSessions,
        events: EventAccess,
        manifests: ManifestUpdater,
    ) -> None:
        self.has_looked = False
        self.trouble = ""
        self.unreadable: tuple[Unreadable, ...] = ()
        self.manifests = manifests
        self._place, self._names, self._policy = place, names, policy
        self._index, self._thread, self._tracked, self._events = index, thread, tracked, events
        self._news = asyncio.Condition()
        self._wake = asyncio.Event()
        self._other_names: tuple[Names, str] | None = None
        self._request = _LookRequest()
        self._asked = self._answered = self._looked_ns = 0
        self._failure: Exception | None = None
        self._last = self._compared = _LONG_AGO
        self._growing: dict[str, Growing] = {}
        self._top: tuple[int, ...] = ()
        self._is_first = False
        self._inner_trouble: list[Unreadable] = []

    @property
    def folder(self) -> str:
        """Where its files are."""
        return str(self.tree(datetime.now(UTC)).top)

    def tree(self, now: datetime) -> Tree:
        """Return how the folder is looked through at a time."""
        return self._place.tree(self._tracked.instruments_in(self._place.folder), now)

    def close(self) -> None:
        """Close the index, when nothing looks any more."""
        self._thread.shutdown()
        self._index.close()

    async def give_up(self) -> None:
        """Let all who wait for a look ask again: the folder is looked through with another one."""
        self._failure = ShareUnavailableError(
            f"{self.folder} is looked through with a wider folder"
        )
        async with self._news:
            self._answered = self._asked
            self._news.notify_all()

    # --- being asked ---

    async def attend(self, session: str, cause: Envelope, *, everything: bool = False) -> None:
        """Return when a look that began after the call is made, and decided upon.

        Parameters
        ----------
        session
            Whose files it is about.
        cause
            The event for which it is made.
        everything
            Whether to list all folders, whatever is known of them.

        Raises
        ------
        ShareUnavailableError
            If the instrument's folder is away.
        UndecodableError
            If an event of the session cannot be read.
        """
        self.manifests.causes[session] = cause
        self._request.everything |= everything
        await self.once()
        if self._failure is not None:
            raise self._failure
        if session in self.manifests.failed:
            raise self.manifests.failed[session]

    async def once(self) -> None:
        """Return when a look that began after the call is over, however it ended."""
        self._asked += 1
        ticket = self._asked
        self._request.asked = True
        self._wake.set()
        async with self._news:
            await self._news.wait_for(lambda: self._answered >= ticket)

    def use(self, names: Names, signature: str) -> None:
        """Look for other names from now on.

        Parameters
        ----------
        names
            Chooses the files.
        signature
            Of the rules, for the index.
        """
        self._other_names = (names, signature)
        self._request.asked = True
        self._wake.set()

    def mark(self, sessions: Iterable[str]) -> None:
        """Decide again about sessions, and those near them."""
        self.manifests.mark(sessions)
        self._request.asked = True
        self._wake.set()

    def touch(self, folders: Iterable[str]) -> None:
        """Look at folders in which something changed."""
        self._request.folders |= set(folders)
        self._wake.set()

    # --- looking ---

    async def run(self) -> None:
        """Look, whenever it is time to, without end."""
        while True:
            await self._rest()
            self._wake.clear()
            request, self._request = self._request, _LookRequest()
            ticket = self._asked
            self._failure = await self._attempt(request)
            if self._failure is not None:
                self._last = datetime.now(UTC)
                self._request.everything |= request.everything
                self._request.folders |= request.folders
            self.has_looked = True
            async with self._news:
                self._answered = ticket
                self._news.notify_all()

    async def _attempt(self, request: _LookRequest) -> Exception | None:
        """Look and decide; what goes wrong is for those who asked, and is tried again."""
        try:
            await self._look_through(request)
            await self._decide()
        except ShareUnavailableError as error:
            if self.trouble != str(error):
                log.warning("%s", error)
            self.trouble = str(error)
            return error
        except BrokerUnavailableError as error:
            log.warning("%s", error)
            return error
        except Exception as error:
            log.exception("%s: the look failed", self.folder)
            return error
        return None

    async def _decide(self) -> None:
        """Have it decided what was found; about all sessions, if the rules are others."""
        rules = self._place.claims_of(self._tracked.instruments_in(self._place.folder))
        known, held = await in_thread(self._thread, self._index.claims)
        brake, is_other = self.manifests.brake, rules not in ("", known)
        if is_other and held == rules and not await brake.is_approved():
            is_other = False  # it waits
        is_first = self._is_first or is_other
        seen = Seen(
            self._growing, self.unreadable, is_first, has_other_rules=is_other and known != ""
        )
        await self.manifests.update(seen)
        self._is_first = False
        if is_other and brake.is_on:
            await in_thread(self._thread, self._index.put_claims, known, rules)
        elif is_other or (held and known == rules):
            if held:
                await brake.release()
            await in_thread(self._thread, self._index.put_claims, rules)

    async def _look_through(self, request: _LookRequest) -> None:
        now = datetime.now(UTC)
        await self._events.catch_up()
        if self._other_names is not None:
            (self._names, signature), self._other_names = self._other_names, None
            await in_thread(self._thread, self._index.adopt, signature)
        if request.asked or request.everything or now >= self._due(now):
            found = await self._look_everywhere(now, everything=request.everything)
        else:
            self._looked_ns = time_ns()
            folders = request.folders | self._parents_of_resting(self._looked_ns)
            found = await self._in_thread_look_at(folders)
        trouble = "; ".join(place.reason for place in self._inner_trouble)
        if self.trouble and not trouble:
            log.info("%s is there again", self.folder)
        self.trouble = trouble
        self._growing = found.growing
        self._is_first |= found.is_first

    async def _in_thread_look_at(self, folders: set[str]) -> Look:
        return await in_thread(
            self._thread,
            look_at,
            self.tree(datetime.now(UTC)),
            self._index,
            self._names,
            self._looked_ns,
            folders,
        )

    async def _look_everywhere(self, now: datetime, *, everything: bool) -> Look:
        swept = await in_thread(self._thread, self._index.swept_ns)
        sweep = self._policy.sweep // timedelta(microseconds=1) * 1000
        self._last = now
        self._top = await in_thread(self._thread, _stamp, self.folder)
        tracked = list(self._tracked.of(self._place.folder))
        is_wide = now - self._compared >= LONGEST
        recent_ns = _recent_ns(tracked, now, self._policy.delay if is_wide else LONGEST)
        self._looked_ns = time_ns()
        found = await in_thread(
            self._thread,
            look,
            self.tree(now),
            self._index,
            self._names,
            self._looked_ns,
            everything=everything or self._looked_ns - swept >= sweep,
            recent_ns=recent_ns,
            had_files=any(one.has_files for one in tracked),
        )
        if is_wide:
            self._compared = now
        self._inner_trouble = await in_thread(self._thread, self._check_inner, tracked)
        unreadable = (*found.unreadable, *self._inner_trouble)
        for place in unreadable:
            if place not in self.unreadable:
                log.warning("%s: %s: not looked at", readable(place.path), place.reason)
        self.unreadable = unreadable
        return found

    def _check_inner(self, tracked: Iterable[TrackedSession]) -> list[Unreadable]:
        """Return the folders of instruments within this one's that are away."""
        with_files = {one.tree for one in tracked if one.has_files}
        away = []
        for key in self._tracked.instruments_in(self._place.folder):
            try:
                check_folder(self._place.root / key[1], had_files=key in with_files)
            except ShareUnavailableError as error:
                away.append(Unreadable(key[1], str(error)))
        return away

    # --- waiting ---

    async def _rest(self) -> None:
        """Wait until it is time to look, somebody asks, or the folder is another one."""
        while not self._wake.is_set():
            now = datetime.now(UTC)
            due = min(self._due(now), self._due_growing())
            if due <= now:
                return
            try:
                async with asyncio.timeout(min(due - now, PROBE).total_seconds()):
                    await self._wake.wait()
            except TimeoutError:
                if await in_thread(self._thread, _stamp, self.folder) != self._top:
                    self._request.asked = True
                    return

    def _due(self, now: datetime) -> datetime:
        if self._failure is not None:
            return self._last + _RETRY
        occasions = [
            Occasion(one.end, one.is_decided(now))
            for one in self._tracked.unsettled(
                self._place.folder, now=now, looked=self._last, delay=self._policy.delay
            )
        ]
        due = next_look(occasions, self._last, self._policy.delay, LIVE)
        sweep = self._last + (_RETRY if self._inner_trouble else self._policy.sweep)
        return min(due, sweep) if due is not None else sweep

    def _due_growing(self) -> datetime:
        """When a file that grew may be at rest."""
        settle = self._settle_ns()
        resting = [one.seen_ns + settle for one in self._growing.values()]
        # what was to be at rest at the last look, and is not, could not be looked at then
        resting = [moment for moment in resting if moment >= self._looked_ns]
        if not resting or self._failure is not None:
            return _NEVER
        due = datetime.fromtimestamp(min(resting) / 10**9, UTC)
        return due + timedelta(milliseconds=50)

    def _settle_ns(self) -> int:
        return self.tree(datetime.now(UTC)).settle_ns

    def _parents_of_resting(self, now_ns: int) -> set[str]:
        """Folders of files that may have come to rest by now."""
        settled = now_ns - self._settle_ns()
        return {
            path.rpartition("/")[0] for path, one in self._growing.items() if one.seen_ns <= settled
        }


def _recent_ns(tracked: Iterable[TrackedSession], now: datetime, lately: timedelta) -> int:
    """Since when files may have been rewritten in place without anybody's knowing.

    Parameters
    ----------
    tracked
        Sessions.
    now
        The time.
    lately
        How long ago a session may have ended, for its files to count.
    """
    starts = [
        one.start
        for one in tracked
        if one.start is not None
        and now - one.start < timedelta(days=1) + lately
        and (one.end is None or one.end > now - lately)
    ]
    recent = min([*starts, now]) - timedelta(microseconds=RECENT_NS // 1000)
    return int(recent.timestamp() * 10**6) * 1000


def _stamp(path: str) -> tuple[int, ...]:
    """Return what tells a folder from another one, and from an earlier state of it."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_mtime_ns
