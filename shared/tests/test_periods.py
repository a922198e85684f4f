"""A log of several periods: the same store, and a session always in one stream."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from functools import partial

import nats.errors
import pytest
from nats.aio.client import Client

from nexuslims_contracts.envelope import Recorded, envelop
from nexuslims_contracts.events import Event, SessionEnded
from nexuslims_contracts.periods import ALL, Period, PeriodLength
from nexuslims_contracts.testing import SessionEvents
from nexuslims_contracts.topology import CONSUMERS, EVENTS, PERIODS, SESSIONS
from nexuslims_shared.broker import missing, open_period, provision
from nexuslims_shared.bucket import BrokerBucket
from nexuslims_shared.errors import (
    BrokerUnavailableError,
    ConflictError,
    PeriodAwayError,
    TopologyError,
)
from nexuslims_shared.session.follow import FollowedSessions
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.store import period_directory
from nexuslims_shared.store.jetstream import JetStreamEventStore
from nexuslims_shared.store.port import EventStore, read_session
from nexuslims_shared.store.positions import START, Positions
from nexuslims_shared.testing.event_store import EventStoreBehaviour, retry

OLD = datetime(2025, 12, 31, 22, 0, tzinfo=UTC)
NEW = datetime(2026, 1, 1, 10, 0, tzinfo=UTC)
YEARS = (Period.named("2025"), Period.named("2026"))

pytestmark = pytest.mark.broker

NewStore = Callable[..., JetStreamEventStore]


@pytest.fixture
def new_store(client: Client) -> NewStore:
    """Make stores as separate processes have them: each learns of periods by itself."""

    def make(length: PeriodLength = "year", *, opens: bool = True) -> JetStreamEventStore:
        jetstream = client.jetstream()
        opening = partial(open_period, jetstream) if opens else None
        return JetStreamEventStore(jetstream, length=length, open_period=opening)

    return make


class TestPeriods(EventStoreBehaviour):
    """All that holds of a log holds of one in periods."""

    @pytest.fixture
    async def store(self, new_store: NewStore) -> EventStore:
        return new_store("month")


def started(session: str, start: datetime) -> Event:
    return SessionEvents(session).started(start=start)


def ended(session: str, start: datetime, after: int = 0) -> SessionEnded:
    event = SessionEvents(session).ended()
    return event.model_copy(update={"start": start, "end": start + timedelta(hours=3)})


async def tell(store: EventStore, event: Event) -> int:
    return (await store.append(envelop(event, source="test"))).sequence


async def test_a_session_stays_in_the_period_of_its_first_start(new_store: NewStore) -> None:
    store = new_store()
    first = await tell(store, started("a", OLD))
    assert Period.of(first) == YEARS[0]
    moved = await tell(store, ended("a", NEW))
    assert Period.of(moved) == YEARS[0]
    assert Period.of(await tell(new_store(), ended("b", NEW))) == YEARS[1]
    state = await SessionRepository(new_store()).open("a")
    assert state.through == moved
    assert state.times is not None
    assert state.times.event.start == NEW


async def test_the_start_counts_once_even_if_nothing_was_stored(
    new_store: NewStore, client: Client
) -> None:
    """A process that died between its choice and the event leaves the choice to the others."""
    died = new_store(opens=False)
    with pytest.raises(TopologyError, match="nexuslims provision"):
        await tell(died, started("a", OLD))
    assert Period.of(await tell(new_store(), started("a", NEW))) == YEARS[0]


async def test_two_that_begin_a_session_differently_agree(new_store: NewStore) -> None:
    one, other = new_store(), new_store()
    answers = await asyncio.gather(
        tell(one, started("a", OLD)), tell(other, ended("a", NEW)), return_exceptions=False
    )
    assert len({Period.of(answer) for answer in answers}) == 1
    assert len(await read_session(new_store(), "a")) == 2


async def test_a_period_comes_with_the_consumers_of_all_services(
    new_store: NewStore, client: Client
) -> None:
    await tell(new_store(), started("a", OLD))
    assert await missing(client.jetstream(), CONSUMERS) == []
    info = await client.jetstream().stream_info(YEARS[0].stream)
    assert info.state.consumer_count == len(CONSUMERS)
    assert info.config.deny_delete
    assert info.config.deny_purge


async def test_provisioning_opens_the_current_period_and_the_next(client: Client) -> None:
    await provision(client.jetstream(), length="quarter")
    names = [one.name for one in await JetStreamEventStore(client.jetstream()).periods.there()]
    assert names[0] == "all"
    assert len(names) == 3
    await provision(client.jetstream(), length="quarter")
    assert len(await JetStreamEventStore(client.jetstream()).periods.there()) == 3


async def test_sessions_of_the_first_stream_stay_there(new_store: NewStore) -> None:
    """A facility that begins to use periods moves nothing."""
    before = new_store("all")
    first = await tell(before, started("old", NEW))
    assert first == 1
    assert Period.of(first) == ALL
    for store in (before, new_store(), new_store("month")):
        later = await store.append(retry("old", str(id(store))))
        assert Period.of(later.sequence) == ALL
    assert Period.of(await tell(new_store(), started("new", NEW))) == YEARS[1]
    assert Period.of(await tell(new_store("all"), ended("new", NEW))) == YEARS[1]


async def test_an_append_expects_the_sequences_of_its_period(new_store: NewStore) -> None:
    store = new_store()
    first = await store.append(retry("a", "1"), expect=0)
    with pytest.raises(ConflictError, match=str(first.sequence)):
        await store.append(retry("a", "2"), expect=0)
    second = await new_store().append(retry("a", "2"), expect=first.sequence)
    assert second.sequence == first.sequence + 1
    assert (await store.append(retry("a", "1"))).duplicate


async def test_all_periods_are_read_and_positions_are_of_each(new_store: NewStore) -> None:
    store = new_store()
    for session, start in (("n", NEW), ("o", OLD), ("m", NEW)):
        await tell(store, started(session, start))
    sessions = [item.event.session async for item in store.read() if isinstance(item, Recorded)]
    assert sessions == ["o", "n", "m"]
    ends = await store.positions()
    assert [ends.within(period) for period in YEARS] == [
        YEARS[0].sequence(1),
        YEARS[1].sequence(2),
    ]
    after = START.including(YEARS[1].sequence(1)).including(YEARS[0].sequence(1))
    batches = [batch async for batch in store.read_batches(after=after)]
    assert [[item.sequence for item in batch] for batch in batches] == [[YEARS[1].sequence(2)]]
    assert ends.reach(after)
    assert not after.reach(ends)


async def test_what_is_known_of_periods_is_used_while_a_cluster_has_no_leader(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(_: object) -> tuple[Period, ...]:
        raise nats.errors.TimeoutError

    store = JetStreamEventStore(client.jetstream(), patience=0)
    await tell(store, started("a", NEW))
    monkeypatch.setattr(period_directory, "LOOK_S", 0)
    monkeypatch.setattr(period_directory, "periods_there", silent)
    assert Period.of(await tell(store, ended("a", NEW))) == ALL
    with pytest.raises(BrokerUnavailableError):
        await store.periods.there(now=True)


async def test_following_notices_a_new_period_and_an_old_one_that_grows(
    new_store: NewStore,
) -> None:
    writing, reading = new_store(), new_store()
    await tell(writing, started("a", OLD))
    async with aclosing(reading.follow()) as following:
        assert (await anext(following)).sequence == YEARS[0].sequence(1)
        await tell(writing, started("b", NEW))
        assert (await anext(following)).sequence == YEARS[1].sequence(1)
        await tell(writing, ended("a", OLD))
        assert (await anext(following)).sequence == YEARS[0].sequence(2)


async def test_followed_sessions_catch_up_with_every_period(new_store: NewStore) -> None:
    store = new_store()
    known = FollowedSessions(store, [type(started("a", OLD)), SessionEnded])
    await tell(store, started("b", NEW))
    await known.catch_up()
    await tell(store, started("a", OLD))
    await known.catch_up()
    assert set(known.states) == {"a", "b"}
    before = dict(known.states)
    await known.catch_up()
    assert known.states == before


async def test_a_period_that_is_away_keeps_its_sessions_waiting(
    new_store: NewStore, client: Client
) -> None:
    store = new_store()
    await tell(store, started("a", OLD))
    await tell(store, started("b", NEW))
    await client.jetstream().delete_stream(YEARS[0].stream)
    await BrokerBucket(client.jetstream(), PERIODS).put("2025", b"{}")
    late = new_store()
    with pytest.raises(PeriodAwayError, match=r"session a: .*`nexuslims periods restore 2025 DIR`"):
        await tell(late, ended("a", NEW))
    with pytest.raises(PeriodAwayError):
        await SessionRepository(late).open("a")
    with pytest.raises(PeriodAwayError):
        await tell(late, started("c", OLD))
    assert await tell(late, ended("b", NEW))
    assert len([item async for item in late.read()]) == 2
    await provision(client.jetstream(), length="year")
    assert YEARS[0] not in await late.periods.there(now=True)


async def test_a_period_that_goes_away_under_a_reader_is_no_end_of_it(
    new_store: NewStore, client: Client
) -> None:
    """It fails as while the broker is away, and the next time the others are read."""
    store = new_store()
    await tell(store, started("a", OLD))
    await tell(store, started("b", NEW))
    assert len([item async for item in store.read()]) == 2
    await client.jetstream().delete_stream(YEARS[0].stream)
    with pytest.raises(BrokerUnavailableError, match="NEXUS_EVENTS_2025"):
        assert [item async for item in store.read()]
    await store.periods.there(now=True)
    assert len([item async for item in store.read()]) == 1


def test_positions_tell_another_log_from_a_period_that_is_away() -> None:
    held = START.including(YEARS[0].sequence(7)).including(5)
    assert held.beyond(Positions.of({ALL: 5})) == []
    assert held.beyond(Positions.of({ALL: 4, YEARS[0]: YEARS[0].sequence(9)})) == [ALL]
    assert str(held) == "message 5 of period all, message 7 of period 2025"
    assert held.including(3) is held
    assert held.messages == 12
    assert held.behind(Positions.of({ALL: 9, YEARS[0]: YEARS[0].sequence(6)})) == 4


async def test_the_first_stream_alone_asks_for_nothing_more(
    new_store: NewStore, client: Client
) -> None:
    """Facilities that use no periods pay nothing for them."""
    store = new_store("all")
    await tell(store, started("a", OLD))
    bucket = await client.jetstream().stream_info("KV_NEXUS_SESSIONS")
    assert bucket.state.messages == 0
    assert (await client.jetstream().stream_info(EVENTS.name)).state.messages == 1


async def test_a_session_of_before_there_were_periods_is_found_in_one_stream(
    new_store: NewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever uploads what is in an old log would otherwise ask every period for each session."""
    await tell(new_store("all"), started("old", OLD))
    store = new_store()
    await tell(store, started("a", OLD))
    await tell(store, started("b", NEW))
    asked: list[Period] = []
    holds = store.periods._holds

    async def noted(period: Period, session: str) -> bool:
        asked.append(period)
        return await holds(period, session)

    monkeypatch.setattr(store.periods, "_holds", noted)
    assert await store.periods.find("old") == ALL
    assert asked == [ALL]
    assert await store.periods.find("new") is None
    assert sorted(asked) == [ALL, ALL, *YEARS]


async def test_a_session_that_the_bucket_lost_is_found_where_its_events_are(
    new_store: NewStore, client: Client
) -> None:
    await tell(new_store(), started("a", OLD))
    await client.jetstream().purge_stream("KV_NEXUS_SESSIONS")
    assert await new_store().periods.find("a") == YEARS[0]


async def test_what_names_no_period_stops_nobody(new_store: NewStore, client: Client) -> None:
    await BrokerBucket(client.jetstream(), PERIODS).put("of-nobody", b"{]")
    sessions = BrokerBucket(client.jetstream(), SESSIONS)
    for session in ("a", "b"):
        await sessions.put(session, b"\xff{]")
    store = new_store()
    assert await store.periods.away() == frozenset()
    assert await store.periods.find("a") is None
    await tell(store, started("b", OLD))
    assert await new_store().periods.find("b") == YEARS[0]
