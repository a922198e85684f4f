"""What an operator must know of an instrument: wrong clocks, times to come, empty folders."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from time import time_ns
from typing import Final

from nexuslims_contracts.paths import readable
from nexuslims_indexer.claims import Booked, Sessions
from nexuslims_indexer.clock import Offset, detect_offset, from_the_future
from nexuslims_indexer.index import FolderIndex
from nexuslims_indexer.model import FoundFile
from nexuslims_indexer.threads import in_thread
from nexuslims_indexer.tracked_sessions import TreeKey
from nexuslims_shared.dead_letters import DeadLetters

log = logging.getLogger(__name__)

_MARGIN_NS: Final = 14 * 3600 * 10**9
_MOST_FILES: Final = 10_000


class Warnings:
    """Warnings about one instrument, each reported once.

    Parameters
    ----------
    key
        The instrument, and its folder.
    index, thread
        What was seen, and the one thread in which the index is used.
    letters
        Where an operator reads them.
    offset_ns
        How far the clock is known to be ahead, nanoseconds.
    """

    def __init__(
        self,
        key: TreeKey,
        *,
        index: FolderIndex,
        thread: ThreadPoolExecutor,
        letters: DeadLetters,
        offset_ns: int,
    ) -> None:
        self.clock = ""
        self._key, self._index, self._thread, self._letters = key, index, thread, letters
        self._offset_ns = offset_ns
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
        low = min(one.start_ns for one in batch) + self._offset_ns - _MARGIN_NS
        high = min(max(one.end_ns for one in batch), time_ns()) + self._offset_ns + _MARGIN_NS
        offset = await in_thread(self._thread, self._detect, sessions, low, high)
        self.clock = ""
        if offset is not None:
            self.clock = (
                f"the clock that dates the files of {self._key[0]} seems to be"
                f" {abs(offset.seconds)} s {'ahead' if offset.seconds > 0 else 'behind'}:"
                f" {offset.misplaced} of {offset.files} files are in no session, or in another"
                f" user's; set clock_offset = {offset.seconds} in instruments.toml"
            )
            await self._report(self.clock)

    def _detect(self, sessions: Sessions, low: int, high: int) -> Offset | None:
        return detect_offset(list(islice(self._index.files(low, high), _MOST_FILES)), sessions)

    async def notes(self, now_ns: int, *, has_files: bool) -> tuple[str, ...]:
        """Return what is to be said with a session's files.

        Parameters
        ----------
        now_ns
            The time, nanoseconds since the epoch.
        has_files
            Whether any were found; if not, why that may be.
        """
        notes = [self.clock] if self.clock else []
        if has_files:
            return tuple(notes)
        later = await in_thread(self._thread, self._index.later_than, now_ns)
        future = from_the_future(later, now_ns, self._offset_ns)
        if future:
            many = f"{len(future)} files have times" if len(future) > 1 else "1 file has a time"
            notes.append(
                f"{many} in the future, such as {readable(future[0].path)} ({_day(future[0])}):"
                f" is the clock right? If not, set clock_offset of {self._key[0]} in"
                " instruments.toml"
            )
            await self._report(notes[-1])
        if not await in_thread(self._thread, self._index.count):
            notes.append(f"no file at all is in {self._key[1]}: is the share mounted?")
        return tuple(notes)

    async def _report(self, warning: str) -> None:
        if warning not in self._reported:
            self._reported.add(warning)
            log.warning("%s", warning)
            subject = f"instrument {self._key[0]}"
            await self._letters.write_once("indexer", 0, subject, warning)


def _day(file: FoundFile) -> str:
    return datetime.fromtimestamp(file.mtime_ns / 10**9, UTC).strftime("%Y-%m-%d")
