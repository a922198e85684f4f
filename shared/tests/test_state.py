"""The fold: pure, total, commuting, incremental; and what its states mean."""

import time
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from nexuslims_contracts.events import (
    Event,
    FileIndexed,
    FileMissing,
    FilesAwaited,
    FileSuperseded,
    UploadPlan,
)
from nexuslims_contracts.testing import SessionEvents, recorded
from nexuslims_shared.session.state import INITIAL, evolve, fold
from nexuslims_shared.session.status import (
    Status,
    exported,
    files_complete,
    holding,
    is_stale,
    progress,
    standing_uploads,
    withdrawn,
)


def eventful(facts: SessionEvents) -> list[Event]:
    """A session in which everything happens that can."""
    return [
        *facts.history(),
        facts.rebuild("r1", re_extract=True),
        facts.indexed(4),
        facts.rebuild("r2", re_extract=True, extractor="dm"),
        facts.manifest(3, after=7, superseded=(2,)),
        facts.extracted(1, request="r1"),
        facts.extracted(3, request="r1"),
        facts.extracted(4, request="r1"),
        facts.declined(after=2),
        facts.matched(after=18),
        facts.cancelled(after=3),
        facts.revised(after=20),
        facts.retry("t"),
        facts.built(22, b"<other/>"),
        facts.uploaded(),
        facts.withdraw("w"),
        facts.withdrawal_failed(),
        facts.withdrawn(),
        facts.withdraw("u", withdrawn=False),
        FilesAwaited(session=facts.session, until=facts.end, after=7),
        FileMissing(session=facts.session, file=facts.token(3), after=6),
        FileSuperseded(session=facts.session, file=facts.token(4), reason="moved", after=9),
        facts.indexed(4, after=32),
    ]


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_order_and_any_duplication_give_the_same_state(facts: SessionEvents, data) -> None:
    events = recorded(eventful(facts))
    deliveries = data.draw(
        st.permutations(events + data.draw(st.lists(st.sampled_from(events), max_size=10)))
    )
    assert fold(deliveries) == fold(events)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_folding_in_two_steps_is_folding_at_once(facts: SessionEvents, data) -> None:
    events = recorded(eventful(facts))
    cut = data.draw(st.integers(0, len(events)))
    assert fold(events[cut:], fold(events[:cut])) == fold(events)


def test_evolve_does_not_touch_the_state_it_gets(facts: SessionEvents) -> None:
    events = recorded(facts.history())
    before = fold(events[:5])
    copy = fold(events[:5])
    evolve(before, events[5])
    assert before == copy


def test_a_session_goes_through_the_incumbents_statuses(facts: SessionEvents) -> None:
    events = recorded([*facts.history(), facts.uploaded()])
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


def test_it_is_known_which_service_a_session_waits_for(facts: SessionEvents) -> None:
    events = recorded([*facts.history(), facts.uploaded()])
    waits = [progress(fold(events[:count])).waits_for for count in range(1, len(events) + 1)]
    names = ["", "", *["indexer"] * 4, *["extractor"] * 3, "builder", "uploader", ""]
    assert waits == names
    assert progress(fold(recorded([facts.started(), facts.ended()]))).waits_for == "harvester"


def test_looking_for_late_files_is_due_when_the_wait_is_over(facts: SessionEvents) -> None:
    awaited = FilesAwaited(session=facts.session, until=facts.end, after=0)
    at = progress(fold(recorded([facts.started(), facts.ended(), facts.matched(), awaited])))
    assert (at.waits_for, at.not_before) == ("indexer", facts.end)


def test_whatever_comes_after_a_record_makes_it_stale(facts: SessionEvents) -> None:
    history = facts.history()
    assert not is_stale(fold(recorded(history)))
    assert is_stale(fold(recorded([*history, facts.matched(after=2)])))
    assert is_stale(fold(recorded([*history, facts.indexed(9)])))
    assert not is_stale(fold(recorded([*history, facts.uploaded()])))


def test_files_that_a_later_scan_did_not_find_are_no_longer_waited_for(
    facts: SessionEvents,
) -> None:
    history = [*facts.history()[:9], facts.manifest(2, after=7, superseded=(3,))]
    state = fold(recorded(history))
    assert files_complete(state)
    assert facts.token(3) not in state.current_files()


def test_a_request_to_read_again_waits_for_every_file(facts: SessionEvents) -> None:
    request = facts.rebuild("r1", re_extract=True)
    events = recorded([*facts.history(), request])
    assert progress(fold(events)).phase == "extracting 0 of 3"


