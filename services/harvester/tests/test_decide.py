"""What a calendar's entry means for a session."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexuslims_contracts.events import (
    ConsentDeclined,
    Project,
    ReservationMatched,
    ReservationMissing,
    Sample,
    SessionCancelled,
    SessionEnded,
    SessionRevised,
    SessionStarted,
)
from nexuslims_shared.people import Person
from nexuslims_shared.session.status import Status, progress

HOUR = timedelta(hours=1)


def kinds(events) -> list[type]:
    return [type(event) for event in events]


def test_a_session_that_is_over_is_stated_whole_its_booking_before_its_end(processor) -> None:
    entry = processor.entry(
        purpose="Sizes",
        samples=(Sample(id="s", name="NP"),),
        projects=(Project(project_id="NP-7"),),
        collaborators=(Person(username="conseil"),),
        url="https://calendar.example.org/1",
    )
    started, matched, ended = processor.hear(entry)
    assert started == SessionStarted(
        session="file-1",
        calendar="file",
        calendar_event="1",
        instrument=entry.instrument.as_contract(),
        user="person-ned",
        start=entry.start,
        url=entry.url,
    )
    assert matched == ReservationMatched(
        session="file-1",
        tier="calendar",
        title="Gold",
        purpose="Sizes",
        experimenter="person-ned",
        collaborators=("person-conseil",),
        start=entry.start,
        end=entry.end,
        samples=entry.samples,
        projects=entry.projects,
        url=entry.url,
        after=0,
    )
    assert ended == SessionEnded(
        session="file-1",
        instrument=entry.instrument.as_contract(),
        user="person-ned",
        start=entry.start,
        end=entry.end,
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"consent": True}, ReservationMatched),
        ({"consent": False}, ConsentDeclined),
        ({"consent": None}, ConsentDeclined),
        ({"booked": False}, ReservationMissing),
    ],
)
def test_only_a_yes_is_consent(processor, changes, expected: type) -> None:
    assert kinds(processor.hear(processor.entry(**changes))) == [
        SessionStarted,
        expected,
        SessionEnded,
    ]


def test_no_answer_and_a_no_are_distinguished(processor) -> None:
    (_, silent, _) = processor.hear(processor.entry(consent=None))
    (declined,) = processor.hear(processor.entry(consent=False))
    assert "did not answer" in silent.reason
    assert "declined" in declined.reason


def test_what_the_calendar_gave_is_kept_and_a_change_of_it_is_stated(processor) -> None:
    _, matched, _ = processor.hear(processor.entry(payload={"b": 1, "a": "x"}))
    assert matched.payload.fields == {"a": "x", "b": 1}
    assert processor.hear(processor.entry(payload={"a": "x", "b": 1})) == []
    (again,) = processor.hear(processor.entry(payload={"a": "y", "b": 1}))
    assert again.payload.sha256 != matched.payload.sha256
    assert again.after == 2


def test_a_session_waits_for_its_end(processor) -> None:
    entry = processor.entry()
    before, during, after = entry.start - HOUR, entry.start + HOUR, entry.end
    assert processor.hear(entry, before) == []
    assert kinds(processor.hear(entry, during)) == [SessionStarted, ReservationMatched]
    assert processor.hear(processor.entry(), during) == []
    assert progress(processor.state).status is Status.WAITING_FOR_END
    assert kinds(processor.hear(entry, after)) == [SessionEnded]


def test_who_has_not_consented_may_do_so_until_the_end(processor) -> None:
    lasting = {"end": None}
    assert kinds(processor.hear(processor.entry(consent=None, **lasting))) == [SessionStarted]
    assert processor.hear(processor.entry(booked=False, **lasting)) == []
    assert kinds(processor.hear(processor.entry(**lasting))) == [ReservationMatched]
    assert kinds(processor.hear(processor.entry(consent=False))) == [ConsentDeclined, SessionEnded]


def test_what_was_booked_may_be_otherwise_than_what_was(processor) -> None:
    booked = {
        "booked_from": processor.entry().start - HOUR,
        "booked_until": processor.entry().end + HOUR,
    }
    (_, matched, ended) = processor.hear(processor.entry(**booked))
    assert (matched.start, matched.end) == tuple(booked.values())
    assert (ended.start, ended.end) == (processor.entry().start, processor.entry().end)


def test_an_entry_without_an_end_waits_for_one(processor) -> None:
    assert SessionEnded not in kinds(processor.hear(processor.entry(end=None)))
    assert processor.hear(processor.entry(end=None)) == []
    assert SessionEnded in kinds(processor.hear(processor.entry()))


@pytest.mark.parametrize(
    "change",
    [
        {"start": "later"},
        {"end": "later"},
        {"user": Person(username="conseil")},
        {"instrument": "quanta"},
    ],
)
def test_a_session_that_was_otherwise_is_revised(processor, instruments, change) -> None:
    entry = processor.entry()
    processor.hear(entry)
    ended = processor.state.schedule.sequence
    ((name, value),) = change.items()
    if value == "later":
        value = getattr(entry, name) + HOUR
    if value == "quanta":
        value = instruments["FEI-Quanta-SEM"]
    changed = processor.entry(**{name: value})
    revised = next(one for one in processor.hear(changed) if isinstance(one, SessionRevised))
    assert revised.after == ended
    assert (revised.start, revised.end) == (changed.start, changed.end)
    assert revised.user == f"person-{changed.user.username}"
    assert revised.instrument == changed.instrument.as_contract()
    back = [one for one in processor.hear(entry) if isinstance(one, SessionRevised)]
    assert [one.end for one in back] == [entry.end]


def test_a_session_that_goes_on_is_open_again(processor) -> None:
    processor.hear(processor.entry())
    (revised,) = (
        one for one in processor.hear(processor.entry(end=None)) if isinstance(one, SessionRevised)
    )
    assert revised.end is None
    assert progress(processor.state).status is Status.WAITING_FOR_END


def test_a_running_session_moved_to_another_start_is_revised_then_ends(processor) -> None:
    entry = processor.entry(end=None)
    processor.hear(entry)
    moved = processor.entry(start=entry.start + HOUR, end=None)
    assert SessionRevised in kinds(processor.hear(moved))
    done = processor.hear(processor.entry(start=entry.start + HOUR))
    assert isinstance(done[-1], SessionRevised)
    assert done[-1].end == processor.entry().end


def test_later_consent_opens_a_session_and_withdrawn_consent_closes_it(processor) -> None:
    processor.hear(processor.entry(consent=None))
    assert progress(processor.state).status is Status.NO_CONSENT
    declined = processor.state.booking.sequence
    (matched,) = processor.hear(processor.entry(consent=True))
    assert isinstance(matched, ReservationMatched)
    assert matched.after == declined
    assert progress(processor.state).status is Status.TO_BE_BUILT
    (withdrawn,) = processor.hear(processor.entry(consent=False))
    assert isinstance(withdrawn, ConsentDeclined)
    assert progress(processor.state).status is Status.NO_CONSENT


def test_other_answers_are_stated_again_and_the_schedule_is_not(processor) -> None:
    processor.hear(processor.entry())
    (matched,) = processor.hear(processor.entry(title="Silver"))
    assert matched.title == "Silver"


def test_only_who_cancels_withdraws_a_session_and_may_restore_it(processor) -> None:
    assert processor.hear(processor.entry(cancelled=True)) == []
    processor.hear(processor.entry())
    assert kinds(processor.hear(processor.entry(cancelled=True))) == [SessionCancelled]
    assert processor.hear(processor.entry(cancelled=True)) == []
    assert progress(processor.state).status is Status.CANCELLED
    assert kinds(processor.hear(processor.entry())) == [SessionRevised]
    assert progress(processor.state).status is Status.TO_BE_BUILT


@pytest.mark.parametrize("stored", [1, 2])
def test_what_a_killed_harvester_left_out_is_stated_by_the_next(
    processor, make_desk, stored
) -> None:
    whole = processor.hear(processor.entry())
    other = make_desk()
    other.add(whole[:stored])
    assert kinds(other.hear(other.entry())) == kinds(whole[stored:])


def test_a_calendar_without_users_is_in_order(processor) -> None:
    started, matched, _ = processor.hear(processor.entry(user=None))
    assert (started.user, matched.experimenter) == (None, None)


changes = st.fixed_dictionaries(
    {},
    optional={
        "consent": st.sampled_from([True, False, None]),
        "booked": st.booleans(),
        "cancelled": st.booleans(),
        "end": st.none(),
        "title": st.sampled_from(["Gold", "Silver"]),
        "user": st.sampled_from([None, Person(username="conseil")]),
    },
)
moments = st.integers(-2, 6)
"""Hours after the session's start at which the calendar is read."""


@given(st.lists(st.tuples(changes, moments), max_size=8))
def test_the_same_entry_never_means_anything_twice(make_desk, history) -> None:
    processor = make_desk()
    for change, hours in history:
        entry = processor.entry(**change)
        now = entry.start + hours * HOUR
        processor.hear(entry, now)
        assert processor.hear(entry, now) == []
    ids = [one.envelope.id for one in processor.recorded]
    assert len(ids) == len(set(ids))
