"""When it is looked again."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from nexuslims_indexer.schedule import LONGEST, QUIET, SHORTEST, Occasion, next_look

END = datetime(2026, 3, 1, 12, tzinfo=UTC)
DELAY = timedelta(days=2)
LIVE = timedelta(seconds=10)


def wait(since_end: timedelta, *, is_decided: bool = True) -> timedelta | None:
    last = END + since_end
    due = next_look([Occasion(END, is_decided)], last, DELAY, LIVE)
    return None if due is None else due - last


def test_intervals_grow_until_the_delay_is_over_and_end_with_it() -> None:
    assert wait(timedelta(0)) == SHORTEST
    assert wait(timedelta(minutes=100)) == timedelta(minutes=10)
    assert wait(timedelta(days=1)) == LONGEST
    assert wait(DELAY - timedelta(minutes=9)) == timedelta(minutes=9)
    assert wait(DELAY) is None


def test_a_session_that_has_just_ended_is_left_alone_for_a_moment() -> None:
    assert wait(timedelta(seconds=-30), is_decided=False) == timedelta(seconds=30) + QUIET
    assert wait(timedelta(days=9), is_decided=False) == SHORTEST


def test_a_session_that_goes_on_is_looked_at_all_the_time() -> None:
    sessions = [Occasion(END - timedelta(hours=9), is_decided=True), Occasion(None, False)]
    assert next_look(sessions, END, DELAY, LIVE) == END + LIVE
    assert next_look([], END, DELAY, LIVE) is None


moments = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=3))


@settings(deadline=None)
@given(st.lists(st.tuples(moments, st.booleans()), max_size=5), moments)
def test_it_never_looks_at_once_again_nor_later_than_the_longest_interval(sessions, last) -> None:
    occasions = [Occasion(END + end, is_decided) for end, is_decided in sessions]
    now = END + last
    due = next_look(occasions, now, DELAY, LIVE)
    if due is not None:
        assert due >= now + SHORTEST
    if any(one.end and one.end <= now < one.end + DELAY for one in occasions):  # one still waits
        assert due is not None
        assert due <= now + LONGEST
