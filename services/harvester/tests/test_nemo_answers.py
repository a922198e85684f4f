"""Answers to NEMO's questions, however the form was left."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexuslims_harvester.nemo.answers import (
    CONSENT,
    FIELDS,
    UNREADABLE,
    SampleAnswer,
    read_answers,
    used,
)


def answered(**answers):
    return {name: {"type": "x", "user_input": answer} for name, answer in answers.items()}


@pytest.mark.parametrize(
    ("data", "consent"),
    [
        ('{"data_consent": {"user_input": "Dis', UNREADABLE),
        ('{"data_consent": {"user_input": "No"}, "data_consent": {}}', UNREADABLE),
        ('{"data_consent": "Disagree"}', "Disagree"),
        ('{"data_consent": ["Disagree"]}', ["Disagree"]),
        ('{"data_consent": null}', None),
        ('{"data_consent": {"answer": "No"}}', None),
    ],
)  # fmt: skip
def test_what_may_be_a_refusal_is_never_taken_for_no_question(data, consent):
    assert read_answers(data).consent == consent


@pytest.mark.parametrize(
    "data",
    [None, "", "  ", "{", "[]", "5", [], 7, {}, answered(pressure=2.0), {"experiment_title": 3}],
)
def test_what_does_not_ask_for_consent_carries_no_answers(data):
    assert read_answers(data) is None


def test_a_text_of_json_and_an_object_say_the_same():
    form = answered(data_consent="Agree", experiment_title="T", experiment_purpose="P")
    answers = read_answers(form)
    assert answers == read_answers(json.dumps(form))
    assert (answers.consent, answers.title, answers.purpose) == ("Agree", "T", "P")


def test_samples_by_name_and_by_pid_in_the_order_of_their_numbers():
    group = {
        "10": {"sample_name": "last"},
        "2": {"sample_name": "20.5/x", "sample_or_pid": "PID", "sample_details": None},
        "0": {"sample_name": "first", "sample_or_pid": "Sample Name", "sample_details": "thin"},
    }
    answers = read_answers(answered(data_consent="Agree", sample_group=group))
    assert answers.samples == (
        SampleAnswer(name="first", details="thin"),
        SampleAnswer(pid="20.5/x"),
        SampleAnswer(name="last"),
    )


def test_a_sample_outside_a_group():
    answers = read_answers(answered(data_consent="Agree", sample_name="S-1", sample_details="flat"))
    assert answers.samples == (SampleAnswer(name="S-1", details="flat"),)


@pytest.mark.parametrize(
    "group", [{}, {"0": {"sample_name": "", "sample_or_pid": ""}}, {"0": None}, [], "", {"0": {}}]
)
def test_blank_samples_are_none(group):
    assert read_answers(answered(data_consent="Agree", sample_group=group)).samples == ()


@pytest.mark.parametrize("elements", [["Fe", "Cr"], "Fe, Cr", "Fe Cr Fe"])
def test_elements(elements):
    group = {"0": {"sample_name": "weld", "periodic_table": elements}}
    (sample,) = read_answers(answered(data_consent="Agree", sample_group=group)).samples
    assert sample.elements == ("Fe", "Cr")


def test_several_projects():
    answers = read_answers(answered(data_consent="Agree", project_id="PRJ-7; Big Project"))
    assert answers.projects == ("PRJ-7", "Big Project")


def test_only_what_is_used_is_kept():
    form = answered(data_consent="Agree", phone="555") | {"experiment_title": {"type": "textbox"}}
    assert used(form) == {
        "data_consent": {"user_input": "Agree"},
        "experiment_title": {"user_input": None},
    }


def test_a_form_without_a_bottom_is_none():
    assert read_answers("[" * 100_000) is None


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.sampled_from([0, -7, "", "PID", "Agree", "\udc80"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*FIELDS, "user_input", "0", "1"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    form=st.dictionaries(
        st.sampled_from(FIELDS), JSON.map(lambda one: {"user_input": one}), max_size=4
    )
)
def test_no_form_is_too_strange(form):
    answers = read_answers(form)
    assert (answers is None) == (CONSENT not in form)
    kept = used(form)
    assert read_answers(kept) == answers, "a better mapping can be replayed from what is kept"
    assert json.loads(json.dumps(kept, allow_nan=False)) == kept


@given(data=JSON)
def test_no_data_is_too_strange(data):
    read_answers(data)
    used(data)
