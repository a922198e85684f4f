"""Sessions by name: opened from their events, remembered, and caught up with what is new.

Opening a session reads the last event on each of its subjects, in one request. That is enough,
because in :func:`~nexuslims_shared.session.state.evolve` a later statement on a subject takes the
place of an earlier one. Where it does not, for cumulative events and where the last one cannot be
read, the others on its subject are read too. A session with too many subjects for one answer is
read in whole the first time, and from where it is known after that.
"""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Final

from nexuslims_contracts import subjects
from nexuslims_contracts.envelope import Recorded
from nexuslims_shared.session.state import INITIAL, SessionState, fold
from nexuslims_shared.store.port import MOST_SUBJECTS, EventStore, Unreadable

_SUBJECTS_OF_A_FILE: Final = 2
"""A file was found, and was read; where it could not be read before, there is a third."""

_FOLDED_AT_ONCE: Final = 256
"""Many events cost less together, and are held until then."""


class SessionRepository:
    """The sessions of an event store.

    Parameters
    ----------
    store
        Where the events are.
    files
        Whether the states hold the sessions' files; without them a session of fifty thousand files
        costs as little as one of five, but only the calendar's and the destinations' side of the
        state is known.
    datasets
        Whether the states hold what was read from the files; only a builder of records needs it.
    skip_unreadable
        Whether to leave out what a newer release wrote, in place of refusing the session.
    capacity
        How many files and sessions are remembered in all; what was not asked for longest is
        forgotten first. About 5 KB of a file, more with datasets, and 12 KB of a session besides.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        files: bool = True,
        datasets: bool = False,
        skip_unreadable: bool = False,
        capacity: int = 20_000,
    ) -> None:
        self._store = store
        self._files = files
        self._datasets = datasets
        self._skip_unreadable = skip_unreadable
        self._capacity = capacity
        self._remembered: OrderedDict[str, SessionState] = OrderedDict()
        self._size = 0

    async def open(self, session: str, *, through: int = 0) -> SessionState:
        """Return the state of a session, with all that is stored now.

        Parameters
        ----------
        session
            The session; one without events has the initial state.
        through
            Sequence of an event of the session that must be taken into account: the one that is
            handled, or that was just stored. Without it, the state may be a moment behind where
            the broker is a cluster.

        Raises
        ------
        UnknownEventError
            If an event of the session is of a newer release: nobody may decide on half a history.
            What is no event at all says nothing and is left out; it is listed as a dead letter.
        BrokerUnavailableError
            If the broker does not answer.
        """
        state = self._remembered.get(session, INITIAL)
        news: list[Recorded] = []
        async with aclosing(self._news(session, state, through)) as items:
            async for item in items:
                if isinstance(item, Recorded):
                    news.append(item)
                elif item.newer and not self._skip_unreadable:
                    raise item.error(session)
                if len(news) >= _FOLDED_AT_ONCE:
                    state, news = fold(news, state), []
        if news:
            state = fold(news, state)
        self._remember(session, state)
        return state

    def remembers(self, session: str) -> bool:
        """Tell whether a session is remembered."""
        return session in self._remembered

    def advance(self, session: str, events: Iterable[Recorded]) -> SessionState:
        """Take events in that a reader of the whole log holds already, and return the state.

        Parameters
        ----------
        session
            A session that is remembered, or of which these are the first events.
        events
            All its events from where it is remembered up to some position of the log.
        """
        state = fold(events, self._remembered.get(session, INITIAL))
        self._remember(session, state)
        return state

    def forget(self, session: str) -> None:
        """Drop what is remembered of a session; it is read anew when it is asked for."""
        state = self._remembered.pop(session, None)
        if state is not None:
            self._size -= _size(state)

    async def _news(
        self, session: str, known: SessionState, through: int
    ) -> AsyncGenerator[Recorded | Unreadable, None]:
        """Give what was stored after a state; of most subjects the last event only."""
        after = known.through
        if self._files:
            filters: tuple[str, ...] = (subjects.of_session(session),)
        else:
            filters = subjects.beside_files(session)
        last = None
        if _SUBJECTS_OF_A_FILE * len(known.files) < MOST_SUBJECTS:
            last = await self._store.read_last(
                filters, after=after, through=through, datasets=self._datasets
            )
        if last is None:
            stored = self._store.read(filters=filters, after=after, datasets=self._datasets)
            async for item in stored:
                yield item
            return
        for item in last:
            if isinstance(item, Unreadable) or item.event.cumulative:
                async for one in self._earlier(item, after):
                    yield one
            yield item

    async def _earlier(
        self, item: Recorded | Unreadable, after: int
    ) -> AsyncGenerator[Recorded | Unreadable, None]:
        """Give what was stored on an event's subject before it."""
        async with aclosing(self._store.read(filters=(item.subject,), after=after)) as items:
            async for one in items:
                if one.sequence >= item.sequence:
                    return
                yield one

    def _remember(self, session: str, state: SessionState) -> None:
        """Keep the later of two states: a session may be opened twice at the same time."""
        known = self._remembered.get(session)
        if known is not None and known.through > state.through:
            return
        self.forget(session)
        self._remembered[session] = state
        self._size += _size(state)
        while self._size > self._capacity and len(self._remembered) > 1:
            self.forget(next(iter(self._remembered)))


def _size(state: SessionState) -> int:
    return 1 + len(state.files)
