"""Which destinations are tried, as a fold over what they said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexuslims_contracts.events import (
    ConsentDeclined,
    Event,
    RecordRejected,
    SessionCancelled,
    SessionRevised,
    UploadPlan,
)
from nexuslims_shared.session.status import exported
from nexuslims_uploader.decide import SessionHistory, decide, forget_uploads
from nexuslims_uploader.destination import UploadResult

ONE, TWO = b"one", b"two"
NAMES = ("a", "b", "c")


def plan(strategy: str = "all") -> UploadPlan:
    return UploadPlan(strategy=strategy, destinations=NAMES)


@pytest.fixture
def begun(facts) -> list[Event]:
    return [facts.matched(), facts.ended(), facts.built(ONE)]


@pytest.mark.parametrize("strategy", ["all", "best_effort", "first_success"])
def test_a_new_record_goes_everywhere_in_order(facts, begun, strategy) -> None:
    assert decide(facts.state(*begun), plan(strategy)) == NAMES


def test_only_what_is_missing_is_tried(facts, begun) -> None:
    state = facts.state(*begun, facts.uploaded(ONE, plan(), "b"))
    assert decide(state, plan()) == ("a", "c")
    assert decide(state, plan("first_success")) == ()


def test_a_refusal_stands_until_a_retry_or_another_record(facts, begun) -> None:
    refused = [*begun, facts.failed(ONE, plan(), "a"), facts.uploaded(ONE, plan(), "b")]
    assert decide(facts.state(*refused), plan()) == ("c",)
    assert decide(facts.state(*refused, facts.retry()), plan()) == ("a", "c")
    assert decide(facts.state(*refused, facts.built(TWO, 5)), plan()) == NAMES


def test_the_same_bytes_built_again_are_not_brought_again(facts, begun) -> None:
    uploads = [facts.uploaded(ONE, plan(), name) for name in NAMES]
    assert decide(facts.state(*begun, *uploads, facts.built(ONE, 6)), plan()) == ()


def test_a_destination_that_is_away_is_tried_again_but_not_at_once(facts, begun) -> None:
    state = facts.state(*begun, facts.failed(ONE, plan(), "a", permanent=False))
    assert decide(state, plan()) == NAMES
    assert decide(state, plan(), tried={"a"}) == ("b", "c")


def test_first_success_waits_for_one_that_is_away_only_for_a_moment(facts, begun) -> None:
    first = plan("first_success")
    assert decide(facts.state(*begun), first, tried={"a"}) == ()
    for_long = facts.state(*begun, facts.failed(ONE, first, "a", permanent=False))
    assert decide(for_long, first, tried={"a"}) == ("b", "c")
    for_good = facts.state(*begun, facts.failed(ONE, first, "a"))
    assert decide(for_good, first) == ("b", "c")


def test_first_success_replaces_the_record_where_it_is(facts, begun) -> None:
    first = plan("first_success")
    events = [*begun, facts.failed(ONE, first, "a"), facts.uploaded(ONE, first, "b")]
    assert decide(facts.state(*events, facts.built(TWO, 5)), first) == ("b", "a", "c")


@pytest.mark.parametrize("end", ["declined", "cancelled", "rejected", "in use again"])
def test_nothing_leaves_that_may_not(facts, begun, end) -> None:
    common = {"session": facts.session, "reason": "no"}
    ended = facts.ended()
    later = {
        "declined": ConsentDeclined(**common, tier="calendar", after=1),
        "cancelled": SessionCancelled(**common, after=2),
        "rejected": RecordRejected(
            session=facts.session,
            problems=("no",),
            inputs_through_seq=3,
            inputs_digest="d",
            builder="1",
        ),
        "in use again": SessionRevised(
            session=facts.session, instrument=ended.instrument, start=ended.start, after=2
        ),
    }[end]
    assert decide(facts.state(*begun), plan()) == NAMES
    assert decide(facts.state(*begun, later), plan()) == ()
    assert decide(facts.state(*begun[:2]), plan()) == ()


def test_a_story_knows_where_the_record_is_after_a_failure_too(facts, begun) -> None:
    events = [*begun, facts.uploaded(ONE, plan()), facts.built(TWO, 4), facts.failed(TWO, plan())]
    history = SessionHistory.of(facts.record(*events))
    assert history.results() == {"a": UploadResult("1")}
    assert history.last_sequence(events[3].subject) == 4
    assert history.last_sequence("elsewhere") == 0


def test_what_is_unsaid_is_tried_again(facts, begun) -> None:
    state = facts.state(*begun, *(facts.uploaded(ONE, plan(), name) for name in NAMES))
    assert decide(forget_uploads(state, {"b", "z"}), plan()) == ("b",)


outcomes = st.sampled_from(["uploaded", "refused", "away"])
steps = st.lists(
    st.one_of(st.tuples(outcomes, st.sampled_from(NAMES)), st.just(("retry", "")))
    | st.tuples(st.just("built"), st.sampled_from(["one", "two"])),
    max_size=12,
)


@given(steps, st.sampled_from(["all", "best_effort", "first_success"]))
def test_decisions_and_status_agree(facts, steps, strategy) -> None:
    """What is done everywhere is left alone; what nobody knows yet is tried."""
    wanted = plan(strategy)
    events: list[Event] = [facts.matched(), facts.ended(), facts.built(ONE)]
    content = ONE
    for number, (step, what) in enumerate(steps):
        match step:
            case "built":
                content = what.encode()
                events.append(facts.built(content, number + 3))
            case "retry":
                events.append(facts.retry(str(number)))
            case "uploaded":
                events.append(facts.uploaded(content, wanted, what, after=number))
            case _:
                events.append(facts.failed(content, wanted, what, permanent=step == "refused"))
    state = facts.state(*events)
    due = decide(state, wanted)
    if exported(state, wanted) is None:
        assert due
    if exported(state, wanted) is True and strategy != "best_effort":
        assert not due
    assert len(set(due)) == len(due)
