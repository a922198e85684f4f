"""How a session's events, and its activities, are laid out."""

from datetime import datetime, timedelta

from nexuslims_console.views import EventRow
from nexuslims_console.web.gaps import picture
from nexuslims_console.web.waterfall import slowest, waterfall
from nexuslims_contracts.testing import START


def event(sequence: int, kind: str, after: float, cause: int = 0, summary: str = "") -> EventRow:
    return EventRow(
        sequence=sequence,
        session="a",
        type=kind,
        time=START + timedelta(seconds=after),
        source="nexuslims/test",
        id=str(sequence),
        causation=str(cause) if cause else "",
        summary=summary,
    )


STORY = [
    event(1, "session.ended", 0),
    event(2, "file.indexed", 10, cause=1, summary="Titan/a, b.dm3, 12 bytes"),
    event(3, "metadata.extracted", 14, cause=2),
    event(4, "extraction.failed", 13, cause=2),
    event(5, "record.built", 20, cause=3),
    event(6, "record.uploaded", 20 + 7200, cause=5),
]


def test_bars_span_from_cause_to_event_and_long_pauses_are_cut() -> None:
    fall = waterfall(STORY)
    assert [bar.event.sequence for bar in fall.bars] == [1, 5, 6]
    assert [bar.event.sequence for bar in fall.files] == [2, 3, 4]
    built = fall.bars[1]
    assert (built.cause, built.seconds) == (3, 6.0)
    assert 0 <= built.left < built.left + built.width <= 1
    assert [pause.seconds for pause in fall.breaks] == [7200]
    uploaded = fall.bars[2]
    assert uploaded.width < 0.1
    assert abs(uploaded.left + uploaded.width - 1) < 1e-9


def test_files_are_named_by_what_caused_their_reading() -> None:
    assert [bar.about for bar in waterfall(STORY).files] == ["Titan/a, b.dm3"] * 3


def test_failures_come_before_slow_files() -> None:
    assert [bar.event.sequence for bar in slowest(waterfall(STORY).files, 1)] == [4]


def test_a_cause_that_is_later_or_unknown_makes_no_negative_bar() -> None:
    odd = [event(1, "session.ended", 5), event(2, "record.built", 0, cause=1)]
    fall = waterfall([*odd, event(3, "record.uploaded", 6, cause=99)])
    assert [(bar.seconds, bar.width) for bar in fall.bars[1:]] == [(0.0, 0.0), (None, 0.0)]


def test_one_event_is_drawn() -> None:
    assert waterfall([event(1, "session.started", 0)]).bars[0].left == 0
    assert waterfall([]).bars == []


def test_activities_are_bands_with_the_pauses_between_them() -> None:
    drawn = picture([[0.0, 10.0, 5.0], [], [3600.0, 3605.0]])
    assert drawn is not None
    assert [(band.activity, band.files) for band in drawn.bands] == [(1, 3), (3, 2)]
    assert [(gap.before, gap.after, gap.seconds) for gap in drawn.gaps] == [(1, 3, 3590.0)]
    assert drawn.longest_within == 5.0
    assert drawn.bands[0].last == datetime.fromisoformat("1970-01-01T00:00:10+00:00")
    assert all(0 <= column.x <= 1000 for column in drawn.columns)


def test_no_files_make_no_picture() -> None:
    assert picture([]) is None
    assert picture([[], []]) is None
    assert picture([[5.0]]) is not None
