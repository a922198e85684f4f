"""What a usage event and what belongs to it mean for a session."""

from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from nexuslims_contracts.events import Project
from nexuslims_harvester.calendar import EntryProblem
from nexuslims_harvester.consent import ConsentReader
from nexuslims_harvester.nemo.mapping import Facts, place, to_entry
from nexuslims_harvester.nemo.payload import Project as NemoProject
from nexuslims_harvester.nemo.payload import Reservation, UsageEvent, User
from nexuslims_harvester.nemo.settings import NemoSettings
from nexuslims_shared.people import Person

SETTINGS = NemoSettings(address="https://nemo.example.org/api/", token=SecretStr("t"))
ANA, CHEN, TITAN = 4, 6, 1
CHILD, SIBLING = 11, 12
FAMILIES = {CHILD: TITAN, SIBLING: TITAN}
READER = ConsentReader.accepting(["agree", "yes"])
USERS = {ANA: User(id=ANA, username="ana", first_name="Ana"), CHEN: User(id=CHEN, username="chen")}


def answered(consent, title="", **more):
    answers = {"data_consent": consent, "experiment_title": title, **more}
    return {name: {"user_input": answer} for name, answer in answers.items()}


def usage(**more):
    given = {"start": "2025-03-10T09:00:00Z", "end": "2025-03-10T12:00:00Z"}
    return UsageEvent(id=7, user=ANA, tool=TITAN, **{**given, **more})


def booking(number, first=9, last=12, *, data=None, **more):
    given = {"user": ANA, "tool": TITAN, "question_data": data, **more}
    start, end = (f"2025-03-10T{hour:02}:00:00Z" for hour in (first, last))
    return Reservation(id=number, start=start, end=end, **given)


@pytest.fixture
def entry_of(titan):
    def make(event, *reservations, **facts):
        bookings, problems = place(reservations, SETTINGS, FAMILIES)
        assert problems == []
        facts = {"users": USERS, "bookings": bookings, "families": FAMILIES, **facts}
        return to_entry(event, Facts(SETTINGS, READER, {TITAN: titan}, **facts))

    return make


@pytest.mark.parametrize(
    ("post", "pre", "reserved", "expected"),
    [
        (answered("Agree"), answered("Disagree"), answered("Disagree"), (True, "post-run")),
        (None, answered("Agree"), answered("Disagree"), (True, "pre-run")),
        ("", answered("yes"), None, (True, "pre-run")),
        ({}, None, answered("Agree"), (True, "reservation")),
        (answered("Disagree"), answered("Agree"), answered("Agree"), (False, "post-run")),
        (None, answered("Disagree"), answered("Agree"), (False, "pre-run")),
        (answered(""), None, answered("Agree"), (True, "reservation")),
        (answered(None), answered("perhaps"), answered("Agree"), (False, "pre-run")),
        (answered({"0": {"agree": ""}}), None, answered("Agree"), (False, "post-run")),
        (answered(""), answered(None), answered("Disagree"), (False, "reservation")),
        (answered(""), answered(""), None, (None, "post-run")),
        (None, None, answered(""), (None, "reservation")),
    ],
)
def test_the_first_clear_answer_counts(entry_of, post, pre, reserved, expected):
    entry = entry_of(usage(run_data=post, pre_run_data=pre), booking(1, data=reserved))
    assert (entry.consent, entry.tier) == expected
    assert entry.booked


def test_without_answers_and_reservation_nothing_is_known(entry_of):
    entry = entry_of(usage())
    assert (entry.booked, entry.consent) == (False, None)


def test_a_blank_answer_is_an_answer_left_blank(entry_of):
    entry = entry_of(usage(run_data=answered("")))
    assert (entry.booked, entry.consent, entry.tier) == (True, None, "post-run")


def test_a_reservation_without_questions_was_not_consented_to(entry_of):
    entry = entry_of(usage(), booking(5))
    assert (entry.booked, entry.consent, entry.reservation) == (True, None, "5")


