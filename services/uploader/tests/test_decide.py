"""What is done next for a session: a function of its events, and of who does not answer."""

from datetime import timedelta
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nexuslims_contracts.events import (
    Event,
    RecordUploaded,
    RecordWithdrawn,
    UploadFailed,
    UploadPlan,
    WithdrawalFailed,
)
from nexuslims_contracts.testing import SessionEvents, recorded
from nexuslims_shared.session.state import fold
from nexuslims_shared.session.status import exported
from nexuslims_uploader.decide import Append, Upload, Wait, Withdraw, next_action
from nexuslims_uploader.destination import UploadResult
from nexuslims_uploader.errors import PermanentUploadError
from nexuslims_uploader.guarded_calls import Deferred
from nexuslims_uploader.outcomes import (
    Withdrawn,
    after_conflict,
    upload_events,
    withdrawal_events,
)
from nexuslims_uploader.record_state import RecordState

ONE, TWO = b"one", b"two"
NAMES = ("a", "b", "c")
SECOND = timedelta(seconds=1)
SESSION = SessionEvents()


def uploaded(content: bytes, wanted: UploadPlan, name: str = "a", after: int = 0) -> RecordUploaded:
    return SESSION.uploaded(content, plan=wanted, destination=name, after=after)


def failed(
    content: bytes, wanted: UploadPlan, name: str = "a", *, permanent: bool = True
) -> UploadFailed:
    return SESSION.upload_failed(content, plan=wanted, destination=name, permanent=permanent)


def state_of(*events: Event) -> RecordState:
    return RecordState.of(fold(recorded(events)))


def plan(strategy: str = "all", names: tuple[str, ...] = NAMES) -> UploadPlan:
    return UploadPlan(strategy=strategy, destinations=names)


def asked(state: RecordState, wanted: UploadPlan, *away: str) -> tuple[str, ...]:
    """Which destinations would be tried, if none of them answered."""
    waiting, names = dict.fromkeys(away, SECOND), []
    while isinstance(action := next_action(state, wanted, waiting), Upload | Withdraw):
        names.append(action.destination)
        waiting[action.destination] = SECOND
    return tuple(names)


@pytest.fixture
def begun(facts) -> list[Event]:
    return [facts.matched(), facts.ended(), facts.built(2, ONE)]


@pytest.mark.parametrize("strategy", ["all", "best_effort"])
def test_a_new_record_goes_everywhere_in_order(facts, begun, strategy) -> None:
    assert next_action(state_of(*begun), plan(strategy), {}) == Upload("a")
    assert asked(state_of(*begun), plan(strategy)) == NAMES


def test_only_what_is_missing_is_tried(facts, begun) -> None:
    state = state_of(*begun, uploaded(ONE, plan(), "b"))
    assert asked(state, plan()) == ("a", "c")
    everywhere = [uploaded(ONE, plan(), name) for name in NAMES]
    assert next_action(state_of(*begun, *everywhere), plan(), {}) is None


def test_a_refusal_stands_until_a_retry_or_another_record(facts, begun) -> None:
    refused = [*begun, failed(ONE, plan(), "a"), uploaded(ONE, plan(), "b")]
    assert asked(state_of(*refused), plan()) == ("c",)
    assert asked(state_of(*refused, facts.retry()), plan()) == ("a", "c")
    assert asked(state_of(*refused, facts.built(5, TWO)), plan()) == NAMES


def test_the_same_bytes_built_again_are_not_uploaded_again(facts, begun) -> None:
    uploads = [uploaded(ONE, plan(), name) for name in NAMES]
    assert next_action(state_of(*begun, *uploads, facts.built(6, ONE)), plan(), {}) is None


def test_a_record_rebuilt_without_upload_waits_until_it_is_built_again(facts, begun) -> None:
    kept = facts.built(6, TWO, upload=False)
    assert next_action(state_of(*begun, kept), plan(), {}) is None
    again = [kept, facts.retry(), facts.built(7, TWO)]
    assert next_action(state_of(*begun, *again), plan(), {}) == Upload("a")


def test_a_destination_that_is_away_is_tried_again_but_not_at_once(facts, begun) -> None:
    state = state_of(*begun, failed(ONE, plan(), "a", permanent=False))
    assert asked(state, plan()) == NAMES
    assert asked(state, plan(), "a") == ("b", "c")
    assert next_action(state, plan(), {"a": 3 * SECOND, "b": SECOND, "c": 2 * SECOND}) == Wait(
        SECOND, "a, b, c is away"
    )


