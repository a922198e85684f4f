"""A destination that is away is left alone, and found again by one upload."""

from datetime import UTC, datetime, timedelta

import pytest

from nexuslims_uploader.breaker import TOLERATED, CircuitBreaker
from nexuslims_uploader.errors import RefusedError, TransientUploadError
from nexuslims_uploader.guarded_calls import ATTEMPTS_BEFORE_FAILURE, Deferred, GuardedCalls
from nexuslims_uploader.testing import record_to_upload

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def outage(retry_after: timedelta | None = None) -> TransientUploadError:
    return TransientUploadError(
        "no answer", destination="far", session="a", remedy="wait", retry_after=retry_after
    )


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock) -> CircuitBreaker:
    return CircuitBreaker(clock, lambda: NOON)


def fail(breaker: CircuitBreaker, **options) -> None:
    with breaker.asking() as begun:
        breaker.failed(begun, outage(**options))


def fail_for_long(breaker: CircuitBreaker) -> None:
    for _ in range(TOLERATED + 1):
        fail(breaker)


def test_the_pause_doubles_and_ends_with_an_answer(breaker, clock) -> None:
    pauses = []
    for _ in range(TOLERATED):
        fail(breaker)
        assert breaker.wait() is None
    for _ in range(10):
        fail(breaker)
        pauses.append(breaker.wait().total_seconds())
        clock.seconds += pauses[-1]
        assert breaker.wait() is None
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert (breaker.outage.since, breaker.outage.failures) == (NOON, TOLERATED + 10)
    breaker.answered()
    fail(breaker)
    assert breaker.wait() is None


def test_it_may_ask_for_a_longer_pause(breaker) -> None:
    fail(breaker, retry_after=timedelta(seconds=90))
    assert breaker.wait() == timedelta(seconds=90)
    fail(breaker, retry_after=timedelta(days=9))
    assert breaker.wait() == timedelta(hours=1)


def test_uploads_that_were_under_way_together_fail_once(breaker) -> None:
    with breaker.asking() as one, breaker.asking() as two:
        breaker.failed(one, outage())
        breaker.failed(two, outage())
    assert breaker.outage.failures == 1


def test_one_asks_while_the_others_wait(breaker, clock) -> None:
    fail_for_long(breaker)
    clock.seconds += 1
    with breaker.asking():
        assert breaker.wait() == timedelta(seconds=1)
    assert breaker.wait() is None


def test_one_that_dies_asking_does_not_keep_the_others_waiting(breaker, clock) -> None:
    fail_for_long(breaker)
    clock.seconds += 1
    with pytest.raises(KeyboardInterrupt), breaker.asking():
        raise KeyboardInterrupt
    assert breaker.wait() is None


class Far:
    """A destination that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0
        self.error: Exception | None = None

    async def __call__(self) -> None:
        self.calls += 1
        if self.error:
            raise self.error


async def test_a_queue_does_not_hammer_one_that_is_down(clock) -> None:
    calls, far, near = GuardedCalls(["far", "near"], clock=clock, now=lambda: NOON), Far(), Far()
    far.error = outage()
    records = [record_to_upload(session=f"file-{number}") for number in range(50)]
    stated = set()
    for _ in range(60):
        clock.seconds += 1
        for record in records:
            outcome = await calls.call("far", record, far)
            assert isinstance(outcome, Deferred)
            if outcome.lasting:
                stated.add(record.session)
            assert await calls.call("near", record, near) is None
    assert far.calls <= TOLERATED + 7
    assert near.calls == 3000
    assert len(stated) == 50
    (note,) = calls.notes().values()
    assert note.startswith("away since 2026-01-01 12:00 UTC")
    assert "50 sessions wait: no answer; wait" in note
    far.error = None
    clock.seconds += 300
    for record in records:
        assert await calls.call("far", record, far) is None
    assert calls.notes() == {}


async def test_a_refusal_is_an_answer(clock) -> None:
    calls, far = GuardedCalls(["far"], clock=clock), Far()
    far.error = outage()
    await calls.call("far", record_to_upload(), far)
    clock.seconds += 10
    far.error = RefusedError("no", destination="far", session="a", remedy="")
    assert await calls.call("far", record_to_upload(), far) is far.error
    assert calls.notes() == {}


async def test_one_poisonous_record_does_not_keep_the_others_away(clock) -> None:
    """A record on which the server always dies comes ever more slowly; the others pass."""
    calls, poison, well = GuardedCalls(["far"], clock=clock), Far(), Far()
    poison.error = outage()
    bad, good = record_to_upload(session="bad"), record_to_upload(session="good")
    delay = 0.0
    for attempt in range(ATTEMPTS_BEFORE_FAILURE):
        outcome = await calls.call("far", bad, poison)
        assert isinstance(outcome, Deferred)
        assert outcome.delay.total_seconds() > delay
        delay = outcome.delay.total_seconds()
        assert outcome.lasting == (attempt == ATTEMPTS_BEFORE_FAILURE - 1)
        clock.seconds += 1
        assert await calls.call("far", good, well) is None
        clock.seconds += delay
