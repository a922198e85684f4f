"""Drawing a time line: files, gaps, boundaries."""

from nexuslims_builder.plot import length, plot


def test_bars_stand_where_files_are_and_lines_between_activities() -> None:
    lines = plot([0, 1, 2, 100], [0, 0, 0, 1], width=10)
    title, bars, marks, _ = lines[:4]
    assert title == "files over time"
    assert bars == "█        ▃"
    assert marks.index("│") == 5


def test_gaps_are_counted_by_length_and_those_between_activities_named() -> None:
    gaps = plot([0, 1, 2, 100], [0, 0, 0, 1], width=10)[6:]
    assert gaps[0].split() == ["1", "s", "to", "2", "s", "█" * 40, "2"]
    assert gaps[-1].endswith("1 between activities")
    assert "1.07 min to 2.13 min" in gaps[-1]


def test_files_of_one_time_have_gaps_of_no_length() -> None:
    assert plot([5.0, 5.0, 5.0], [0, 0, 0], 80)[-1].split() == [
        "below",
        "1.95",
        "ms",
        "█" * 40,
        "2",
    ]


def test_any_number_of_files_is_drawn() -> None:
    assert plot([], [], 80) == ["no files"]
    assert len(plot([5.0], [0], 80)) == 4
    assert "█" in plot([5.0, 5.0], [0, 0], 80)[1]


def test_lengths_have_the_unit_that_fits() -> None:
    assert [length(s) for s in (0.0005, 0.5, 90, 7200, 86400)] == [
        "0.0005 s", "500 ms", "1.5 min", "2 h", "1 d",
    ]  # fmt: skip
