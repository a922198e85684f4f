"""Periods: names, numbers and subjects that lead back to where they come from."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexuslims_contracts import events, periods, subjects
from nexuslims_contracts.periods import ALL, MESSAGES, Period, message_of
from nexuslims_contracts.topology import (
    BUCKETS_READ_BY,
    BUILDER,
    EVENTS,
    STATED_BY,
    consumer_in,
    events_of,
    keys_written_by,
    subjects_stated_by,
)

LENGTHS = st.sampled_from(["all", "year", "quarter", "month"])
_STARTS = st.datetimes(max_value=datetime(8999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - naive for hypothesis
PERIODS = st.builds(Period.holding, _STARTS, LENGTHS)
DAY = datetime(2026, 8, 17, 23, 30, tzinfo=timezone(timedelta(hours=-2)))


@pytest.mark.parametrize(
    ("length", "name", "number"),
    [
        ("all", "all", 0),
        ("year", "2026", 202600),
        ("quarter", "2026-Q3", 202623),
        ("month", "2026-08", 202608),
    ],
)
def test_a_start_decides_the_period(length: periods.PeriodLength, name: str, number: int) -> None:
    """By its date in UTC."""
    period = Period.holding(DAY, length)
    assert (period.name, period.number) == (name, number)
    assert Period.named(name) == period


def test_the_date_is_that_of_utc() -> None:
    """So that every process finds the same one."""
    eve = datetime(2026, 12, 31, 23, 0, tzinfo=timezone(timedelta(hours=-5)))
    assert Period.holding(eve, "year").name == "2027"


@given(PERIODS)
def test_names_and_streams_lead_back(period: Period) -> None:
    """Whatever the period."""
    assert Period.named(period.name) == period
    assert Period.of_stream(period.stream) == period


@given(PERIODS, st.integers(min_value=0, max_value=MESSAGES - 1))
def test_a_sequence_names_one_message_of_one_stream(period: Period, message: int) -> None:
    """And fits a JSON number."""
    sequence = period.sequence(message)
    assert (Period.of(sequence), message_of(sequence)) == (period, message)
    assert sequence < 2**53


@given(PERIODS, PERIODS, st.integers(min_value=1), st.integers(min_value=1))
def test_sequences_of_later_periods_are_higher(
    one: Period, other: Period, first: int, second: int
) -> None:
    """Whatever was stored when."""
    low, high = sorted((one, other))
    if low != high:
        assert low.sequence(first % MESSAGES) < high.sequence(second % MESSAGES)


@given(PERIODS)
def test_subjects_lead_back(period: Period) -> None:
    """From the stream to the event, and no two periods share one."""
    subject = subjects.session_subject("nemo-1-usage-5", "session-ended")
    stored = period.subject(subject)
    assert period.without(stored) == subject
    assert subjects.matches(period.subject(subjects.ALL), stored)
    assert subjects.matches(events_of(period).subjects[0], stored)
    if period != ALL:
        assert not subjects.matches(subjects.ALL, stored)


@pytest.mark.parametrize("name", ["", "26", "2026-13", "2026-Q5", "2026-7", "ALL", "2026-07-01"])
def test_other_names_are_refused(name: str) -> None:
    """With what a name looks like."""
    with pytest.raises(ValueError, match="2026-Q3"):
        Period.named(name)


def test_other_streams_are_no_periods() -> None:
    """Buckets and dead letters."""
    assert Period.of_stream("KV_NEXUS_PEOPLE") is None
    assert Period.of_stream("NEXUS_DEAD_LETTERS") is None


@pytest.mark.parametrize(
    ("length", "names"),
    [
        ("all", ["all"]),
        ("year", ["2026", "2027"]),
        ("quarter", ["2026-Q4", "2027-Q1"]),
        ("month", ["2026-12", "2027-01"]),
    ],
)
def test_the_next_period_is_known_ahead(length: periods.PeriodLength, names: list[str]) -> None:
    """Across the turn of the year too."""
    now = datetime(2026, 12, 31, tzinfo=UTC)
    assert [one.name for one in periods.upcoming(now, length)] == names


def test_the_first_stream_stays_as_it_was() -> None:
    """No facility has to move its log."""
    assert events_of(ALL) is EVENTS
    assert (EVENTS.name, EVENTS.subjects) == ("NEXUS_EVENTS", ("nexus.events.>",))
    assert consumer_in(ALL, BUILDER) == BUILDER


def test_a_consumer_takes_the_subjects_of_its_period() -> None:
    """All of them, under the same name."""
    there = consumer_in(Period.named("2026"), BUILDER)
    assert there.name == BUILDER.name
    assert len(there.filters) == len(BUILDER.filters)
    assert all(one.startswith("nexus.period.2026.*.") for one in there.filters)


@pytest.mark.parametrize("service", STATED_BY)
def test_rights_follow_from_what_a_service_does(service: str) -> None:
    """It publishes what it states, in any period, and writes only what it also reads."""
    allowed = subjects_stated_by(service)
    for model in events.EVENT_TYPES.values():
        concrete = model.filter().replace("*", "token")
        for period in (ALL, Period.named("2026")):
            may = any(subjects.matches(one, period.subject(concrete)) for one in allowed)
            assert may == (model in STATED_BY[service])
    assert keys_written_by(service).keys() <= set(BUCKETS_READ_BY[service])
