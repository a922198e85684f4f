"""Doing something slowly to one record after the other, each once in an interval.

A destination is asked little at a time that way. How far that came is kept in the records folder:
it survives a restart, and all uploaders see it. One of them does it at a time.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from nexuslims_contracts.errors import UndecodableError, UnreadableRecordError
from nexuslims_shared.artifacts import write_artifact
from nexuslims_shared.context import ServiceContext
from nexuslims_shared.errors import ArtifactError, DiskError, LeaseError, LeaseHeldError, StoreError
from nexuslims_shared.leases import Leases
from nexuslims_shared.logs import about
from nexuslims_uploader.verify import sessions_with_uploads

log = logging.getLogger(__name__)

_AGAIN_S: Final = 60.0
_NOTHING_S: Final = 600.0


class _Gauge(Protocol):
    def set(self, value: float) -> None: ...


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


class Rounds:
    """Goes through all records, again and again.

    Parameters
    ----------
    context
        The event store, and the settings.
    name
        Of what is done, as in ``look-for-additions``: of its lease and of the file that keeps how
        far it came.
    hours
        In which each record has its turn.
    work
        Takes the token of a session.
    gauge
        Gets the time when that was done last.
    now
        The time.
    """

    def __init__(
        self,
        context: ServiceContext,
        name: str,
        hours: float,
        *,
        work: Callable[[str], Awaitable[None]],
        gauge: _Gauge,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = context.store
        self._records = context.settings.records
        self._file = position_file(name)
        self._interval = timedelta(hours=hours)
        self._work = work
        self._gauge = gauge
        self._now = now
        self._left: deque[str] = deque()
        self._pause = timedelta()
        self._session = ""
        self._at: datetime | None = None

    async def step(self) -> float:
        """Take the next record, if it is time; return in how many seconds to come again.

        Raises
        ------
        StoreError, LeaseError
            If the broker does not answer; the same record is next then.
        """
        if not self._left:
            await self._begin_round()
        if not self._left:
            self._gauge.set(self._now().timestamp())
            return _NOTHING_S
        wait = (self._at + self._pause - self._now()).total_seconds() if self._at else 0.0
        if wait > 0:
            return wait
        session = self._left[0]
        with about(session):
            await self._do(session)
        self._left.popleft()
        await self._note(session)
        return self._pause.total_seconds()

    async def _begin_round(self) -> None:
        """List the records, and find how far an earlier process came."""
        every = await sessions_with_uploads(self._store)
        if self._at is None:
            path = self._records / self._file
            self._session, self._at = await asyncio.to_thread(read_position, path)
            self._gauge.set(self._at.timestamp() if self._at else 0)
            if self._session in every[:-1]:
                self._left.extend(every[every.index(self._session) + 1 :])
        if not self._left:
            self._left.extend(every)
        self._pause = self._interval / max(len(every), 1)

    async def _do(self, session: str) -> None:
        try:
            await self._work(session)
        except LeaseHeldError:
            log.debug("it is being uploaded: its turn comes in the next round")
        except (ArtifactError, UndecodableError, UnreadableRecordError) as error:
            log.warning("its turn comes in the next round: %s", error)

    async def _note(self, session: str) -> None:
        self._session, self._at = session, self._now()
        self._gauge.set(self._at.timestamp())
        content = json.dumps({"session": session, "at": self._at.isoformat()}).encode()
        try:
            await asyncio.to_thread(write_artifact, self._records, self._file, content)
        except DiskError as error:
            log.warning("after a restart, records have their turn again: %s", error)


def position_file(name: str) -> str:
    """Return the name of the file that keeps how far something came."""
    return f".{name}.json"


def read_position(path: Path) -> tuple[str, datetime | None]:
    """Return which session had its turn last, and when; nothing if none had.

    Parameters
    ----------
    path
        Of the file that keeps it.
    """
    try:
        kept = json.loads(path.read_bytes())
        return str(kept["session"]), datetime.fromisoformat(kept["at"])
    except FileNotFoundError:
        return "", None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("records have their turn from the first one on: %s: %s", path, error)
        return "", None


async def go_through(name: str, begin: Callable[[], Rounds], leases: Leases) -> None:
    """Go through all records for as long as the service runs, if no other uploader does.

    Parameters
    ----------
    name
        Of what is done, for its lease.
    begin
        Begins to go through them.
    leases
        Where the one uploader that does it says so.
    """
    while True:
        try:
            async with leases.hold(name):
                rounds = begin()
                while True:
                    pause = await rounds.step()
                    await asyncio.sleep(pause)
        except LeaseHeldError:
            log.debug("another uploader does %s", name)
        except (LeaseError, StoreError) as error:
            log.warning("%s goes on later: %s", name, error)
        await asyncio.sleep(_AGAIN_S)
