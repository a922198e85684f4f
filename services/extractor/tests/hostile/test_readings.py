"""The small readings that formats share take whatever a vendor's tag holds."""

import math
from datetime import datetime

from hypothesis import example, given, settings
from hypothesis import strategies as st

from nexuslims_contracts.text import clean_text, printable
from nexuslims_formats.json_tree import to_json_bytes
from nexuslims_formats.model import InstrumentContext
from nexuslims_formats.quantities import quantity
from nexuslims_formats.tiff.zeiss import read_parameters
from nexuslims_formats.times import from_filetime, from_unix, moment, place
from nexuslims_formats.trees import ini_sections
from nexuslims_formats.values import leaves

SAME = settings(derandomize=True, deadline=None, database=None, max_examples=200)
DATES = st.from_regex(r"[0-9]{1,4}[-/.:][0-9]{1,2}[-/.:][0-9]{1,4}[ T]?[0-9:.apmAPM+Z ]*")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=8,
)


@SAME
@given(VALUES | st.from_regex(r"[-+]?[0-9]*[.]?[0-9]*[eE]?[-+]?[0-9]* ?[a-zA-Z%]*"))
@example(10**400)
@example("1e999")
@example("9" * 5000)
def test_a_number_is_finite_or_none(value):
    found = quantity(value)
    if found is not None:
        assert math.isfinite(found[0])


@SAME
@given(st.text() | DATES, st.text())
@example("2020-01-01T00:00:00+99:99", "")
@example("99999999999999999999", "25:61")
def test_a_time_is_one_that_can_be_placed_or_none(text, clock):
    for stated in (moment("tag", text), moment("tag", text, clock)):
        assert isinstance(stated.when, datetime | None)
        assert place(stated, None, 0).when.tzinfo is not None


@SAME
@given(st.floats() | st.integers())
@example(10**400)
def test_ticks_are_a_time_of_this_age_or_none(ticks):
    for when in (from_filetime(ticks), from_unix(ticks)):
        if when is not None:
            assert 1980 <= when.year < 2200


@SAME
@given(st.integers(-(10**12), 10**12))
def test_a_modification_time_is_always_a_time(mtime):
    placed = place(None, InstrumentContext("t", "Asia/Tokyo"), mtime)
    assert placed.source == "file modification time"
    assert placed.when.timestamp() == min(max(mtime, -6e10), 6e10)


@SAME
@given(st.dictionaries(st.text(), VALUES))
def test_a_tree_becomes_json_that_any_parser_takes(tree):
    to_json_bytes(tree).decode("utf-8")
    for name, value in leaves(tree):
        assert isinstance(name, str)
        if isinstance(value, float):
            assert math.isfinite(value)


@SAME
@given(st.text(st.characters(codec="utf-8") | st.characters(categories=["Cs", "Cc", "Cf"])))
def test_names_for_people_are_printable(name):
    assert printable(clean_text(name)).isprintable()


@SAME
@given(st.text("[]=:\n\0 aA_%") | st.text())
def test_sections_and_parameters_are_texts(text):
    for section in ini_sections(text).values():
        assert all(isinstance(value, str) for value in section.values())
    for name, value in read_parameters(text).values():
        assert isinstance(name + value, str)
