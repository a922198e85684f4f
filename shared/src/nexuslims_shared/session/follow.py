"""All sessions at once, by some of their events, caught up with the log.

A :class:`~nexuslims_shared.session.repository.SessionRepository` is asked for one session and may
forget it. Who compares all sessions with something else cannot ask for each: that is one request
per session. It follows the few kinds of events that it needs; of the rest nothing is read or held.
"""

import asyncio
import logging
import sys
from collections.abc import Iterable
from dataclasses import replace

from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.events import Event
from nexuslims_contracts.subjects import session_of
from nexuslims_shared.session.sharing import SharedParts
from nexuslims_shared.session.state import INITIAL, SessionState, evolve
from nexuslims_shared.store.port import EventStore
from nexuslims_shared.store.positions import START

log = logging.getLogger(__name__)


class FollowedSessions:
    """The states of all sessions, as far as some kinds of events determine them.

    A state holds the last event of each kind at most, so a session costs the same however often it
    was changed, unless the kinds are about files or destinations: 2 KB with what a calendar says.

    Parameters
    ----------
    store
        Where the events are.
    kinds
        The kinds of events to follow.
    """

    def __init__(self, store: EventStore, kinds: Iterable[type[Event]]) -> None:
        self.states: dict[str, SessionState] = {}
        self.unreadable: set[str] = set()
        """Sessions with an event of a newer release: nobody may decide on half of their history."""
        self._store = store
        self._filters = tuple(kind.filter() for kind in kinds)
        self._through = START
        self._parts = SharedParts()
        self._lock = asyncio.Lock()

    async def catch_up(self) -> None:
        """Take in what was stored since the last time; two that ask at once read it once.

        Raises
        ------
        BrokerUnavailableError
            If the broker does not answer; what was read until then is kept.
        """
        async with self._lock:
            async for item in self._store.read(filters=self._filters, after=self._through):
                if isinstance(item, Recorded):
                    session = sys.intern(item.event.session)
                    event = self._parts.share(item.event)
                    held = replace(item, envelope=replace(item.envelope, event=event))
                    self.states[session] = evolve(self.states.get(session, INITIAL), held)
                elif item.newer:
                    self.unreadable.add(session_of(item.subject))
                    log.error(
                        "session %s is left alone: its event %d cannot be read: %s",
                        session_of(item.subject),
                        item.sequence,
                        item.reason,
                    )
                else:  # whose consumer it comes to writes a dead letter
                    log.warning(
                        "session %s: message %d is no event, and does not count: %s",
                        session_of(item.subject),
                        item.sequence,
                        item.reason,
                    )
                self._through = self._through.including(item.sequence)
