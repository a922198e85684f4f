"""Opening sessions: the same state as a fold over everything, for less."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nats.aio.client import Client

from nexuslims_contracts import subjects
from nexuslims_contracts.envelope import encode, envelop
from nexuslims_contracts.errors import UnknownEventError
from nexuslims_contracts.events import Event
from nexuslims_contracts.testing import END, SessionEvents, recorded
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.session.state import INITIAL, evolve, fold
from nexuslims_shared.store.jetstream import JetStreamEventStore
from nexuslims_shared.store.memory import MemoryEventStore
from nexuslims_shared.store.port import MOST_SUBJECTS, EventStore, read_session

ONE = SessionEvents()


def everything(number: int) -> list[Event]:
    """Make every kind of event; the number makes them differ from those of other numbers."""
    change = {"after": number}
    later = {"end": END + timedelta(seconds=number)}
    return [
        *ONE.history(),
        ONE.revised(**change, **later),
        ONE.cancelled(**change),
        ONE.matched(**change),
        ONE.declined(**change),
        ONE.indexed(number),
        ONE.manifest(3 + number, superseded=(2,), **change),
        ONE.not_found(**change),
        ONE.extracted(number % 3, request=str(number)),
        ONE.failed(number % 3, request=str(number)),
        ONE.rejected(number + 1),
        ONE.uploaded(**change),
        ONE.upload_failed(destination="other", **change),
        ONE.withdrawn(**change),
        ONE.curated(**change),
        ONE.lost(**change),
        ONE.withdrawal_failed(destination="other", **change),
        ONE.retry(str(number)),
        ONE.withdraw(str(number), withdrawn=bool(number % 2)),
        ONE.rebuild(f"all {number}", re_extract=True),
        ONE.rebuild(f"some {number}", re_extract=True, extractor="dm"),
        ONE.rebuild(f"none {number}"),
    ]


EVENTS = [event for number in range(4) for event in everything(number)]
_events = st.lists(st.sampled_from(EVENTS), max_size=30)


@given(_events)
def test_the_last_event_of_each_subject_is_enough_but_for_cumulative_ones(
    events: list[Event],
) -> None:
    log = recorded(events)
    last = {item.subject: item.sequence for item in log}
    kept = [item for item in log if item.event.cumulative or last[item.subject] == item.sequence]
    assert fold(kept) == fold(log)


async def stored(store: EventStore, events: list[Event]) -> None:
    for event in events:
        await store.append(envelop(event, source="test"))


@settings(max_examples=50)
@given(st.lists(_events, max_size=4))
async def test_a_session_opened_now_and_then_is_the_fold_of_all_its_events(
    parts: list[list[Event]],
) -> None:
    store = MemoryEventStore()
    repository = SessionRepository(store, datasets=True)
    for events in parts:
        await stored(store, events)
        state = await repository.open("file-1")
        assert state == fold(await read_session(store, "file-1"))


@pytest.mark.broker
async def test_it_is_the_same_on_the_real_broker(client: Client) -> None:
    store = JetStreamEventStore(client.jetstream())
    repository = SessionRepository(store, datasets=True)
    for number in (1, 2):
        await stored(store, everything(number))
        everything_stored = fold(await read_session(store, "file-1"))
        assert await repository.open("file-1") == everything_stored
    assert await SessionRepository(store, datasets=True).open("file-1") == everything_stored
    assert await repository.open("nobody") == INITIAL


@pytest.fixture(params=["memory", pytest.param("broker", marks=pytest.mark.broker)])
def store(request: pytest.FixtureRequest) -> EventStore:
    if request.param == "memory":
        return MemoryEventStore()
    return JetStreamEventStore(request.getfixturevalue("client").jetstream())


async def test_a_session_with_too_many_subjects_for_one_answer_is_read_whole(
    store: EventStore,
) -> None:
    files = [envelop(ONE.indexed(number), source="test") for number in range(MOST_SUBJECTS + 1)]
    await store.append_all([envelop(ONE.ended(), source="test"), *files])
    repository = SessionRepository(store)
    assert (await repository.open("file-1")).indexed_count == MOST_SUBJECTS + 1
    await stored(store, [ONE.extracted(7)])
    state = await repository.open("file-1")
    assert (state.indexed_count, state.settled_count) == (MOST_SUBJECTS + 1, 1)


class CountedReads(MemoryEventStore):
    """Counts the events that are read."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def _item(self, sequence, *, datasets=True):
        self.count += 1
        return super()._item(sequence, datasets=datasets)


