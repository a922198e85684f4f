"""Whether a clock seems to be wrong."""

import pytest

from nexuslims_indexer.claims import Booked, Rules, Sessions
from nexuslims_indexer.clock import detect_offset, from_the_future
from nexuslims_indexer.model import FoundFile

HOUR = 3600 * 10**9
USERS = ("ned", "conseil", "aronnax")


def sessions(offset_ns: int = 0) -> Sessions:
    booked = [
        Booked(name, number * HOUR, (number + 1) * HOUR, user_names=frozenset({name}))
        for number, name in enumerate(USERS, start=100)
    ]
    return Sessions(booked, Rules(offset_ns=offset_ns))


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


def test_files_that_fall_outside_of_all_sessions_tell_too() -> None:
    offset = detect_offset(files(-7, in_folders=False), sessions())
    assert offset is not None
    assert offset.seconds == -7 * 3600


def test_the_number_to_set_counts_from_the_true_time() -> None:
    assert detect_offset(files(-1), sessions(offset_ns=-HOUR)) is None
    offset = detect_offset(files(-1), sessions(offset_ns=HOUR))
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
