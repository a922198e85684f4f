"""Which sessions of an instrument looks are made for."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.events import Event, FilesAwaited
from nexuslims_contracts.testing import END, START, TITAN, SessionEvents
from nexuslims_indexer.schedule import Occasion, next_look
from nexuslims_indexer.tracked_sessions import TrackedSession, TrackedSessions
from nexuslims_shared.store.memory import MemoryEventStore

PLACE = TITAN.filestore
DELAY = timedelta(days=2)
LIVE = timedelta(seconds=10)
OTHER_PLACE = TITAN.model_copy(update={"filestore": "Titan-2"})
EVENTS: dict[str, Callable[[SessionEvents, int], Event]] = {
    "started": lambda one, _: one.started(),
    "ended": lambda one, _: one.ended(),
    "matched": lambda one, after: one.matched(after=after),
    "declined": lambda one, after: one.declined(after=after),
    "revised": lambda one, after: one.revised(after=after, end=END + timedelta(hours=after)),
    "moved": lambda one, after: one.revised(after=after, instrument=OTHER_PLACE),
    "cancelled": lambda one, after: one.cancelled(after=after),
    "manifest": lambda one, after: one.manifest(1, after=after),
    "awaited": lambda one, after: FilesAwaited(
        session=one.session, until=END + 2 * DELAY, after=after
    ),
    "not found": lambda one, after: one.not_found(after=after),
    "retry": lambda one, after: one.retry(str(after)),
}


class Followed:
    """Sessions that are followed in a stream, and the time of the last look."""

    def __init__(self) -> None:
        self.store = MemoryEventStore()
        self.tracked = TrackedSessions(self.store)
        self.looked = START

    def take(self, kind: str, session: int = 1) -> None:
        asyncio.run(self._take(kind, SessionEvents(session=f"file-{session}")))

    async def _take(self, kind: str, one: SessionEvents) -> None:
        event = EVENTS[kind](one, await self.store.last_sequence())
        await self.store.append(envelop(event, source="test"))
        await self.tracked.catch_up()

    def unsettled(self) -> list[TrackedSession]:
        return self.tracked.unsettled(PLACE, now=self.looked, looked=self.looked, delay=DELAY)

    def look(self, hours: int) -> None:
        """Look, hours later, and decide about all sessions that have ended."""
        self.looked += timedelta(hours=hours)
        for one in self.tracked.of(PLACE):
            if one.end is not None:
                one.decided = max(one.scheduled, one.asked)


def over(*sessions: int) -> Followed:
    followed = Followed()
    for session in sessions or (1,):
        for kind in ("started", "matched", "ended"):
            followed.take(kind, session)
    return followed


def test_a_session_is_settled_when_its_delay_is_over_and_all_is_decided() -> None:
    followed = over()
    assert [one.session for one in followed.unsettled()] == ["file-1"]
    followed.look(hours=48)
    assert [one.session for one in followed.unsettled()] == ["file-1"]
    followed.look(hours=4)
    assert followed.unsettled() == []


def test_an_event_brings_a_settled_session_back() -> None:
    followed = over()
    followed.look(hours=99)
    assert followed.unsettled() == []
    followed.take("retry")
    assert [one.session for one in followed.unsettled()] == ["file-1"]


def test_a_session_without_files_is_not_settled_while_they_are_awaited() -> None:
    followed = over()
    followed.take("awaited")
    followed.look(hours=60)
    assert [one.session for one in followed.unsettled()] == ["file-1"]
    followed.take("not found")
    assert followed.unsettled() == []


def test_a_session_at_another_place_is_not_looked_for_here() -> None:
    followed = over()
    followed.take("moved")
    assert followed.unsettled() == []


STEPS = st.lists(
    st.tuples(st.one_of(st.sampled_from(sorted(EVENTS)), st.integers(0, 40)), st.integers(1, 2)),
    max_size=25,
)


@settings(max_examples=100)
@given(STEPS)
def test_settled_sessions_never_change_when_the_next_look_is_due(
    steps: list[tuple[str | int, int]],
) -> None:
    followed = over(1, 2)
    for step, session in steps:
        if isinstance(step, int):
            followed.look(hours=step)
        else:
            followed.take(step, session)
        now = followed.looked
        everyone = [
            one
            for one in followed.tracked.of(PLACE)
            if one.consent and one.start is not None and not one.is_abandoned(now)
        ]
        due, expected = (
            next_look([Occasion(one.end, one.is_decided(now)) for one in some], now, DELAY, LIVE)
            for some in (followed.unsettled(), everyone)
        )
        assert due == expected


class LaggingStore(MemoryEventStore):
    """A cluster of which the replica that answers lacks the newest events."""

    behind = 0

    async def read(self, *, filters=(), after=0, datasets=True):
        end = len(self._messages) - self.behind
        async for item in super().read(filters=filters, after=after, datasets=datasets):
            if item.sequence <= end:
                yield item


async def test_what_a_replica_did_not_have_yet_is_read_the_next_time() -> None:
    store, first, second = LaggingStore(), SessionEvents("a"), SessionEvents("b")
    tracked = TrackedSessions(store)
    await store.append(envelop(first.started(), source="test"))
    await store.append(envelop(first.ended(), source="test"))
    store.behind = 1
    await tracked.catch_up()
    assert tracked.by_token["a"].end is None
    store.behind = 0
    await store.append(envelop(second.started(), source="test"))
    await tracked.catch_up()
    assert tracked.by_token["a"].end == END
