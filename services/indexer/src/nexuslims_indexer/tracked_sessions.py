"""The sessions of each instrument as the calendars state them now, followed in the stream."""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.events import (
    ConsentDeclined,
    FilesAwaited,
    FilesNotFound,
    Instrument,
    ReservationMatched,
    ReservationMissing,
    RetryRequested,
    SessionCancelled,
    SessionEnded,
    SessionIndexed,
    SessionRevised,
    SessionStarted,
)
from nexuslims_indexer.model import is_within
from nexuslims_shared.store.port import EventStore, Unreadable
from nexuslims_shared.store.positions import START, Positions

log = logging.getLogger(__name__)

FILTERS: Final = tuple(
    kind.filter()
    for kind in (
        *(SessionStarted, SessionEnded, SessionRevised, SessionCancelled),
        *(ReservationMatched, ConsentDeclined, ReservationMissing),
        *(SessionIndexed, FilesAwaited, FilesNotFound, RetryRequested),
    )
)

_ABANDONED: Final = timedelta(days=3)
"""A session that never ended is waited for no longer than that."""

TreeKey = tuple[str, str]
"""Persistent identifier of an instrument, and its folder."""


@dataclass(slots=True)
class TrackedSession:
    """A session, as far as its files are concerned.

    Each part was stated at a sequence of the stream, and a later statement replaces it.
    """

    session: str
    calendar_event: str = ""
    user: str | None = None
    instrument: Instrument | None = None
    start: datetime | None = None
    end: datetime | None = None
    is_cancelled: bool = False
    consent: bool | None = None
    awaits: datetime | None = None
    """Until when files are awaited of which none was found."""
    has_files: bool = False
    files_digest: str = ""
    """Of the files it has, if none is missing."""
    scheduled: int = 0
    booked: int = 0
    scanned: int = 0
    asked: int = 0
    decided: int = 0
    """Up to which of these sequences it was decided here, though there was nothing to state."""

    @property
    def tree(self) -> TreeKey | None:
        """Where its files are; None for a session that was cancelled."""
        if self.instrument is None or self.is_cancelled:
            return None
        return self.instrument.pid, self.instrument.filestore

    def is_decided(self, now: datetime) -> bool:
        """Tell whether what was found was stated, after all that was asked."""
        if self.awaits is not None and now >= self.awaits:
            return False
        latest = max(self.scheduled, self.asked)
        return self.end is not None and (self.scanned > latest or self.decided >= latest)

    def is_abandoned(self, now: datetime) -> bool:
        """Tell whether a session began long ago and never ended."""
        return self.end is None and self.start is not None and now - self.start > _ABANDONED

    def is_settled(self, now: datetime, looked: datetime, delay: timedelta) -> bool:
        """Tell whether no more looks are made for the session, unless an event says more of it.

        Parameters
        ----------
        now
            The time.
        looked
            When the instrument's folders were looked through last.
        delay
            How long after its end files of a session are looked for often.
        """
        if not self.consent or self.start is None or self.is_abandoned(now):
            return True
        if self.end is None or self.awaits is not None:
            return False
        return self.end + delay <= looked and self.is_decided(now)

    def take(self, recorded: Recorded) -> bool:
        """Take an event; return whether it may change whose files are whose."""
        sequence = recorded.sequence
        match recorded.event:
            case SessionStarted() as event:
                self.calendar_event = event.calendar_event
                return self._schedule(sequence, event)
            case SessionEnded() | SessionRevised() | SessionCancelled() as event:
                return self._schedule(sequence, event)
            case ReservationMatched() | ConsentDeclined() | ReservationMissing() as event:
                if sequence > self.booked:
                    self.booked = sequence
                    self.consent = _consent(event)
                    return True
            case SessionIndexed() | FilesAwaited() | FilesNotFound() as event:
                if sequence > self.scanned:
                    self.scanned = sequence
                    self.awaits = event.until if isinstance(event, FilesAwaited) else None
                    self.has_files = isinstance(event, SessionIndexed)
                    self.files_digest = _digest(event)
            case RetryRequested():
                self.asked = max(self.asked, sequence)
            case _:
                pass
        return False

    def _schedule(
        self,
        sequence: int,
        event: SessionStarted | SessionEnded | SessionRevised | SessionCancelled,
    ) -> bool:
        if sequence <= self.scheduled:
            return False
        self.scheduled = sequence
        self.is_cancelled = isinstance(event, SessionCancelled)
        if not isinstance(event, SessionCancelled):
            self.instrument, self.user, self.start = event.instrument, event.user, event.start
            self.end = None if isinstance(event, SessionStarted) else event.end
        return True


