"""What is to be asked, as the events tell."""

from datetime import UTC, datetime, timedelta

from nexuslims_harvester.harvested import LONG_AGO, window_after

HOUR, OVERLAP = timedelta(hours=1), timedelta(days=7)


def test_sessions_that_are_still_on_are_asked_for_again_and_cancelled_ones_not(make_desk) -> None:
    now = datetime.now(UTC)
    held, still_on, cancelled = make_desk(), make_desk(), make_desk()
    first = held.entry().start
    held.hear(held.entry())
    still_on.hear(still_on.entry(start=first - 30 * HOUR, end=None))
    cancelled.hear(cancelled.entry(start=first - 90 * HOUR, end=None))
    cancelled.hear(cancelled.entry(start=first - 90 * HOUR, cancelled=True))
    states = [held.state, still_on.state, cancelled.state]
    assert window_after(states, now, OVERLAP).since == first - 30 * HOUR - OVERLAP
    assert window_after([cancelled.state], now, OVERLAP).since is None


def test_a_session_that_was_left_open_is_expected_and_costs_nothing(make_desk) -> None:
    held, forgotten = make_desk(), make_desk()
    start = held.entry().start
    held.hear(held.entry())
    forgotten.hear(forgotten.entry(id="forgotten", start=start - 9000 * HOUR, end=None))
    window = window_after([held.state, forgotten.state], datetime.now(UTC), OVERLAP)
    assert window.since == start - OVERLAP
    assert window.expected.keys() == {"1", "forgotten"}


def test_a_session_of_the_future_does_not_hide_the_present(processor) -> None:
    now = processor.entry().start
    processor.hear(processor.entry(start=now + 999 * HOUR, end=None), now=now + 1000 * HOUR)
    assert window_after([processor.state], now, OVERLAP).since == now - OVERLAP


def test_a_session_of_the_year_one_stops_no_harvest(processor) -> None:
    start = datetime(1, 1, 1, tzinfo=UTC)
    processor.hear(processor.entry(start=start, end=start + HOUR))
    assert window_after([processor.state], datetime.now(UTC), OVERLAP).since == LONG_AGO - OVERLAP


def test_what_ended_within_the_window_or_goes_on_is_expected(make_desk) -> None:
    recent, old, still_on = make_desk(), make_desk(), make_desk()
    start = recent.entry().start
    recent.hear(recent.entry(id="recent"))
    old.hear(old.entry(id="old", start=start - 9 * 24 * HOUR, end=start - 8 * 24 * HOUR))
    still_on.hear(still_on.entry(id="on", start=start - HOUR, end=None))
    states = [recent.state, old.state, still_on.state]
    assert window_after(states, datetime.now(UTC), OVERLAP).expected.keys() == {"recent", "on"}
    assert window_after(states, datetime.now(UTC), 2 * OVERLAP).expected.keys() == {
        "recent",
        "on",
        "old",
    }