def test_a_request_for_one_extractor_waits_for_its_files_only(facts: SessionEvents) -> None:
    history = facts.history()
    others = facts.rebuild("r1", re_extract=True, extractor="fei_tiff")
    assert files_complete(fold(recorded([*history, others])))
    its = others.model_copy(update={"extractor": "dm"})
    # one of the three failed before an extractor was chosen
    assert progress(fold(recorded([*history, its]))).phase == "extracting 1 of 3"
    read = [facts.extracted(number, request="r1") for number in (1, 2, 3)]
    assert files_complete(fold(recorded([*history, its, others, *read])))


def test_a_request_for_one_extractor_does_not_forget_one_for_all(facts: SessionEvents) -> None:
    everything = facts.rebuild("r1", re_extract=True)
    one = everything.model_copy(update={"request": "r2", "extractor": "fei_tiff"})
    assert not files_complete(fold(recorded([*facts.history(), everything, one])))


def test_a_later_failure_does_not_erase_an_earlier_success(facts: SessionEvents) -> None:
    state = fold(recorded([*facts.history(), facts.failed(1)]))
    assert state.files[facts.token(1)].extracted is not None


def test_statuses_in_which_nothing_more_happens(facts: SessionEvents) -> None:
    declined = facts.declined()
    missing, rejected = facts.not_found(), facts.rejected(10)
    early, whole = facts.history()[:3], facts.history()[:10]
    assert progress(fold(recorded([*early, declined]))).status is Status.NO_CONSENT
    assert progress(fold(recorded([*early, missing]))).status is Status.NO_FILES_FOUND
    assert progress(fold(recorded([*whole, rejected]))).status is Status.ERROR


def test_a_record_of_which_no_file_is_left_may_not_be_shown(facts: SessionEvents) -> None:
    """One that is missing is left: it comes back, or its folder does."""
    uploaded = [*facts.history(), facts.uploaded()]
    gone = [
        FileSuperseded(
            session=facts.session, file=facts.token(number), reason="elsewhere", after=number
        )
        for number in (1, 2, 3)
    ]
    missing = FileMissing(session=facts.session, file=facts.token(3), after=3)
    nothing = facts.not_found(notes=("3 files: in the record of another",))
    at = progress(fold(recorded([*uploaded, *gone, nothing])))
    assert (at.status, at.phase) == (Status.NO_FILES_FOUND, "withdrawing from archive")
    assert at.reason == "nothing in Titan; 3 files: in the record of another"
    assert withdrawn(fold(recorded([*uploaded, *gone[:2], missing, nothing]))) == ""
    early = [*facts.history()[:3], nothing]
    assert withdrawn(fold(recorded(early))) == "", "there was never a record"


def test_export_strategies(facts: SessionEvents) -> None:
    def status(strategy: str, *outcomes: Callable[..., Event]) -> Status:
        names = tuple(f"d{number}" for number in range(len(outcomes)))
        plan = UploadPlan(strategy=strategy, destinations=names)
        uploads = [
            make(destination=name, plan=plan) for name, make in zip(names, outcomes, strict=True)
        ]
        return progress(fold(recorded([*facts.history(), *uploads]))).status

    taken, refused = facts.uploaded, facts.upload_failed
    assert status("all", taken, taken) is Status.COMPLETED
    assert status("all", taken, refused) is Status.BUILT_NOT_EXPORTED
    assert status("best_effort", taken, refused) is Status.COMPLETED
    assert status("best_effort", refused, refused) is Status.BUILT_NOT_EXPORTED
    assert status("first_success", refused, taken) is Status.COMPLETED
    assert status("first_success", refused, refused) is Status.BUILT_NOT_EXPORTED


def test_a_retry_makes_a_failed_upload_undecided(facts: SessionEvents) -> None:
    plan = UploadPlan(strategy="all", destinations=("archive", "cdcs"))
    before = [
        *facts.history(),
        facts.uploaded(destination="archive", plan=plan),
        facts.upload_failed(destination="cdcs", plan=plan),
    ]
    state = fold(recorded([*before, facts.retry("1")]))
    assert exported(fold(recorded(before))) is False
    assert exported(state) is None
    assert set(standing_uploads(state)) == {"archive"}


def test_a_destination_outside_the_plan_does_not_count(facts: SessionEvents) -> None:
    both = UploadPlan(strategy="all", destinations=("archive", "cdcs"))
    events = [
        *facts.history(),
        facts.upload_failed(destination="cdcs", plan=both),
        facts.uploaded(),
    ]
    state = fold(recorded(events))
    assert exported(state) is True
    assert exported(state, both) is False


