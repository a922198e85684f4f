"""The catalogue, its ids and its envelope."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexuslims_contracts import subjects
from nexuslims_contracts.envelope import MAX_EVENT_BYTES, decode, encode, envelop
from nexuslims_contracts.errors import UndecodableError, UnknownEventError
from nexuslims_contracts.events import (
    EVENT_TYPES,
    ConsentDeclined,
    Event,
    FileIndexed,
    Instrument,
    ReservationMatched,
    SessionEnded,
)
from nexuslims_contracts.identifiers import file_token, is_token, session_token
from nexuslims_contracts.upcasting import upcast

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
INSTRUMENT = Instrument(pid="FEI-Titan-TEM", name="FEI Titan TEM", filestore="Titan_TEM")
START = datetime(2018, 11, 13, 16, tzinfo=UTC)


def ended(session: str = "file-1", end: datetime = START) -> SessionEnded:
    return SessionEnded(session=session, instrument=INSTRUMENT, start=START, end=end)


def test_the_catalogue_has_stable_versioned_names():
    assert ended().type_name() == "nexuslims.session.ended.v1"
    assert ended().subject == "nexus.events.file-1.session-ended"
    assert {
        "nexuslims.session.started.v1",
        "nexuslims.file.indexed.v1",
        "nexuslims.record.uploaded.v1",
    } <= set(EVENT_TYPES)


def test_no_two_events_share_a_subject_or_a_name():
    filters = [model.filter() for model in EVENT_TYPES.values()]
    assert len(set(filters)) == len(filters)


@pytest.mark.parametrize("model", EVENT_TYPES.values(), ids=lambda model: model.name)
def test_every_filter_is_on_the_stream(model: type[Event]):
    concrete = model.filter().replace("*", "x")
    assert subjects.matches(subjects.ALL, concrete)
    assert subjects.matches(subjects.of_session("x"), concrete)


def test_the_same_fact_has_the_same_id_and_another_fact_another():
    assert ended().id == ended().id
    assert ended("file-1").id != ended("file-2").id
    declined = ConsentDeclined(session="file-1", tier="calendar", reason="no", after=0)
    assert declined.id != declined.model_copy(update={"after": 7}).id


def test_an_envelope_survives_the_wire_and_names_its_cause():
    cause = envelop(ended(), source="nexuslims/harvester", traceparent=TRACE)
    effect = envelop(
        FileIndexed(
            session="file-1",
            file=file_token("a/b.dm3", 10, 20),
            path="a/b.dm3",
            size=10,
            mtime_ns=20,
            instrument=INSTRUMENT,
        ),
        source="nexuslims/indexer",
        cause=cause,
    )
    headers, payload = encode(effect)
    assert decode(headers, payload) == effect
    assert headers["ce-causationid"] == cause.id
    assert headers["Nats-Msg-Id"] == headers["ce-id"] == effect.id
    assert headers["traceparent"] == TRACE
    assert effect.correlation == "file-1"


@pytest.mark.parametrize(
    "forged",
    [
        "00-ab-cd-01",
        TRACE.upper(),
        f"{TRACE}-more",
        TRACE.replace("00-", "ff-"),
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
        "x" * 4000,
    ],
)
def test_a_malformed_trace_is_ignored(forged: str):
    headers, payload = encode(envelop(ended(), source="test", traceparent=forged))
    assert decode(headers, payload).traceparent == ""


def test_a_newer_version_is_left_alone():
    headers, payload = encode(envelop(ended(), source="test"))
    headers["ce-type"] = "nexuslims.session.ended.v99"
    with pytest.raises(UnknownEventError, match=r"session\.ended\.v99.*update the service"):
        decode(headers, payload)


@pytest.mark.parametrize(
    ("headers", "payload", "expected"),
    [
        ({}, b"{}", "lacks the header 'ce-type'"),
        ({"ce-type": "nexuslims.session.ended.v1"}, b"{}", "session: Field required"),
        ({"ce-type": "nexuslims.session.ended.v1"}, b"\xff\x00", "Invalid JSON"),
        ({"ce-type": "nexuslims.old.v1"}, b"[", "unknown"),
        ({"ce-type": "nexuslims.session.ended.v99"}, b"[" * 100_000, "cannot be read"),
        ({"ce-type": "nexuslims.session.ended.v1"}, b"[" * 100_000, "Invalid JSON"),
    ],
)
def test_damage_is_named(headers: dict[str, str], payload: bytes, expected: str):
    if headers.get("ce-type") == "nexuslims.old.v1":
        payload = json.dumps({}).encode()
    with pytest.raises(UndecodableError, match=expected):
        decode(headers, payload)


@pytest.mark.parametrize("model", EVENT_TYPES.values(), ids=lambda model: model.name)
def test_who_forgets_a_person_learns_where_they_are_named(model: type[Event]) -> None:
    """A field for people that ``people`` leaves out would be a name nobody can erase."""
    schema = json.dumps(model.model_json_schema())
    assert ("the person's names are not in the log" in schema) == (model.people is not Event.people)


def test_an_event_names_its_people() -> None:
    matched = ReservationMatched(
        session="a", tier="calendar", experimenter="p-1", collaborators=("p-2", "p-3"), after=0
    )
    assert matched.people() == ("p-1", "p-2", "p-3")
    assert ended().people() == ()
    assert ended().model_copy(update={"user": "p-4"}).people() == ("p-4",)


def test_an_event_has_a_size_limit():
    declined = ConsentDeclined(
        session="file-1", tier="calendar", reason="x" * MAX_EVENT_BYTES, after=0
    )
    with pytest.raises(UndecodableError, match="belongs in an artifact"):
        encode(envelop(declined, source="test"))


def test_upcasters_run_as_a_chain_before_validation():
    steps = {
        "nexuslims.session.ended.v-1": (
            "nexuslims.session.ended.v0",
            lambda old: {**old, "start": START.isoformat()},
        ),
        "nexuslims.session.ended.v0": (
            "nexuslims.session.ended.v1",
            lambda old: {**old, "end": old["start"]},
        ),
    }
    old = {"session": "file-1", "instrument": INSTRUMENT.model_dump()}
    name, payload = upcast("nexuslims.session.ended.v-1", old, steps)
    assert EVENT_TYPES[name].model_validate(payload) == ended()


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=60))
def test_session_tokens_are_safe_in_subjects(calendar: str, event: str):
    assert is_token(session_token("c" + calendar, event))


@given(st.text(max_size=40), st.text(max_size=40))
def test_different_calendar_events_get_different_tokens(one: str, other: str):
    if one != other:
        assert session_token("file", one) != session_token("file", other)


def test_tokens_stay_readable():
    assert session_token("nemo-1", "usage-5821") == "nemo-1-usage-5821"


@given(
    st.lists(st.sampled_from(["a", "b", "*", ">"]), min_size=1, max_size=4),
    st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=4),
)
def test_filters_match_as_the_server_says(pattern: list[str], subject: list[str]):
    if ">" in pattern[:-1]:
        return
    tail = pattern[-1] == ">"
    head = pattern[:-1] if tail else pattern
    expected = (len(subject) > len(head) if tail else len(subject) == len(head)) and all(
        want in ("*", got) for want, got in zip(head, subject, strict=False)
    )
    assert subjects.matches(".".join(pattern), ".".join(subject)) is expected


_tokens = st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=4)


@given(
    st.lists(st.tuples(_tokens, st.booleans()), min_size=1, max_size=3),
    st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=5),
)
def test_a_common_filter_matches_what_each_matches(
    patterns: list[tuple[list[str], bool]], subject: list[str]
):
    texts = [".".join([*tokens, ">"] if tail else tokens) for tokens, tail in patterns]
    common = subjects.common_filter(texts)
    matched = [subjects.matches(text, ".".join(subject)) for text in texts]
    assert subjects.matches(common, ".".join(subject)) >= any(matched)


@pytest.mark.parametrize(
    ("patterns", "common"),
    [
        (["e.*.a"], "e.*.a"),
        (["e.*.a", "e.*.b"], "e.*.*"),
        (["e.s.*", "e.s.destination.*.*"], "e.s.>"),
        (["e.s.>", "e.s.a"], "e.s.>"),
    ],
)
def test_a_common_filter_is_narrow(patterns: list[str], common: str):
    assert subjects.common_filter(patterns) == common
