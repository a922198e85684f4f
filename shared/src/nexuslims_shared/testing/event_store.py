"""How every event store behaves."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime

from nexuslims_contracts import subjects
from nexuslims_contracts.envelope import Envelope, Recorded, envelop
from nexuslims_contracts.events import (
    ConsentDeclined,
    Event,
    RetryRequested,
    SessionCancelled,
)
from nexuslims_contracts.testing import SessionEvents
from nexuslims_shared.errors import ConflictError
from nexuslims_shared.store.port import MOST_SUBJECTS, EventStore, Unreadable, read_session


def retry(session: str, request: str) -> Envelope:
    """A fact that may be stated many times on one subject."""
    return _enveloped(RetryRequested(session=session, request=request))


def declined(session: str, reason: str, after: int = 0) -> Envelope:
    """Another fact of the same session."""
    event = ConsentDeclined(session=session, tier="calendar", reason=reason, after=after)
    return _enveloped(event)


def _enveloped(event: Event) -> Envelope:
    return envelop(event, source="test", time=datetime(2026, 1, 1, tzinfo=UTC))


class EventStoreBehaviour:
    """Inherit, give a fixture ``store``, and pass."""

    async def test_what_is_appended_is_read_in_order(self, store: EventStore) -> None:
        """The log keeps the order of appends."""
        for number in range(5):
            await store.append(retry("s-1", str(number)))
        read = await read_session(store, "s-1")
        assert [item.event.request for item in read] == ["0", "1", "2", "3", "4"]  # type: ignore[attr-defined]
        assert [item.sequence for item in read] == sorted(item.sequence for item in read)
        assert read[0].envelope == retry("s-1", "0")

    async def test_the_same_fact_is_stored_once(self, store: EventStore) -> None:
        """A retry finds the fact that is there, whatever came after it."""
        first = await store.append(retry("s-1", "a"))
        await store.append(retry("s-1", "b"))
        again = await store.append(retry("s-1", "a"))
        assert again.duplicate
        assert again.sequence == first.sequence
        assert len(await read_session(store, "s-1")) == 2

    async def test_a_retry_with_a_stale_expectation_finds_itself(self, store: EventStore) -> None:
        """An acknowledgement was lost: the fact is there, so this is no conflict."""
        first = await store.append(retry("s-1", "a"), expect=0)
        again = await store.append(retry("s-1", "a"), expect=0)
        assert again.duplicate
        assert again.sequence == first.sequence

    async def test_expectations_are_kept(self, store: EventStore) -> None:
        """Whoever decided on an older state gets a conflict."""
        first = await store.append(retry("s-1", "a"), expect=0)
        try:
            await store.append(retry("s-1", "b"), expect=0)
        except ConflictError as error:
            assert "s-1" in str(error)
        else:
            raise AssertionError("a conflict went unnoticed")
        await store.append(retry("s-1", "b"), expect=first.sequence)

    async def test_expectations_concern_one_subject(self, store: EventStore) -> None:
        """Other facts of the session are no conflict."""
        await store.append(retry("s-1", "a"))
        await store.append(declined("s-1", "no"), expect=0)

    async def test_of_two_writers_one_wins(self, store: EventStore) -> None:
        """There can be only one."""
        answers = await asyncio.gather(
            *(store.append(retry("s-1", str(number)), expect=0) for number in range(8)),
            return_exceptions=True,
        )
        assert sum(isinstance(answer, ConflictError) for answer in answers) == 7
        assert len(await read_session(store, "s-1")) == 1

    async def test_many_facts_at_once_are_each_stored_once(self, store: EventStore) -> None:
        """Also those that are there already, and those stated twice in one call."""
        await store.append(retry("s-3", "x"))
        many = [retry(f"s-{number}", "x") for number in range(300)]
        answers = await store.append_all([*many, many[7]])
        assert sum(answer.duplicate for answer in answers) == 2
        assert answers[-1].sequence == answers[7].sequence
        count = 0
        async for _ in store.read():
            count += 1
        assert count == 300

    async def test_reading_is_by_session_and_position(self, store: EventStore) -> None:
        """One session's events, or only those after a position."""
        for number in range(3):
            await store.append(retry("s-1", str(number)))
            await store.append(retry("s-2", str(number)))
        mine = await read_session(store, "s-1")
        assert [item.event.session for item in mine] == ["s-1"] * 3
        later = await read_session(store, "s-1", after=mine[0].sequence)
        assert later == mine[1:]
        assert await read_session(store, "s-1", after=mine[-1].sequence) == []
        assert await read_session(store, "nobody") == []

    async def test_reading_by_several_filters_keeps_the_order(self, store: EventStore) -> None:
        """Filters are alternatives."""
        await store.append(retry("s-1", "a"))
        await store.append(declined("s-1", "no"))
        cancelled = SessionCancelled(session="s-1", reason="gone", after=0)
        await store.append(_enveloped(cancelled))
        filters = (SessionCancelled.filter(), RetryRequested.filter())
        read = [item async for item in store.read(filters=filters)]
        kinds = [item.event.kind() for item in read if isinstance(item, Recorded)]
        assert kinds == ["retry-requested", "session-cancelled"]

    async def test_everything_is_read_in_batches(self, store: EventStore) -> None:
        """In order, after a position; live, what comes too."""
        stored = await store.append_all([retry(f"s-{number}", "x") for number in range(1500)])
        batches = [batch async for batch in store.read_batches(after=stored[9].sequence)]
        sequences = [item.sequence for batch in batches for item in batch]
        assert sequences == [answer.sequence for answer in stored[10:]]
        assert all(batches)
        last = stored[-1].sequence
        assert [batch async for batch in store.read_batches(after=last)] == []
        async with aclosing(store.read_batches(after=last - 1, live=True)) as following:
            assert [item.sequence for item in await anext(following)] == [last]
            await store.append(retry("s-1", "later"))
            assert [item.sequence for item in await anext(following)] == [last + 1]

    async def test_datasets_are_left_out_on_request(self, store: EventStore) -> None:
        """All the rest that a state of the session holds is the same."""
        event = SessionEvents("s-1").extracted(1, reason='{"x": 1,"datasets":[]}')
        await store.append(_enveloped(event))
        (batch,) = [batch async for batch in store.read_batches(datasets=False)]
        last = await store.read_last((subjects.ALL,), datasets=False)
        light = event.model_copy(update={"datasets": ()})
        for items in (batch, last or []):
            assert [item.event for item in items if isinstance(item, Recorded)] == [light]
        assert [item.event for item in await self._last(store, (subjects.ALL,))] == [event]

    async def test_the_last_event_of_each_subject_is_read_at_once(self, store: EventStore) -> None:
        """In order; and only what is new, if a position is given."""
        for request in "abc":
            await store.append(retry("s-1", request))
        await store.append(declined("s-1", "no"))
        last = await store.append(retry("s-1", "d"))
        await store.append(retry("s-2", "a"))
        filters = (subjects.of_session("s-1"),)
        events = [item.event for item in await self._last(store, filters)]
        assert [event.kind() for event in events] == ["consent-declined", "retry-requested"]
        (newest,) = await self._last(store, filters, after=last.sequence - 1)
        assert newest.envelope == retry("s-1", "d")
        assert await self._last(store, filters, after=last.sequence) == []
        assert await self._last(store, (subjects.of_session("nobody"),)) == []

    async def test_several_filters_are_alternatives_for_last_events(
        self, store: EventStore
    ) -> None:
        """Each event comes once."""
        await store.append(retry("s-1", "a"))
        await store.append(declined("s-1", "no"))
        filters = subjects.beside_files("s-1")
        assert len(await self._last(store, filters)) == 2

    async def test_too_many_subjects_for_one_answer_are_admitted(self, store: EventStore) -> None:
        """Whoever asked reads all events then; an answer that lacks some would be wrong."""
        many = [retry(f"s-{number}", "x") for number in range(MOST_SUBJECTS + 1)]
        await store.append_all(many)
        assert await store.read_last((subjects.ALL,)) is None
        (one,) = await self._last(store, (subjects.of_session("s-7"),))
        assert one.event.session == "s-7"

    async def _last(
        self, store: EventStore, filters: tuple[str, ...], after: int = 0
    ) -> list[Recorded]:
        items = await store.read_last(filters, after=after)
        assert items is not None
        return [item for item in items if isinstance(item, Recorded)]

    async def test_the_last_sequence_is_known(self, store: EventStore) -> None:
        """Of everything, and of a session."""
        assert await store.last_sequence() == 0
        first = await store.append(retry("s-1", "a"))
        second = await store.append(retry("s-2", "a"))
        assert await store.last_sequence() == second.sequence
        assert await store.last_sequence(subjects.of_session("s-1")) == first.sequence

    async def test_one_event_is_found_by_its_sequence(self, store: EventStore) -> None:
        """And none where there is none."""
        stored = await store.append(retry("s-1", "a"))
        found = await store.get(stored.sequence)
        assert isinstance(found, Recorded)
        assert found.envelope == retry("s-1", "a")
        assert await store.get(stored.sequence + 100) is None

    async def test_following_gives_what_was_and_what_comes(self, store: EventStore) -> None:
        """Without a gap between the two."""
        await store.append(retry("s-1", "before"))
        seen: list[str] = []
        async with aclosing(store.follow()) as following:
            async for item in following:
                assert not isinstance(item, Unreadable)
                seen.append(item.event.request)  # type: ignore[attr-defined]
                if len(seen) == 1:
                    await store.append(retry("s-1", "after"))
                if len(seen) == 2:
                    break
        assert seen == ["before", "after"]
