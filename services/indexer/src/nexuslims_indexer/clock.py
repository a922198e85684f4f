"""Finding out whether the clock that dates an instrument's files is wrong, and by how much.

Files have the time of the PC that wrote them. If it is off by the hour of summer time, each file
is in the wrong session, or in none. Shifting all files by one amount shows it: with the right one
they fall into sessions, and those in a folder named after a user into the sessions of that user.
It is said if most files are misplaced; or if a quarter of them are, half of these in the session of
another user than their folder's, and one amount puts all of them right.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, TypeAlias

from nexuslims_indexer.claims import Sessions
from nexuslims_indexer.model import FoundFile

_MINUTE_NS: Final = 60 * 10**9
_QUARTER_NS: Final = 15 * _MINUTE_NS
_HOUR_NS: Final = 4 * _QUARTER_NS
_FARTHEST: Final = 14
"""Hours that a clock may be off, as far as zones are apart; or its date is one day off."""
_NEAR_NS: Final = 3 * _MINUTE_NS
_MOST_MINUTES: Final = 120
"""How many minutes a clock may be off that runs wrong."""
_MOST_FILES: Final = 100
_FEWEST_FILES: Final = 4
_TOLERANCE_NS: Final = 60 * 10**9
"""How far ahead of ours a sound clock may be."""


_Named: TypeAlias = tuple[FoundFile, frozenset[str]]
"""A file, and the users after whom its folders are named."""


@dataclass(frozen=True, slots=True)
class Offset:
    """How far a clock seems to be off.

    Parameters
    ----------
    seconds
        How far it is ahead, behind if negative: what ``clock_offset`` should be.
    files
        How many files were looked at.
    misplaced
        How many of them are in no session now, or in that of another user.
    """

    seconds: int
    files: int
    misplaced: int


def detect_offset(
    files: Sequence[FoundFile], sessions: Sessions, known_ns: int = 0
) -> Offset | None:
    """Tell how far the clock of an instrument seems to be off, None if it seems right.

    Parameters
    ----------
    files
        Those last written in and near some sessions.
    sessions
        All of the instrument.
    known_ns
        How far the clock is known to be ahead, nanoseconds; the sessions' times are by this clock.
    """
    if len(files) > _MOST_FILES:
        files = sorted(files)[:: len(files) // _MOST_FILES + 1]
    if len(files) < _FEWEST_FILES:
        return None
    users = frozenset[str]().union(*(one.user_names for one in sessions.booked))
    named = [(file, frozenset(file.path.lower().split("/")[:-1]) & users) for file in files]
    placed = _fitting(named, sessions, 0)
    if 2 * placed <= len(files):
        needed = -(-9 * len(files) // 10)
    elif 4 * placed <= 3 * len(files) and 8 * _of_others(named, sessions) >= len(files):
        needed = len(files)
    else:
        return None
    hours = [count * _HOUR_NS for count in (*range(-_FARTHEST, _FARTHEST + 1), -24, 24)]
    quarters = [count * _QUARTER_NS for count in range(-4 * _FARTHEST, 4 * _FARTHEST + 1)]
    best = _best_of(hours, named, sessions, needed)
    best = _best_minute(named, sessions, needed) if best is None else best
    best = _best_of(quarters, named, sessions, needed) if best is None else best
    if best is None:
        return None
    return Offset((known_ns + best) // 10**9, len(files), len(files) - placed)


def from_the_future(files: Iterable[FoundFile], now_ns: int, offset_ns: int) -> list[FoundFile]:
    """Return the files that were written later than now, which cannot be.

    Parameters
    ----------
    files
        Any.
    now_ns
        The time, nanoseconds since the epoch.
    offset_ns
        How far the clock that dates them is known to be ahead, nanoseconds.
    """
    return sorted(file for file in files if file.mtime_ns - offset_ns > now_ns + _TOLERANCE_NS)


def _best_of(
    shifts: Sequence[int], files: Sequence[_Named], sessions: Sessions, needed: int
) -> int | None:
    """Return the shift that fits most files, the smallest of several; None if too few fit."""
    fits = {shift: _fitting(files, sessions, shift) for shift in shifts}
    best = max(fits, key=lambda one: (fits[one], -abs(one)))
    return best if fits[best] >= needed else None


def _best_minute(files: Sequence[_Named], sessions: Sessions, needed: int) -> int | None:
    """Return the middle of the nearest shifts that fit most files: a clock that runs wrong.

    A quarter of an hour near the middle is likelier: some zones differ by that.
    """
    shifts = [count * _MINUTE_NS for count in range(-_MOST_MINUTES, _MOST_MINUTES + 1)]
    fits = [_fitting(files, sessions, shift) for shift in shifts]
    most = max(fits)
    if most < needed:
        return None
    runs = [
        [place for place, _ in run]
        for fit, run in groupby(enumerate(fits), key=lambda one: one[1])
        if fit == most
    ]
    run = min(runs, key=lambda one: abs(shifts[one[len(one) // 2]]))
    middle = shifts[run[len(run) // 2]]
    quarter = round(middle / _QUARTER_NS) * _QUARTER_NS
    is_near = abs(quarter - middle) <= _NEAR_NS and shifts[run[0]] <= quarter <= shifts[run[-1]]
    return quarter if is_near else middle


def _of_others(files: Sequence[_Named], sessions: Sessions) -> int:
    """Count the files in a user's folder and in the sessions of other users only."""
    return sum(
        bool(users) and bool(sessions.at(file.mtime_ns)) and not _fits(file, users, sessions, 0)
        for file, users in files
    )


def _fitting(files: Sequence[_Named], sessions: Sessions, shift: int) -> int:
    """Count the files, given with the users of their folders, that fit with so much ahead."""
    return sum(_fits(file, users, sessions, shift) for file, users in files)


def _fits(file: FoundFile, users: frozenset[str], sessions: Sessions, shift: int) -> bool:
    within = [one for one in sessions.at(file.mtime_ns - shift) if one.rules.may_have(file.path)]
    if not users:
        return bool(within)
    return any(not one.user_names.isdisjoint(users) for one in within)
