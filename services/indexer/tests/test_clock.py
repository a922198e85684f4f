"""Whether a clock seems to be wrong."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from nexuslims_indexer.claims import Booked, Sessions
from nexuslims_indexer.clock import detect_offset, from_the_future
from nexuslims_indexer.model import FoundFile
from nexuslims_indexer.place import Clock, nanoseconds

HOUR = 3600 * 10**9
USERS = ("ned", "conseil", "aronnax")


def sessions(ahead: int = 0) -> Sessions:
    """Sessions an hour long, as a clock shows them that is so many hours ahead."""
    return Sessions(
        [
            Booked(
                name,
                (number + ahead) * HOUR,
                (number + ahead + 1) * HOUR,
                user_names=frozenset({name}),
            )
            for number, name in enumerate(USERS, start=100)
        ]
    )


def files(offset: float, *, in_folders: bool = True) -> list[FoundFile]:
    return [
        FoundFile(
            round((number + part / 10 + offset) * HOUR),
            f"T/{name if in_folders else 'all'}/{part}.dm3",
            1,
        )
        for number, name in enumerate(USERS, start=100)
        for part in (2, 4, 6, 8)
    ]


@pytest.mark.parametrize("hours", [-1, 1, -9, 2])
def test_files_in_the_folders_of_users_tell_by_how_much(hours: int) -> None:
    offset = detect_offset(files(hours), sessions())
    assert offset is not None
    assert (offset.seconds, offset.files, offset.misplaced) == (hours * 3600, 12, 12)


@pytest.mark.parametrize("minutes", [30, -30, 37, -23, 62, -95, 330, 1440, -1440])
def test_a_part_of_the_files_in_the_sessions_of_other_users_tells_too(minutes: int) -> None:
    """By minutes where no whole hour puts all right; then it is exact to a few."""
    offset = detect_offset(files(minutes / 60), sessions())
    assert offset is not None
    assert abs(offset.seconds - minutes * 60) <= 5 * 60
    assert detect_offset(files(minutes / 60 - offset.seconds / 3600), sessions()) is None


def test_who_comes_early_has_no_wrong_clock() -> None:
    """Nor does one who measures for another."""
    early = [replace(one, mtime_ns=one.mtime_ns - HOUR) for one in files(0)[4:6]]
    assert detect_offset([*files(0), *early], sessions()) is None
    for_another = [replace(one, path="T/conseil/x.dm3") for one in files(0)[:4]]
    assert detect_offset([*files(0), *for_another], sessions()) is None


def test_files_that_fall_outside_of_all_sessions_tell_too() -> None:
    offset = detect_offset(files(-7, in_folders=False), sessions())
    assert offset is not None
    assert offset.seconds == -7 * 3600


def test_the_number_to_set_counts_from_the_true_time() -> None:
    assert detect_offset(files(-1), sessions(-1), -HOUR) is None
    offset = detect_offset(files(-1), sessions(1), HOUR)
    assert offset is not None
    assert offset.seconds == -3600


@pytest.mark.parametrize("fine", [files(0), files(-1)[:3], [], files(0) + files(-30)[:4]])
def test_nothing_is_reported_of_a_clock_that_is_right_or_of_too_few_files(fine) -> None:
    assert detect_offset(fine, sessions()) is None


def test_files_of_the_future_are_those_beyond_what_clocks_differ() -> None:
    now = 100 * HOUR
    ahead = [FoundFile(now + seconds * 10**9, "T/a.dm3", 1) for seconds in (-5, 5, 59, 61)]
    assert from_the_future(ahead, now, 0) == ahead[-1:]
    assert from_the_future(ahead, now, 3600 * 10**9) == []


WINTER_TIME = Clock(zones=(ZoneInfo("Etc/GMT-1"), ZoneInfo("Europe/Vienna")))


@pytest.mark.parametrize(
    ("clock", "start", "behind"),
    [
        (Clock(), (2026, 7, 1, 12), (0, 0)),
        (Clock(-60 * 10**9), (2026, 7, 1, 12), (60, 60)),
        (WINTER_TIME, (2026, 1, 1, 12), (0, 0)),
        (WINTER_TIME, (2026, 7, 1, 12), (3600, 3600)),
        (WINTER_TIME, (2026, 10, 25, 0, 30), (3600, 0)),
        (WINTER_TIME, (2026, 3, 29, 0, 30), (3600, 0)),
    ],
)
def test_a_session_has_the_time_that_the_clock_shows(clock, start, behind) -> None:
    """Without summer time it is behind for a half of the year; a session may cross the change."""
    begin = datetime(*start, tzinfo=UTC)
    end = begin + timedelta(hours=1)
    expected = [
        nanoseconds(moment) - late * 10**9
        for moment, late in zip((begin, end), behind, strict=True)
    ]
    assert list(clock.span(begin, end)) == expected
