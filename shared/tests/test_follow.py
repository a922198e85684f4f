"""All sessions at once, from a position of the log."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from hypothesis import given
from hypothesis import strategies as st

from nexuslims_contracts.envelope import Recorded, envelop
from nexuslims_contracts.events import Event, SessionEnded, SessionRevised, SessionStarted
from nexuslims_contracts.testing import SessionEvents
from nexuslims_shared.session.follow import FollowedSessions
from nexuslims_shared.session.sharing import SharedParts
from nexuslims_shared.session.state import fold
from nexuslims_shared.store.memory import MemoryEventStore
from nexuslims_shared.store.port import EVERYTHING, Unreadable, read_session

KINDS = (SessionStarted, SessionEnded, SessionRevised)
ONE, TWO = SessionEvents("file-1"), SessionEvents("file-2")
EVENTS = [
    event
    for make in (ONE, TWO)
    for event in (*make.history(), make.revised(after=1), make.revised(after=2))
]


class CountingStore(MemoryEventStore):
    """Notes what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.read_sequences: list[int] = []

    async def read(
        self, *, filters: Sequence[str] = EVERYTHING, after: int = 0, datasets: bool = True
    ) -> AsyncGenerator[Recorded | Unreadable, None]:
        async for item in super().read(filters=filters, after=after, datasets=datasets):
            self.read_sequences.append(item.sequence)
            await asyncio.sleep(0)
            yield item


async def stored(store: MemoryEventStore, events: Sequence[Event]) -> None:
    for event in events:
        await store.append(envelop(event, source="test"))


@given(st.lists(st.lists(st.sampled_from(EVENTS), max_size=9), max_size=4))
async def test_states_are_the_fold_of_the_kinds_that_are_followed(
    parts: list[list[Event]],
) -> None:
    store = CountingStore()
    sessions = FollowedSessions(store, KINDS)
    for events in parts:
        await stored(store, events)
        await sessions.catch_up()
    log = [item async for item in MemoryEventStore.read(store) if isinstance(item, Recorded)]
    wanted = [item for item in log if isinstance(item.event, KINDS)]
    assert sessions.states == {
        session: fold(item for item in wanted if item.event.session == session)
        for session in {item.event.session for item in wanted}
    }
    assert store.read_sequences == [item.sequence for item in wanted], "each is read once"


async def test_no_file_and_no_record_is_held() -> None:
    store = MemoryEventStore()
    await stored(store, ONE.history())
    sessions = FollowedSessions(store, KINDS)
    await sessions.catch_up()
    state = sessions.states["file-1"]
    whole = await read_session(store, "file-1")
    assert state == fold(one for one in whole if isinstance(one.event, KINDS))
    assert (len(state.files), state.record, state.booking) == (0, None, None)


async def test_what_sessions_have_in_common_is_held_once() -> None:
    store = MemoryEventStore()
    await stored(store, [ONE.started(), TWO.started(), ONE.ended(), TWO.ended()])
    sessions = FollowedSessions(store, KINDS)
    await sessions.catch_up()
    ends = [state.schedule.event for state in sessions.states.values() if state.schedule]
    assert ends == [ONE.ended(), TWO.ended()]
    assert isinstance(ends[0], SessionEnded)
    assert isinstance(ends[1], SessionEnded)
    assert ends[0].instrument is ends[1].instrument
    assert ends[0].model_fields_set is ends[1].model_fields_set


def test_times_of_the_same_offset_have_one_zone() -> None:
    read = [SessionEnded.model_validate_json(one.model_dump_json()) for one in (ONE.ended(),) * 2]
    assert read[0].start.tzinfo is not read[1].start.tzinfo
    parts = SharedParts()
    first, second = map(parts.share, read)
    assert first.start.tzinfo is second.end.tzinfo
    assert [first, second] == read


async def test_two_that_catch_up_at_once_read_the_log_once() -> None:
    store = CountingStore()
    await stored(store, [ONE.started(), TWO.started(), ONE.ended()])
    sessions = FollowedSessions(store, KINDS)
    await asyncio.gather(sessions.catch_up(), sessions.catch_up())
    assert store.read_sequences == [1, 2, 3]


async def test_a_session_with_an_event_of_a_newer_release_is_left_alone(caplog) -> None:
    store = MemoryEventStore()
    await stored(store, [ONE.started(), TWO.started()])
    newer = {"ce-id": "x", "ce-type": "nexuslims.session.ended.v99", "ce-source": "next"}
    await store.append_raw(ONE.ended().subject, newer, b"{}")
    await stored(store, [TWO.ended()])
    sessions = FollowedSessions(store, KINDS)
    for _ in range(2):
        await sessions.catch_up()
    assert sessions.unreadable == {"file-1"}
    assert sessions.states["file-2"].schedule.event == TWO.ended()
    assert caplog.text.count("session file-1 is left alone: its event 3 cannot be read") == 1


async def test_what_is_no_event_does_not_count(caplog) -> None:
    store = MemoryEventStore()
    await stored(store, [ONE.started()])
    await store.append_raw(ONE.ended().subject, {"ce-type": ONE.ended().type_name()}, b"{]")
    await stored(store, [ONE.ended()])
    sessions = FollowedSessions(store, KINDS)
    await sessions.catch_up()
    assert sessions.unreadable == set()
    assert sessions.states["file-1"].schedule.event == ONE.ended()
    assert "session file-1: message 2 is no event, and does not count" in caplog.text
