"""The fold: pure, total, commuting, incremental; and what its states mean."""

import time
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from nexuslims_contracts.envelope import Recorded, envelop
from nexuslims_contracts.events import (
    ConsentDeclined,
    Event,
    FilesNotFound,
    RebuildRequested,
    RecordRejected,
    RecordUploaded,
    RecordWithdrawn,
    RetryRequested,
    SessionCancelled,
    SessionRevised,
    UploadFailed,
    UploadPlan,
    WithdrawalFailed,
    WithdrawalRequested,
)
from nexuslims_shared.session.state import INITIAL, evolve, fold
from nexuslims_shared.session.status import (
    Status,
    exported,
    files_complete,
    holding,
    is_stale,
    progress,
    standing_uploads,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PLAN = UploadPlan(strategy="all", destinations=("archive",))


def record(events: list[Event]) -> list[Recorded]:
    return [
        Recorded(envelop(event, source="test", time=NOW), number, NOW)
        for number, event in enumerate(events, start=1)
    ]


def uploaded(session: str, destination: str = "archive", plan: UploadPlan = PLAN) -> RecordUploaded:
    return RecordUploaded(
        session=session,
        destination=destination,
        record_sha256="a" * 64,
        record_id="r",
        plan=plan,
        after=0,
    )


def not_uploaded(session: str, destination: str, plan: UploadPlan) -> UploadFailed:
    return UploadFailed(
        session=session,
        destination=destination,
        record_sha256="a" * 64,
        reason="down",
        permanent=False,
        plan=plan,
        after=0,
    )


def withdrawn_from(session: str, destination: str = "archive") -> RecordWithdrawn:
    return RecordWithdrawn(
        session=session,
        destination=destination,
        record_sha256="a" * 64,
        record_id="17",
        reason="no",
        plan=PLAN,
        after=0,
    )


def withdrawal_failed(session: str, destination: str = "archive") -> WithdrawalFailed:
    return WithdrawalFailed(
        session=session,
        destination=destination,
        record_sha256="a" * 64,
        reason="403",
        permanent=True,
        plan=PLAN,
        after=0,
    )


def eventful(facts) -> list[Event]:
    """A session in which everything happens that can."""
    return [
        *facts.history(),
        RebuildRequested(session=facts.session, request="r1", re_extract=True),
        facts.indexed(4),
        RebuildRequested(session=facts.session, request="r2", re_extract=True, extractor="dm"),
        facts.manifest(3, after=7, gone=(2,)),
        facts.extracted(1, "r1"),
        facts.extracted(3, "r1"),
        facts.extracted(4, "r1"),
        ConsentDeclined(session=facts.session, tier="calendar", reason="no", after=2),
        facts.matched(after=18),
        SessionCancelled(session=facts.session, reason="by mistake", after=3),
        SessionRevised(
            session=facts.session,
            instrument=facts.ended().instrument,
            start=facts.ended().start,
            end=facts.ended().end,
            after=20,
        ),
        RetryRequested(session=facts.session, request="t"),
        facts.built(22, "b" * 64),
        uploaded(facts.session),
        WithdrawalRequested(session=facts.session, request="w"),
        withdrawal_failed(facts.session),
        withdrawn_from(facts.session),
        WithdrawalRequested(session=facts.session, request="u", withdrawn=False),
    ]


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_order_and_any_duplication_give_the_same_state(facts, data) -> None:
    events = record(eventful(facts))
    deliveries = data.draw(
        st.permutations(events + data.draw(st.lists(st.sampled_from(events), max_size=10)))
    )
    assert fold(deliveries) == fold(events)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_folding_in_two_steps_is_folding_at_once(facts, data) -> None:
    events = record(eventful(facts))
    cut = data.draw(st.integers(0, len(events)))
    assert fold(events[cut:], fold(events[:cut])) == fold(events)


def test_evolve_does_not_touch_the_state_it_gets(facts) -> None:
    events = record(facts.history())
    before = fold(events[:5])
    copy = fold(events[:5])
    evolve(before, events[5])
    assert before == copy


def test_a_session_goes_through_the_incumbents_statuses(facts) -> None:
    events = record([*facts.history(), uploaded(facts.session)])
    phases = [progress(fold(events[:count])).phase for count in range(1, len(events) + 1)]
    assert phases == [
        "in use",
        "in use",
        "looking for files",
        "looking for files",
        "looking for files",
        "looking for files",
        "extracting 0 of 3",
        "extracting 1 of 3",
        "extracting 2 of 3",
        "building",
        "uploading",
        "done",
    ]
    assert progress(fold(events)).status is Status.COMPLETED


def test_whatever_comes_after_a_record_makes_it_stale(facts) -> None:
    history = facts.history()
    assert not is_stale(fold(record(history)))
    assert is_stale(fold(record([*history, facts.matched(after=2)])))
    assert is_stale(fold(record([*history, facts.indexed(9)])))
    assert not is_stale(fold(record([*history, uploaded(facts.session)])))


def test_files_that_a_later_scan_did_not_find_are_no_longer_waited_for(facts) -> None:
    history = [*facts.history()[:9], facts.manifest(2, after=7, gone=(3,))]
    state = fold(record(history))
    assert files_complete(state)
    assert facts.token(3) not in state.current_files()


def test_a_request_to_read_again_waits_for_every_file(facts) -> None:
    request = RebuildRequested(session=facts.session, request="r1", re_extract=True)
    events = record([*facts.history(), request])
    assert progress(fold(events)).phase == "extracting 0 of 3"


def test_a_request_for_one_extractor_waits_for_its_files_only(facts) -> None:
    history = facts.history()
    others = RebuildRequested(
        session=facts.session, request="r1", re_extract=True, extractor="fei_tiff"
    )
    assert files_complete(fold(record([*history, others])))
    its = others.model_copy(update={"extractor": "dm"})
    # one of the three failed before an extractor was chosen
    assert progress(fold(record([*history, its]))).phase == "extracting 1 of 3"
    read = [facts.extracted(number, "r1") for number in (1, 2, 3)]
    assert files_complete(fold(record([*history, its, others, *read])))


def test_a_request_for_one_extractor_does_not_forget_one_for_all(facts) -> None:
    everything = RebuildRequested(session=facts.session, request="r1", re_extract=True)
    one = everything.model_copy(update={"request": "r2", "extractor": "fei_tiff"})
    assert not files_complete(fold(record([*facts.history(), everything, one])))


def test_a_later_failure_does_not_erase_an_earlier_success(facts) -> None:
    state = fold(record([*facts.history(), facts.failed(1)]))
    assert state.files[facts.token(1)].extracted is not None


def test_statuses_in_which_nothing_more_happens(facts) -> None:
    declined = ConsentDeclined(session=facts.session, tier="calendar", reason="no", after=0)
    missing = FilesNotFound(
        session=facts.session,
        start=NOW,
        end=NOW,
        searched="Titan_TEM",
        waited_until=NOW,
        after=0,
    )
    rejected = RecordRejected(
        session=facts.session,
        problems=("invalid",),
        inputs_through_seq=10,
        inputs_digest="d",
        builder="1",
    )
    early, whole = facts.history()[:3], facts.history()[:10]
    assert progress(fold(record([*early, declined]))).status is Status.NO_CONSENT
    assert progress(fold(record([*early, missing]))).status is Status.NO_FILES_FOUND
    assert progress(fold(record([*whole, rejected]))).status is Status.ERROR


def test_export_strategies(facts) -> None:
    def status(strategy: str, *outcomes: bool) -> Status:
        names = tuple(f"d{number}" for number in range(len(outcomes)))
        plan = UploadPlan(strategy=strategy, destinations=names)
        uploads = [
            uploaded(facts.session, name, plan) if ok else not_uploaded(facts.session, name, plan)
            for name, ok in zip(names, outcomes, strict=True)
        ]
        return progress(fold(record([*facts.history(), *uploads]))).status

    assert status("all", True, True) is Status.COMPLETED
    assert status("all", True, False) is Status.BUILT_NOT_EXPORTED
    assert status("best_effort", True, False) is Status.COMPLETED
    assert status("best_effort", False, False) is Status.BUILT_NOT_EXPORTED
    assert status("first_success", False, True) is Status.COMPLETED
    assert status("first_success", False, False) is Status.BUILT_NOT_EXPORTED


def test_a_retry_makes_a_failed_upload_undecided(facts) -> None:
    plan = UploadPlan(strategy="all", destinations=("archive", "cdcs"))
    before = [
        *facts.history(),
        uploaded(facts.session, "archive", plan),
        not_uploaded(facts.session, "cdcs", plan),
    ]
    state = fold(record([*before, RetryRequested(session=facts.session, request="1")]))
    assert exported(fold(record(before))) is False
    assert exported(state) is None
    assert set(standing_uploads(state)) == {"archive"}


def test_a_destination_outside_the_plan_does_not_count(facts) -> None:
    both = UploadPlan(strategy="all", destinations=("archive", "cdcs"))
    events = [
        *facts.history(),
        not_uploaded(facts.session, "cdcs", both),
        uploaded(facts.session, "archive", PLAN),
    ]
    state = fold(record(events))
    assert exported(state) is True
    assert exported(state, both) is False


def test_an_event_costs_the_same_in_a_large_session(facts) -> None:
    def cost(files: int) -> float:
        state = fold(record([facts.indexed(number) for number in range(1, files)]))
        more = record([facts.indexed(number) for number in range(files, files + 400)])
        rounds = []
        for _ in range(5):
            begin = time.process_time()
            fold(more, state)
            rounds.append(time.process_time() - begin)
        return min(rounds)

    assert cost(20_000) < 8 * cost(100)


def test_the_initial_state_waits(facts) -> None:
    assert progress(INITIAL).status is Status.WAITING_FOR_END


def test_a_withdrawn_record_is_held_until_each_destination_gave_it_back(facts) -> None:
    events = [*facts.history(), uploaded(facts.session), uploaded(facts.session, "elsewhere")]
    events += [WithdrawalRequested(session=facts.session, request="w", reason="by mail")]
    told = [withdrawal_failed(facts.session), withdrawn_from(facts.session)]
    told += [withdrawn_from(facts.session, "elsewhere")]
    standing = [progress(fold(record(events + told[:count]))) for count in range(4)]
    assert [(at.status, at.phase, at.reason) for at in standing] == [
        (Status.NO_CONSENT, "withdrawing from archive, elsewhere", "by mail"),
        (Status.ERROR, "not withdrawn", "archive: 403"),
        (Status.NO_CONSENT, "withdrawing from elsewhere", "by mail"),
        (Status.NO_CONSENT, "withdrawn", "by mail"),
    ]
    undone = WithdrawalRequested(session=facts.session, request="u", withdrawn=False)
    state = fold(record([*events, *told, undone]))
    assert progress(state).status is Status.TO_BE_BUILT
    assert exported(state) is None
    assert holding(state) == {}
