"""What an operator must know of an instrument: wrong clocks, times to come, empty folders."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from time import time_ns
from typing import Final

from nexuslims_contracts.paths import readable
from nexuslims_contracts.text import counted
from nexuslims_indexer.claims import Booked, Sessions
from nexuslims_indexer.clock import Offset, detect_offset, from_the_future
from nexuslims_indexer.decide import Window
from nexuslims_indexer.index import FolderIndex
from nexuslims_indexer.model import FoundFile
from nexuslims_indexer.place import Place, nanoseconds
from nexuslims_indexer.strays import strays, those_that_came
from nexuslims_indexer.threads import in_thread
from nexuslims_indexer.tracked_sessions import TrackedSessions, TreeKey
from nexuslims_shared.dead_letters import DeadLetters

log = logging.getLogger(__name__)

_MARGIN_NS: Final = 26 * 3600 * 10**9
"""Before and after sessions, files are looked at that a wrong clock may have put there."""
_MOST_FILES: Final = 10_000
_FUTURE: Final = "files of the future"


class Warnings:
    """Warnings about one instrument, each reported once.

    Parameters
    ----------
    place
        The folder, and what is set for its instruments.
    tracked
        The sessions, and so the instruments of the folder.
    index, thread
        What was seen, and the one thread in which the index is used.
    letters
        Where an operator reads them.
    """

    def __init__(
        self,
        place: Place,
        tracked: TrackedSessions,
        *,
        index: FolderIndex,
        thread: ThreadPoolExecutor,
        letters: DeadLetters,
    ) -> None:
        self.clock = ""
        self._future: list[FoundFile] = []
        self._place, self._tracked = place, tracked
        self._index, self._thread, self._letters = index, thread, letters
        self._reported: set[str] = set()

    async def check_clock(self, sessions: Sessions, batch: Sequence[Booked]) -> None:
        """Say so if the clock that dates the files seems to be wrong.

        Parameters
        ----------
        sessions
            All of the instrument.
        batch
            Those near which the files are looked at.
        """
        known = {self._ahead_ns(key, batch[0]) for key in self._instruments()}
        self.clock = ""
        if len(known) != 1:
            return  # clocks that differ date files of one folder
        low = min(one.start_ns for one in batch) - _MARGIN_NS
        high = min(max(one.end_ns for one in batch), time_ns()) + _MARGIN_NS
        offset = await in_thread(self._thread, self._detect, sessions, low, high, known.pop())
        if offset is not None:
            self.clock = (
                f"the clock that dates the files of {self._pids()} seems to be"
                f" {abs(offset.seconds)} s {'ahead' if offset.seconds > 0 else 'behind'} on"
                f" {_day(batch[0].start_ns)}:"
                f" {offset.misplaced} of {offset.files} files are in no session, or in another"
                f" user's; set clock_offset = {offset.seconds} in instruments.toml, or"
                " clock_timezone if it is so for a part of the year"
            )
            await self._report(self.clock)

    async def check_times(self, now: datetime) -> None:
        """Say so if files have times that cannot be, whoever else has files.

        Parameters
        ----------
        now
            The time.
        """
        clocks = [self._place.rules(key).clock for key in self._instruments()]
        ahead = max((clock.ahead_ns(now) for clock in clocks), default=0)
        later = await in_thread(self._thread, self._index.later_than, nanoseconds(now))
        self._future = from_the_future(later, nanoseconds(now), ahead)
        if self._future and _FUTURE not in self._reported:
            self._reported.add(_FUTURE)
            await self._report(f"files have times in the future, {self._remedy(self._future)}")

    def _remedy(self, future: Sequence[FoundFile]) -> str:
        return (
            f"such as {_example(future)}: is the clock right? If not, set clock_offset of"
            f" {self._pids()} in instruments.toml"
        )

    def _detect(self, sessions: Sessions, low: int, high: int, known_ns: int) -> Offset | None:
        files = list(islice(self._index.files(low, high), _MOST_FILES))
        return detect_offset(files, sessions, known_ns)

    def _ahead_ns(self, key: TreeKey, near: Booked) -> int:
        """How far an instrument's clock is known to be ahead at about the time of a session."""
        moment = datetime.fromtimestamp(near.start_ns // 10**9, UTC)
        return self._place.rules(key).clock.ahead_ns(moment)

    def _instruments(self) -> list[TreeKey]:
        return self._tracked.instruments_in(self._place.folder)

    def _pids(self) -> str:
        return ", ".join(sorted({pid for pid, _ in self._instruments()}))

    async def notes(
        self, sessions: Sessions, window: Window, now: datetime, *, has_files: bool
    ) -> tuple[str, ...]:
        """Return what is to be said with a session's files.

        Parameters
        ----------
        sessions
            All of the folder.
        window
            When the session was.
        now
            The time.
        has_files
            Whether any were found; if not, why that may be.
        """
        notes = [self.clock] if self.clock else []
        if future := await self._from_the_future(window, now, has_files=has_files):
            times = _many(future, "has a time", "have times")
            notes.append(f"{times} in the future, {self._remedy(future)}")
        if has_files:
            return tuple(notes)
        if not future and (strange := await self._misdated(sessions, window, now)):
            notes.append(strange)
            await self._report(strange)
        if not await in_thread(self._thread, self._index.count):
            notes.append(f"no file at all is in {self._place.folder}: is the share mounted?")
        return tuple(notes)

    async def _from_the_future(
        self, window: Window, now: datetime, *, has_files: bool
    ) -> list[FoundFile]:
        """Return the files of the future that may be a session's: which came in its time."""
        if not has_files or not self._future:
            return self._future
        return await in_thread(
            self._thread,
            those_that_came,
            self._place.root,
            self._future,
            nanoseconds(window.start),
            nanoseconds(window.end or now),
        )

    async def _misdated(self, sessions: Sessions, window: Window, now: datetime) -> str:
        """Say which files came in a session's time with times that no session has."""
        arrived = await in_thread(
            self._thread,
            strays,
            self._index,
            self._place.root,
            sessions,
            nanoseconds(window.start),
            nanoseconds(window.end or now),
        )
        if not arrived:
            return ""
        return (
            f"{_many(arrived, 'came', 'came')} in its time but with a time of no session, such as"
            f" {_example(arrived)}: is the clock of {self._pids()} right, and its battery? Correct"
            " it, and the times of these files"
        )

    async def _report(self, warning: str) -> None:
        if warning not in self._reported:
            self._reported.add(warning)
            log.warning("%s", warning)
            subject = f"instrument {self._pids()}"
            await self._letters.write_once("indexer", 0, subject, warning)


def _many(files: Sequence[FoundFile], one: str, several: str) -> str:
    return counted(len(files), f"file {one}", f"files {several}")


def _example(files: Sequence[FoundFile]) -> str:
    return f"{readable(files[0].path)} ({_day(files[0].mtime_ns)})"


def _day(moment_ns: int) -> str:
    return datetime.fromtimestamp(moment_ns / 10**9, UTC).strftime("%Y-%m-%d")
