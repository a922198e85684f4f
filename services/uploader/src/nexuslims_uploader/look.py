"""A slow look at what people added to records that nobody updates.

Each record is looked at once in an interval, one after the other, so that a destination is asked
little at a time. How far that came is kept in the records folder: it survives a restart, and all
uploaders see it. One of them looks at a time.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from nexuslims_contracts.errors import UndecodableError, UnreadableRecordError
from nexuslims_shared.artifacts import write_artifact
from nexuslims_shared.context import ServiceContext
from nexuslims_shared.errors import ArtifactError, DiskError, LeaseError, LeaseHeldError, StoreError
from nexuslims_shared.leases import Leases
from nexuslims_shared.logs import about
from nexuslims_shared.telemetry.metrics import CURATION_LOOKED
from nexuslims_uploader.uploader import Uploader
from nexuslims_uploader.verify import sessions_with_uploads

log = logging.getLogger(__name__)

LEASE: Final = "look-for-additions"
POSITION: Final = ".look-for-additions.json"
_AGAIN_S: Final = 60.0
_NOTHING_S: Final = 600.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


class AdditionsLook:
    """Looks at one record after the other.

    Parameters
    ----------
    context
        The event store, and the settings.
    uploader
        Reads back, and states what is new.
    now
        The time.
    """

    def __init__(
        self,
        context: ServiceContext,
        uploader: Uploader,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._store = context.store
        self._records = context.settings.records
        self._interval = timedelta(hours=context.settings.curation_look_hours)
        self._uploader = uploader
        self._now = now
        self._left: deque[str] = deque()
        self._pause = timedelta()
        self._session = ""
        self._at: datetime | None = None

    async def step(self) -> float:
        """Look at the next record, if it is time; return in how many seconds to come again.

        Raises
        ------
        StoreError, LeaseError
            If the broker does not answer; the same record is next then.
        """
        if not self._left:
            await self._begin_round()
        if not self._left:
            CURATION_LOOKED.set(self._now().timestamp())
            return _NOTHING_S
        wait = (self._at + self._pause - self._now()).total_seconds() if self._at else 0.0
        if wait > 0:
            return wait
        session = self._left[0]
        with about(session):
            await self._read_back(session)
        self._left.popleft()
        await self._note(session)
        return self._pause.total_seconds()

    async def _begin_round(self) -> None:
        """List the records, and find how far an earlier process came."""
        every = await sessions_with_uploads(self._store)
        if self._at is None:
            self._session, self._at = await asyncio.to_thread(read_position, self._records)
            CURATION_LOOKED.set(self._at.timestamp() if self._at else 0)
            if self._session in every[:-1]:
                self._left.extend(every[every.index(self._session) + 1 :])
        if not self._left:
            self._left.extend(every)
        self._pause = self._interval / max(len(every), 1)

    async def _read_back(self, session: str) -> None:
        try:
            await self._uploader.read_back(session)
        except LeaseHeldError:
            log.debug("it is being uploaded: what people added is read back with that")
        except (ArtifactError, UndecodableError, UnreadableRecordError) as error:
            log.warning("what people added was not looked for: %s", error)

    async def _note(self, session: str) -> None:
        self._session, self._at = session, self._now()
        CURATION_LOOKED.set(self._at.timestamp())
        content = json.dumps({"session": session, "at": self._at.isoformat()}).encode()
        try:
            await asyncio.to_thread(write_artifact, self._records, POSITION, content)
        except DiskError as error:
            log.warning("after a restart, records are looked at again: %s", error)


def read_position(records: Path) -> tuple[str, datetime | None]:
    """Return which session was looked at last, and when; nothing if none was.

    Parameters
    ----------
    records
        The records folder.
    """
    try:
        kept = json.loads((records / POSITION).read_bytes())
        return str(kept["session"]), datetime.fromisoformat(kept["at"])
    except FileNotFoundError:
        return "", None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("records are looked at from the first one on: %s: %s", POSITION, error)
        return "", None


async def keep_looking(context: ServiceContext, uploader: Uploader, leases: Leases) -> None:
    """Look for what people added, for as long as the service runs.

    Parameters
    ----------
    context
        The uploader's.
    uploader
        Reads back, and states what is new.
    leases
        Where the one uploader that does it says so.
    """
    if not context.settings.curation_look_hours:
        return
    while True:
        try:
            async with leases.hold(LEASE):
                look = AdditionsLook(context, uploader)
                while True:
                    pause = await look.step()
                    await asyncio.sleep(pause)
        except LeaseHeldError:
            log.debug("another uploader looks for what people added")
        except (LeaseError, StoreError) as error:
            log.warning("what people added is looked for later: %s", error)
        await asyncio.sleep(_AGAIN_S)