def test_first_success_waits_for_one_that_is_away_only_for_a_moment(facts, begun) -> None:
    first = plan("first_success")
    assert next_action(state_of(*begun), first, {"a": SECOND}) == Wait(SECOND, "a is away")
    for_long = state_of(*begun, failed(ONE, first, "a", permanent=False))
    assert next_action(for_long, first, {"a": SECOND}) == Upload("b")
    for_good = state_of(*begun, failed(ONE, first, "a"))
    assert next_action(for_good, first, {}) == Upload("b")


def test_first_success_ends_with_the_first_that_takes_the_record(facts, begun) -> None:
    first = plan("first_success")
    assert next_action(state_of(*begun), first, {}) == Upload("a")
    state = state_of(*begun, uploaded(ONE, first, "b"))
    assert next_action(state, first, {}) is None


def test_first_success_replaces_the_record_where_it_is(facts, begun) -> None:
    first = plan("first_success")
    events = [*begun, failed(ONE, first, "a"), uploaded(ONE, first, "b")]
    events += [facts.built(5, TWO)]
    assert next_action(state_of(*events), first, {}) == Upload("b")
    events += [failed(TWO, first, "b")]
    assert next_action(state_of(*events), first, {}) == Upload("a")


@pytest.mark.parametrize("end", ["declined", "cancelled", "rejected", "in use again"])
def test_nothing_is_uploaded_that_may_not_be(facts, begun, end) -> None:
    later = {
        "declined": facts.declined(after=1),
        "cancelled": facts.cancelled(after=2),
        "rejected": facts.rejected(3),
        "in use again": facts.revised(end=None, after=2),
    }[end]
    assert isinstance(next_action(state_of(*begun), plan(), {}), Upload)
    action = next_action(state_of(*begun, later), plan(), dict.fromkeys(NAMES))
    assert action is None
    assert next_action(state_of(*begun[:2]), plan(), {}) is None


def test_a_declined_record_is_withdrawn_everywhere_before_anything_else(facts, begun) -> None:
    state = state_of(*begun, uploaded(ONE, plan(), "b"), facts.declined())
    assert next_action(state, plan(), {}) == Withdraw("a")
    assert asked(state, plan()) == NAMES
    assert next_action(state, plan(), {"a": None, "b": SECOND}) == Withdraw("c")
    assert next_action(state, plan(), {"a": None, "b": SECOND, "c": None}) == Wait(
        SECOND, "b is away"
    )


def test_a_destination_that_is_not_in_use_cannot_withdraw(facts, begun) -> None:
    state = state_of(*begun, uploaded(ONE, plan(), "b"), facts.declined())
    action = next_action(state, plan(names=("a",)), {"a": None})
    assert isinstance(action, Append)
    assert isinstance(action.event, WithdrawalFailed)
    assert (action.event.destination, action.event.permanent) == ("b", True)
    assert "NX_DESTINATIONS" in action.event.reason


def test_where_the_record_is_is_stated_again_when_it_means_something_else(facts, begun) -> None:
    events = [*begun, uploaded(ONE, plan(), "a"), failed(ONE, plan(), "b")]
    state = state_of(*events, failed(ONE, plan(), "c"))
    assert next_action(state, plan(), {}) is None
    action = next_action(state, plan(names=("a",)), {})
    assert isinstance(action, Append)
    assert (action.event.destination, action.event.plan) == ("a", plan(names=("a",)))
    assert action.event.after == 4


def test_where_the_record_is_is_known_after_a_failure_too(facts, begun) -> None:
    events = [*begun, uploaded(ONE, plan()), facts.built(4, TWO), failed(TWO, plan())]
    state = state_of(*events)
    assert state.results() == {"a": UploadResult("1")}
    assert state.last_sequence(uploaded(TWO, plan())) == 4
    assert state.last_sequence(failed(TWO, plan())) == 6
    assert state.last_sequence(uploaded(TWO, plan(), "b")) == 0