def _digest(event: SessionIndexed | FilesAwaited | FilesNotFound) -> str:
    if not isinstance(event, SessionIndexed) or event.missing:
        return ""
    return event.files_digest


def _consent(event: ReservationMatched | ConsentDeclined | ReservationMissing) -> bool | None:
    """Whether a record may be made; None if nobody knows."""
    if isinstance(event, ReservationMissing):
        return None
    return isinstance(event, ReservationMatched)


@dataclass(slots=True)
class TrackedSessions:
    """All sessions, by instrument.

    Parameters
    ----------
    store
        The stream of events.
    """

    store: EventStore
    by_token: dict[str, TrackedSession] = field(default_factory=dict)
    by_instrument: dict[TreeKey, set[str]] = field(default_factory=dict)
    _unsettled: dict[TreeKey, set[str]] = field(default_factory=dict)
    _through: Positions = START
    """How far each period was read: where a replica of the broker is behind, what it does not have
    yet is read the next time."""
    _seen: Positions = START
    """Where the periods ended when they were read: nothing is new while they stay."""

    async def catch_up(self) -> dict[TreeKey, set[str]]:
        """Take what is new in the stream.

        Returns
        -------
        dict
            Sessions of which something changed that decides whose files are whose, by tree: the
            one they are at now, and the one they were at before.
        """
        ends = await self.store.positions()
        if self._seen.beyond(ends):
            log.warning("the log is another one: its sessions are read anew")
            self.by_token.clear()
            self.by_instrument.clear()
            self._unsettled.clear()
            self._through = self._seen = START
        changed: dict[TreeKey, set[str]] = {}
        if self._seen.reach(ends):
            return changed
        async for item in self.store.read(filters=FILTERS, after=self._through):
            self._through = self._through.including(item.sequence)
            if isinstance(item, Unreadable):
                continue  # the session that it is about cannot be decided either
            self._take(item, changed)
        self._seen = ends
        return changed

    def places(self) -> set[str]:
        """Return the folders to look through: those that are within no other instrument's."""
        folders = {folder for _, folder in self.by_instrument}
        return {
            one
            for one in folders
            if not any(is_within(one, other) for other in folders if other != one)
        }

    def instruments_in(self, place: str) -> list[TreeKey]:
        """Return the instruments whose folder is a place, or is within it."""
        return sorted(key for key in self.by_instrument if is_within(key[1], place))

    def of(self, place: str) -> list[TrackedSession]:
        """Return the sessions of the instruments of a place."""
        return [
            self.by_token[session]
            for key in self.instruments_in(place)
            for session in self.by_instrument[key]
        ]

    def unsettled(
        self, place: str, *, now: datetime, looked: datetime, delay: timedelta
    ) -> list[TrackedSession]:
        """Return the sessions of a place that looks are made for: few of all it ever had.

        Parameters
        ----------
        place
            A folder that is looked through.
        now, looked, delay
            As :meth:`TrackedSession.is_settled` takes them.
        """
        unsettled: list[TrackedSession] = []
        for key in self.instruments_in(place):
            tracked = [self.by_token[session] for session in self._unsettled[key]]
            left = [one for one in tracked if not one.is_settled(now, looked, delay)]
            if len(left) < len(tracked):
                self._unsettled[key] = {one.session for one in left}
            unsettled += left
        return unsettled

    def _take(self, recorded: Recorded, changed: dict[TreeKey, set[str]]) -> None:
        session = recorded.event.session
        tracked = self.by_token.setdefault(session, TrackedSession(session))
        before = tracked.tree
        matters = tracked.take(recorded)
        now = tracked.tree
        if before != now:
            if before is not None:
                self._leave(before, session)
            if now is not None:
                self.by_instrument.setdefault(now, set()).add(session)
        if now is not None:
            self._unsettled.setdefault(now, set()).add(session)
        for tree in {before, now} if matters else ():
            if tree is not None:
                changed.setdefault(tree, set()).add(session)

    def _leave(self, tree: TreeKey, session: str) -> None:
        """Take a session from an instrument; one without any has no folder to look through."""
        self.by_instrument[tree].discard(session)
        self._unsettled[tree].discard(session)
        if not self.by_instrument[tree]:
            del self.by_instrument[tree], self._unsettled[tree]
