# ruff: noqa: DTZ001 - local times without a zone are what is tested
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexuslims_formats.model import InstrumentContext, Moment
from nexuslims_formats.quantities import quantity
from nexuslims_formats.values import (
    from_filetime,
    from_unix,
    lines_of,
    local_time,
    parse_clock,
    parse_datetime,
    place,
    reveal_offset,
    snake,
)

TITAN = InstrumentContext("titan", "America/New_York")


@pytest.mark.parametrize(
    ("date", "clock", "expected"),
    [
        ("11/13/2018", "12:49:45 PM", datetime(2018, 11, 13, 12, 49, 45)),
        ("27/08/2016", "08:55:59 p.m.", datetime(2016, 8, 27, 20, 55, 59)),
        ("27.08.2016", "20:55:59", datetime(2016, 8, 27, 20, 55, 59)),
        ("25 Sep 2018", "8:20:42", datetime(2018, 9, 25, 8, 20, 42)),
        ("2025-12-03", "17:19:26", datetime(2025, 12, 3, 17, 19, 26)),
    ],
)
def test_local_times_of_every_locale(date, clock, expected):
    assert local_time(date, clock) == expected


def test_utc_settles_which_number_is_the_month():
    assert local_time("03/04/2020", "10:00:00").month == 3
    assert local_time("03/04/2020", "10:00:00", datetime(2020, 4, 3, 9, tzinfo=UTC)).month == 4


def test_utc_beside_local_time_reveals_the_offset():
    utc = datetime(2018, 11, 13, 17, 49, 32, tzinfo=UTC)
    revealed = reveal_offset(datetime(2018, 11, 13, 12, 49, 45), utc)
    assert revealed == utc
    assert revealed.utcoffset() == timedelta(hours=-5)
    # a sanitised local date reveals nothing
    assert reveal_offset(datetime(2025, 1, 1, 1, 10), utc).utcoffset() == timedelta(0)


def test_a_local_time_is_placed_in_the_zone_of_the_instrument():
    when, source = place(Moment(datetime(2019, 7, 1, 12), "tag"), TITAN, 0)
    assert when.isoformat() == "2019-07-01T12:00:00-04:00"
    assert "tag" in source
    assert "titan" in source


def test_without_any_time_the_modification_time_is_taken():
    when, source = place(None, TITAN, 1542131372.7)
    assert when.isoformat() == "2018-11-13T12:49:32-05:00"
    assert source == "file modification time"


def test_epochs():
    assert from_filetime(1.31866049854375e17) == datetime(2018, 11, 13, 17, 49, 45, tzinfo=UTC)
    assert from_unix(0) is None
    assert from_unix(float("nan")) is None
    assert from_unix(1e18) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("15000 Volt", (15000.0, "V")),
        ("3e-005", (3e-5, "")),
        ("", None),
        (True, None),
        (float("inf"), None),
    ],
)
def test_quantities(value, expected):
    assert quantity(value) == expected


def test_names():
    assert snake("Emission Current (µA)") == "emission_current_u_a"
    assert snake("PixelSizeX") == "pixel_size_x"
    assert snake("WD") == "wd"


@given(st.text(max_size=40))
def test_readings_of_any_text_never_raise(text):
    quantity(text)
    parse_clock(text)
    parse_datetime(text)
    assert "__" not in snake(text)


def test_lines_end_where_vendors_end_them():
    assert lines_of("a\r\nb\rc\u2028d\x0be\nf") == ["a", "b", "c\u2028d\x0be", "f"]