def test_the_greatest_overlap_wins_and_of_equals_the_earlier(entry_of):
    agreed = [booking(n, *hours, data=answered("Agree", str(n))) for n, hours in enumerate(
        [(8, 10), (10, 12), (10, 12), (11, 20)], start=1)]  # fmt: skip
    entry = entry_of(usage(), *agreed)
    assert (entry.title, entry.reservation) == ("2", "2")
    assert entry.booked_from == datetime(2025, 3, 10, 10, tzinfo=UTC)
    assert entry.booked_until == datetime(2025, 3, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize("others", ["Disagree", "I disagree", ["Agree", "Disagree"], 0])
def test_of_equal_claims_one_refusal_refuses(entry_of, others):
    halves = [booking(1, 9, 10, data=answered("Agree")), booking(2, 10, 11, data=answered(others))]
    for first, second in (halves, reversed(halves)):
        entry = entry_of(usage(), first, second)
        assert (entry.consent, entry.reservation) == (False, "2")


def test_of_equal_claims_one_that_says_nothing_takes_nothing_away(entry_of):
    entry = entry_of(usage(), booking(1), booking(2, data=answered("Agree", "T")))
    assert (entry.consent, entry.title, entry.reservation) == (True, "T", "2")


@pytest.mark.parametrize("tool", [CHILD, SIBLING])
def test_a_family_of_tools_is_booked_and_used_as_one(entry_of, tool):
    assert entry_of(usage(), booking(1, tool=tool, data=answered("Agree"))).consent is True


def test_what_was_answered_instead_of_a_consent_is_kept_for_the_operator(entry_of):
    entry = entry_of(
        usage(run_data=answered("Yes,\nI agree\u200b")), booking(1, data=answered("Agree"))
    )
    assert (entry.consent, entry.answer) == (False, "Yes, I agree\u200b")
    assert entry_of(usage(run_data=answered(["a", 1]))).answer == '["a", 1]'
    assert entry_of(usage(run_data=answered("Agree"))).answer == ""


@pytest.mark.parametrize(
    "more",
    [
        {"cancelled": True},
        {"missed": True},
        {"descendant": 9},
        {"user": CHEN},
        {"tool": 2},
        {"tool": None},
        {"first": 12, "last": 13},
        {"first": 7, "last": 9},
    ],
)
def test_reservations_that_say_nothing_of_this_session(entry_of, more):
    assert not entry_of(usage(), booking(1, data=answered("Agree"), **more)).booked


def test_a_session_in_progress_overlaps_what_it_began_in(entry_of):
    entry = entry_of(usage(end=None), booking(1, 8, 20, data=answered("Agree", "A")))
    assert (entry.end, entry.title) == (None, "A")


def test_a_title_is_taken_from_the_reservation_if_the_answers_have_none(entry_of):
    given = usage(run_data=answered("Agree"))
    assert entry_of(given, booking(1, data=answered("Disagree", "Booked"))).title == "Booked"
    assert entry_of(given, booking(1, title="Slot")).title == "Slot"


def test_a_refusal_takes_nothing_along(entry_of):
    entry = entry_of(usage(run_data=answered("No", "Secret", experiment_purpose="Secret")))
    assert (entry.title, entry.purpose, entry.samples) == ("", "", ())


def test_nemos_answer_is_kept_and_of_a_refusal_only_that(entry_of):
    agreed = answered("Agree", "T", phone="555")
    booked = booking(3, data=agreed, title="Slot")
    kept = entry_of(usage(run_data="", project=3), booked).payload
    assert kept == {
        "run_data": {},
        "pre_run_data": {},
        "question_data": {
            "data_consent": {"user_input": "Agree"},
            "experiment_title": {"user_input": "T"},
        },
        "project": 3,
        "reservation": {
            "id": 3,
            "start": "2025-03-10T09:00:00Z",
            "end": "2025-03-10T12:00:00Z",
            "title": "Slot",
        },
    }
    refused = entry_of(usage(run_data=answered("No", "Secret")), booked).payload
    assert refused == {
        "run_data": {"data_consent": {"user_input": "No"}},
        "question_data": {"data_consent": {"user_input": "Agree"}},
    }
    assert entry_of(usage()).payload == {}


def test_the_user_is_the_experimenter_and_an_operator_takes_part(entry_of):
    entry = entry_of(usage(operator=CHEN))
    assert entry.user.display == "Ana (ana)"
    assert [one.username for one in entry.collaborators] == ["chen"]
    assert entry_of(usage(operator=ANA)).collaborators == ()


def test_a_user_that_nemo_does_not_give_keeps_a_name_by_number(entry_of):
    assert entry_of(usage(), users={}).user == Person(user_id="4")
    assert Person(user_id="4").display == "user-4"


def test_projects_named_and_charged_are_listed_once(entry_of):
    charged = {3: NemoProject(id=3, name="Alloys", application_identifier="AF-1")}
    event = usage(project=3, run_data=answered("Agree", project_id="PRJ-7, AF-1"))
    assert entry_of(event, projects=charged).projects == (
        Project(project_id="PRJ-7"),
        Project(project_id="AF-1", name="Alloys"),
    )


def test_sample_ids_are_the_same_each_time_and_differ(entry_of):
    group = {"0": {"sample_name": "a"}, "1": {"sample_name": "a"}}
    event = usage(run_data=answered("Agree", sample_group=group))
    first, again = entry_of(event).samples, entry_of(event).samples
    assert first == again
    assert first[0].id != first[1].id


def test_where_to_look_it_up(entry_of):
    assert entry_of(usage()).url == "https://nemo.example.org/event_details/usage/7/"
    booked = entry_of(usage(), booking(3, data=answered("Agree")))
    assert booked.url == "https://nemo.example.org/event_details/reservation/3/"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"end": "2025-03-10T08:00:00Z"}, "correct it in NEMO"),
        ({"end": "2025-03-10T09:00:00Z"}, "correct it in NEMO"),
        ({"start": "yesterday"}, "no proper time"),
        ({"end": ""}, "no proper time"),
    ],
)
def test_impossible_times_are_a_problem(entry_of, more, words):
    problem = entry_of(usage(**more))
    assert isinstance(problem, EntryProblem)
    assert problem.entry == "usage_events/7"
    assert words in problem.problem