class TestAfterConflict:
    """Another uploader appended an event about the same destination first."""

    def test_the_same_record_needs_no_second_event(self, facts, begun) -> None:
        state = state_of(*begun, uploaded(ONE, plan()))
        assert after_conflict(uploaded(ONE, plan()), state) is None

    def test_an_older_record_that_lies_over_a_newer_is_stated(self, facts, begun) -> None:
        newer = [facts.built(4, TWO), uploaded(TWO, plan())]
        event = after_conflict(uploaded(ONE, plan()), state_of(*begun, *newer))
        assert event == uploaded(ONE, plan(), after=5)
        assert next_action(state_of(*begun, *newer, event), plan(), {}) == Upload("a")

    def test_a_record_that_was_withdrawn_after_it_came_back_is_uploaded_again(self, facts, begun):
        back = [uploaded(ONE, plan()), facts.declined(), _withdrawn(4)]
        back += [
            facts.matched(after=5),
            uploaded(ONE, plan(), after=6),
        ]
        event = after_conflict(_withdrawn(4), state_of(*begun, *back))
        assert event == _withdrawn(8)
        state = state_of(*begun, *back, event)
        assert next_action(state, plan(), {}) == Upload("a")
        assert after_conflict(_withdrawn(4), state) is None

    def test_a_failure_changed_nothing(self, facts, begun) -> None:
        state = state_of(*begun, uploaded(TWO, plan()))
        assert after_conflict(failed(ONE, plan()), state) is None


def _withdrawn(after: int) -> RecordWithdrawn:
    return SESSION.withdrawn(ONE, plan=plan(), destination="a", after=after)


TAKES: Final = ("takes", "takes", "takes")
answers = st.sampled_from(["takes", "refuses", "away", "away for long"])
changes = st.sampled_from(["built one", "built two", "retry", "declined", "matched"])
steps = st.lists(st.one_of(st.tuples(answers, answers, answers), changes), max_size=10)


@example([TAKES, "declined", TAKES, "declined", ("takes", "takes", "refuses")], "all")
@given(steps, st.sampled_from(["all", "best_effort", "first_success"]))
def test_handling_ends_and_agrees_with_the_status(facts, steps, strategy) -> None:
    """Whatever happens, the destinations hold what the events say when nothing is left to do."""
    wanted = plan(strategy)
    events: list[Event] = [facts.matched(), facts.ended(), facts.built(2, ONE)]
    held: dict[str, str] = {}
    for step in [*steps, ("takes",) * 3]:
        if isinstance(step, str):
            events.append(_change(facts, step, len(events)))
            continue
        action, asked_for = _handle(
            facts, events, wanted, dict(zip(NAMES, step, strict=True)), held
        )
        state = state_of(*events)
        assert {name: one.event.record_sha256 for name, one in state.held.items()} == held
        assert (action is None) == all(fate in ("takes", "refuses") for fate in asked_for)
        if action is None and not state.withdrawn:
            assert exported(state.session, wanted) is not None


def _change(facts, step: str, after: int) -> Event:
    match step:
        case "built one" | "built two":
            return facts.built(after, step.encode())
        case "retry":
            return facts.retry(str(after))
        case "declined":
            return facts.declined(after=after)
        case _:
            return facts.matched(after=after)


def _handle(facts, events: list[Event], wanted: UploadPlan, fates: dict[str, str], held):
    """Do what is due, as the uploader does, at destinations that are a table."""
    waiting: dict[str, timedelta | None] = {}
    asked_for: list[str] = []
    for _ in range(10):
        state = state_of(*events)
        action = next_action(state, wanted, waiting)
        if not isinstance(action, Upload | Withdraw):
            return action, asked_for
        name = action.destination
        asked_for.append(fates[name])
        outcome = _ask(fates[name], name)
        if isinstance(action, Upload):
            stated = upload_events(outcome or UploadResult("1"), state, wanted, name)
            if outcome is None:
                held[name] = stated[-1].record_sha256
        else:
            stated = withdrawal_events(outcome or Withdrawn(), state, wanted, name)
            if outcome is None:
                held.pop(name, None)
        if isinstance(outcome, Deferred):
            waiting[name] = outcome.delay
        elif not stated:
            waiting[name] = None
        events += stated
    pytest.fail("the same destinations are asked again and again")


def _ask(fate: str, name: str) -> PermanentUploadError | Deferred | None:
    if fate == "refuses":
        return PermanentUploadError("no", destination=name, session="s", remedy="change it")
    return None if fate == "takes" else Deferred(SECOND, "away", lasting=fate == "away for long")
