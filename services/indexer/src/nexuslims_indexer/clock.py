"""Finding out whether the clock that dates an instrument's files is wrong, and by how much.

Files have the time of the PC that wrote them. If it is off by the hour of summer time, each file
is in the wrong session, or in none. Shifting all files by one amount shows it: with the right one
they fall into sessions, and those in a folder named after a user into the sessions of that user.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from nexuslims_indexer.claims import Sessions
from nexuslims_indexer.model import FoundFile

_QUARTER_NS: Final = 900 * 10**9
_HOUR_NS: Final = 4 * _QUARTER_NS
_FARTHEST: Final = 56
"""Quarters of an hour that a clock may be off: 14 hours, as far as zones are apart."""
_MOST_FILES: Final = 400
_FEWEST_FILES: Final = 4
_TOLERANCE_NS: Final = 60 * 10**9
"""How far ahead of ours a sound clock may be."""


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
    if 2 * placed > len(files):
        return None
    fits = Counter({shift: _fitting(named, sessions, shift) for shift in _shifts()})
    best, most = max(fits.items(), key=lambda one: (one[1], one[0] % _HOUR_NS == 0, -abs(one[0])))
    if 10 * most < 9 * len(files):
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


def _shifts() -> list[int]:
    return [count * _QUARTER_NS for count in range(-_FARTHEST, _FARTHEST + 1)]


def _fitting(
    files: Sequence[tuple[FoundFile, frozenset[str]]], sessions: Sessions, shift: int
) -> int:
    """Count the files, given with the users of their folders, that fit with so much ahead."""
    return sum(_fits(file, users, sessions, shift) for file, users in files)


def _fits(file: FoundFile, users: frozenset[str], sessions: Sessions, shift: int) -> bool:
    within = [one for one in sessions.at(file.mtime_ns - shift) if one.rules.may_have(file.path)]
    if not users:
        return bool(within)
    return any(not one.user_names.isdisjoint(users) for one in within)
