# ruff: noqa: DTZ001 - local times without a zone are what is tested
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexuslims_formats.model import InstrumentContext, Moment
from nexuslims_formats.quantities import quantity
from nexuslims_formats.times import from_filetime, from_unix, place, reveal_offset
from nexuslims_formats.values import lines_of, snake

TITAN = InstrumentContext("titan", "America/New_York")


def test_utc_beside_local_time_reveals_the_offset():
    utc = datetime(2018, 11, 13, 17, 49, 32, tzinfo=UTC)
    revealed = reveal_offset(datetime(2018, 11, 13, 12, 49, 45), utc)
    assert revealed == utc
    assert revealed.utcoffset() == timedelta(hours=-5)
    # a sanitised local date reveals nothing
    assert reveal_offset(datetime(2025, 1, 1, 1, 10), utc).utcoffset() == timedelta(0)


def test_a_local_time_is_placed_in_the_zone_of_the_instrument():
    placed = place(Moment(datetime(2019, 7, 1, 12), "tag"), TITAN, 0)
    when, source = placed.when, placed.source
    assert when.isoformat() == "2019-07-01T12:00:00-04:00"
    assert "tag" in source
    assert "titan" in source


def test_without_any_time_the_modification_time_is_taken():
    placed = place(None, TITAN, 1542131372.7)
    when, source = placed.when, placed.source
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
    assert "__" not in snake(text)


def test_lines_end_where_vendors_end_them():
    assert lines_of("a\r\nb\rc\u2028d\x0be\nf") == ["a", "b", "c\u2028d\x0be", "f"]