def test_an_event_costs_the_same_in_a_large_session(facts: SessionEvents) -> None:
    def cost(files: int) -> float:
        state = fold(recorded([facts.indexed(number) for number in range(1, files)]))
        more = recorded([facts.indexed(number) for number in range(files, files + 400)])
        rounds = []
        for _ in range(5):
            begin = time.process_time()
            fold(more, state)
            rounds.append(time.process_time() - begin)
        return min(rounds)

    assert cost(20_000) < 8 * cost(100)


def test_the_initial_state_waits(facts: SessionEvents) -> None:
    assert progress(INITIAL).status is Status.WAITING_FOR_END


def test_a_withdrawn_record_is_held_until_each_destination_gave_it_back(
    facts: SessionEvents,
) -> None:
    events = [*facts.history(), facts.uploaded(), facts.uploaded(destination="elsewhere")]
    events += [facts.withdraw("w", reason="by mail")]
    withdrawals = [facts.withdrawal_failed(), facts.withdrawn()]
    withdrawals += [facts.withdrawn(destination="elsewhere")]
    standing = [progress(fold(recorded(events + withdrawals[:count]))) for count in range(4)]
    assert [(at.status, at.phase, at.reason) for at in standing] == [
        (Status.NO_CONSENT, "withdrawing from archive, elsewhere", "by mail"),
        (Status.ERROR, "not withdrawn", "archive: 403"),
        (Status.NO_CONSENT, "withdrawing from elsewhere", "by mail"),
        (Status.NO_CONSENT, "withdrawn", "by mail"),
    ]
    undone = facts.withdraw("u", withdrawn=False)
    state = fold(recorded([*events, *withdrawals, undone]))
    assert progress(state).status is Status.TO_BE_BUILT
    assert exported(state) is None
    assert holding(state) == {}


def test_a_record_that_was_rebuilt_without_upload_is_done_until_a_retry(
    facts: SessionEvents,
) -> None:
    history = [*facts.history(), facts.uploaded()]
    kept = facts.built(len(history), b"<new/>", upload=False, replaces=len(history) - 1)
    at = progress(fold(recorded([*history, kept])))
    assert (at.status, at.phase) == (Status.COMPLETED, "rebuilt, not uploaded")
    retried = progress(fold(recorded([*history, kept, facts.retry()])))
    assert (retried.status, retried.phase) == (Status.TO_BE_BUILT, "building")
    again = [*history, kept, facts.retry(), facts.built(len(history) + 2, b"<new/>")]
    assert progress(fold(recorded(again))).phase == "uploading"


def test_a_file_that_was_taken_away_is_no_longer_counted_and_one_that_is_missing_is(
    facts: SessionEvents,
) -> None:
    history = facts.history()
    token = facts.token(1)
    sequence = next(
        number
        for number, event in enumerate(history, start=1)
        if isinstance(event, FileIndexed) and event.file == token
    )
    before = fold(recorded(history))
    missing = FileMissing(session=facts.session, file=token, after=sequence)
    gone = FileSuperseded(session=facts.session, file=token, reason="moved", after=sequence)
    back = facts.indexed(1, after=len(history) + 1)
    assert fold(recorded([*history, missing])).files[token].is_missing
    assert fold(recorded([*history, missing])).indexed_count == before.indexed_count
    assert token in fold(recorded([*history, missing])).current_files()
    assert fold(recorded([*history, gone])).indexed_count == before.indexed_count - 1
    assert fold(recorded([*history, gone])).settled_count == before.settled_count - 1
    assert token not in fold(recorded([*history, gone])).current_files()
    for event in (missing, gone):
        again = fold(recorded([*history, event, back]))
        assert not again.files[token].is_missing
        assert again.indexed_count == before.indexed_count
        assert again.current_files().keys() == before.current_files().keys()


def test_a_session_that_a_service_gave_up_on_is_stuck_until_a_retry(facts: SessionEvents) -> None:
    events = [*facts.history(), facts.stuck("uploader", 9), facts.retry(), facts.stuck("indexer")]
    statuses = [progress(fold(recorded(events[: len(events) - back]))) for back in (2, 1, 0)]
    assert [one.status is Status.ERROR for one in statuses] == [True, False, True]
    assert statuses[0].reason == "uploader: damaged"
    assert statuses[2].reason == "indexer: damaged"
