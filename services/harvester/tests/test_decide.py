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


def test_a_session_that_is_over_is_stated_whole_its_booking_before_its_end(desk) -> None:
    entry = desk.entry(
        purpose="Sizes",
        samples=(Sample(id="s", name="NP"),),
        projects=(Project(project_id="NP-7"),),
        collaborators=(Person(username="conseil"),),
        url="https://calendar.example.org/1",
    )
    started, matched, ended = desk.hear(entry)
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
def test_only_a_yes_is_consent(desk, changes, expected: type) -> None:
    assert kinds(desk.hear(desk.entry(**changes))) == [SessionStarted, expected, SessionEnded]


def test_no_answer_and_a_no_are_told_apart(desk) -> None:
    (_, silent, _) = desk.hear(desk.entry(consent=None))
    (declined,) = desk.hear(desk.entry(consent=False))
    assert "did not answer" in silent.reason
    assert "declined" in declined.reason


def test_what_the_calendar_gave_is_kept_and_a_change_of_it_is_stated(desk) -> None:
    _, matched, _ = desk.hear(desk.entry(payload={"b": 1, "a": "x"}))
    assert matched.payload.fields == {"a": "x", "b": 1}
    assert desk.hear(desk.entry(payload={"a": "x", "b": 1})) == []
    (again,) = desk.hear(desk.entry(payload={"a": "y", "b": 1}))
    assert again.payload.sha256 != matched.payload.sha256
    assert again.after == 2


def test_a_session_waits_for_its_end(desk) -> None:
    entry = desk.entry()
    before, during, after = entry.start - HOUR, entry.start + HOUR, entry.end
    assert desk.hear(entry, before) == []
    assert kinds(desk.hear(entry, during)) == [SessionStarted, ReservationMatched]
    assert desk.hear(desk.entry(), during) == []
    assert progress(desk.state).status is Status.WAITING_FOR_END
    assert kinds(desk.hear(entry, after)) == [SessionEnded]


def test_who_has_not_consented_may_do_so_until_the_end(desk) -> None:
    lasting = {"end": None}
    assert kinds(desk.hear(desk.entry(consent=None, **lasting))) == [SessionStarted]
    assert desk.hear(desk.entry(booked=False, **lasting)) == []
    assert kinds(desk.hear(desk.entry(**lasting))) == [ReservationMatched]
    assert kinds(desk.hear(desk.entry(consent=False))) == [ConsentDeclined, SessionEnded]


def test_what_was_booked_may_be_otherwise_than_what_was(desk) -> None:
    booked = {"booked_from": desk.entry().start - HOUR, "booked_until": desk.entry().end + HOUR}
    (_, matched, ended) = desk.hear(desk.entry(**booked))
    assert (matched.start, matched.end) == tuple(booked.values())
    assert (ended.start, ended.end) == (desk.entry().start, desk.entry().end)


def test_an_entry_without_an_end_waits_for_one(desk) -> None:
    assert SessionEnded not in kinds(desk.hear(desk.entry(end=None)))
    assert desk.hear(desk.entry(end=None)) == []
    assert SessionEnded in kinds(desk.hear(desk.entry()))


@pytest.mark.parametrize(
    "change",
    [
        {"start": "later"},
        {"end": "later"},
        {"user": Person(username="conseil")},
        {"instrument": "quanta"},
    ],
)
def test_a_session_that_was_otherwise_is_revised(desk, instruments, change) -> None:
    entry = desk.entry()
    desk.hear(entry)
    ended = desk.state.schedule.sequence
    ((name, value),) = change.items()
    if value == "later":
        value = getattr(entry, name) + HOUR
    if value == "quanta":
        value = instruments["FEI-Quanta-SEM"]
    changed = desk.entry(**{name: value})
    revised = next(one for one in desk.hear(changed) if isinstance(one, SessionRevised))
    assert revised.after == ended
    assert (revised.start, revised.end) == (changed.start, changed.end)
    assert revised.user == f"person-{changed.user.username}"
    assert revised.instrument == changed.instrument.as_contract()
    back = [one for one in desk.hear(entry) if isinstance(one, SessionRevised)]
    assert [one.end for one in back] == [entry.end]


def test_a_session_that_goes_on_is_open_again(desk) -> None:
    desk.hear(desk.entry())
    (revised,) = (one for one in desk.hear(desk.entry(end=None)) if isinstance(one, SessionRevised))
    assert revised.end is None
    assert progress(desk.state).status is Status.WAITING_FOR_END


def test_a_running_session_moved_to_another_start_is_revised_then_ends(desk) -> None:
    entry = desk.entry(end=None)
    desk.hear(entry)
    moved = desk.entry(start=entry.start + HOUR, end=None)
    assert SessionRevised in kinds(desk.hear(moved))
    done = desk.hear(desk.entry(start=entry.start + HOUR))
    assert isinstance(done[-1], SessionRevised)
    assert done[-1].end == desk.entry().end


def test_later_consent_opens_a_session_and_withdrawn_consent_closes_it(desk) -> None:
    desk.hear(desk.entry(consent=None))
    assert progress(desk.state).status is Status.NO_CONSENT
    declined = desk.state.booking.sequence
    (matched,) = desk.hear(desk.entry(consent=True))
    assert isinstance(matched, ReservationMatched)
    assert matched.after == declined
    assert progress(desk.state).status is Status.TO_BE_BUILT
    (withdrawn,) = desk.hear(desk.entry(consent=False))
    assert isinstance(withdrawn, ConsentDeclined)
    assert progress(desk.state).status is Status.NO_CONSENT


def test_other_answers_are_stated_again_and_the_schedule_is_not(desk) -> None:
    desk.hear(desk.entry())
    (matched,) = desk.hear(desk.entry(title="Silver"))
    assert matched.title == "Silver"


def test_only_who_cancels_withdraws_a_session_and_may_restore_it(desk) -> None:
    assert desk.hear(desk.entry(cancelled=True)) == []
    desk.hear(desk.entry())
    assert kinds(desk.hear(desk.entry(cancelled=True))) == [SessionCancelled]
    assert desk.hear(desk.entry(cancelled=True)) == []
    assert progress(desk.state).status is Status.CANCELLED
    assert kinds(desk.hear(desk.entry())) == [SessionRevised]
    assert progress(desk.state).status is Status.TO_BE_BUILT


@pytest.mark.parametrize("stored", [1, 2])
def test_what_a_killed_harvester_left_out_is_stated_by_the_next(desk, make_desk, stored) -> None:
    whole = desk.hear(desk.entry())
    other = make_desk()
    other.add(whole[:stored])
    assert kinds(other.hear(other.entry())) == kinds(whole[stored:])


def test_a_calendar_without_users_is_in_order(desk) -> None:
    started, matched, _ = desk.hear(desk.entry(user=None))
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
    desk = make_desk()
    for change, hours in history:
        entry = desk.entry(**change)
        now = entry.start + hours * HOUR
        desk.hear(entry, now)
        assert desk.hear(entry, now) == []
    ids = [one.envelope.id for one in desk.recorded]
    assert len(ids) == len(set(ids))