@pytest.mark.parametrize("files", [5, MOST_SUBJECTS + 1])
async def test_one_more_event_costs_one_event(files: int) -> None:
    store = CountedReads()
    await stored(store, [ONE.indexed(number) for number in range(files)])
    repository = SessionRepository(store)
    await repository.open("file-1")
    store.count = 0
    await stored(store, [ONE.extracted(1)])
    await repository.open("file-1")
    await repository.open("file-1")
    assert store.count == 1


async def test_files_and_datasets_are_held_where_they_are_needed() -> None:
    store = MemoryEventStore()
    await stored(store, ONE.history())
    token = ONE.token(1)
    whole = await SessionRepository(store, datasets=True).open("file-1")
    assert whole.files[token].extracted.event.datasets
    light = await SessionRepository(store).open("file-1")
    assert light.files[token].extracted.event.datasets == ()
    none = await SessionRepository(store, files=False).open("file-1")
    assert (len(none.files), none.record, none.schedule) == (0, whole.record, whole.schedule)


async def test_what_was_not_asked_for_longest_is_forgotten() -> None:
    store = CountedReads()
    for name in "abc":
        await stored(store, SessionEvents(name).history())
    repository = SessionRepository(store, capacity=8)
    for name in "ab":
        await repository.open(name)
    for name in "ab":
        await repository.open(name)
    await repository.open("a")
    read_so_far = store.count
    await repository.open("c")
    await repository.open("a")
    store.count -= read_so_far
    assert store.count == len(ONE.history()), "only c had to be read"
    await repository.open("b")
    assert store.count == 2 * len(ONE.history()), "b had been forgotten"


async def damage(store: MemoryEventStore, event: Event) -> None:
    await store.append_raw(event.subject, {"ce-type": event.type_name()}, b"{]")


async def test_what_is_no_event_says_nothing_and_stops_no_session() -> None:
    store = MemoryEventStore()
    await stored(store, [ONE.started(), ONE.ended()])
    expected = await SessionRepository(store).open("file-1")
    await damage(store, ONE.ended())
    stray = encode(envelop(ONE.cancelled(), source="test"))
    await store.append_raw(ONE.built(through=2).subject, *stray)
    assert await SessionRepository(store).open("file-1") == expected
    await stored(store, [ONE.cancelled()])
    assert await SessionRepository(store).open("file-1") != expected


async def test_an_event_of_a_newer_release_stops_its_session() -> None:
    store = MemoryEventStore()
    await store.append_raw(ONE.ended().subject, {"ce-type": "nexuslims.session.ended.v99"}, b"{}")
    with pytest.raises(UnknownEventError, match="file-1"):
        await SessionRepository(store).open("file-1")


async def test_or_is_left_out_and_an_earlier_statement_stands() -> None:
    store = MemoryEventStore()
    await stored(store, [ONE.started(), ONE.ended(), ONE.revised(after=2)])
    await damage(store, ONE.revised(after=3))
    state = await SessionRepository(store, skip_unreadable=True).open("file-1")
    assert state.schedule.sequence == 3
    readable = [item async for item in store.read(filters=(subjects.of_session("file-1"),))][:3]
    expected = INITIAL
    for item in readable:
        expected = evolve(expected, item)
    assert state == expected
