"""Whose file is it? One rule for all calendars, by time, folder and how long sessions are.

1. A time that a user declined is in nobody's record.
2. A file that was begun in a session and written until after it is that session's.
3. A file belongs to the session in whose time it was last written: after its start, not after its
   end.
4. Of several sessions, the one whose instrument's folder is the nearest above the file; else the
   one whose user, or whose own name, a folder above the file has; else the shortest; of equally
   long ones the later.
5. In nobody's time, but shortly after a session's end: it is that session's.

Where rules 2, 4 and 5 decide, or the file was written shortly after another session's end, the time
inside the file settles the doubt, if it lies in the time of one of these sessions. Instruments with
the same folder, or one within the other's, have their sessions here together.

All times are those of the clocks that date the files.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from nexuslims_contracts.events import FileBasis
from nexuslims_contracts.paths import readable
from nexuslims_contracts.text import counted
from nexuslims_indexer.model import FoundFile

FOR_EVER: Final = 2**62
"""The end of a session that has none yet, nanoseconds."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How an instrument's files are given to its sessions.

    Parameters
    ----------
    grace_ns
        How long after its end a file of a session may be closed, nanoseconds.
    folders
        Whose names folders have: ``user``, ``session`` or, if empty, nobody's.
    place
        The instrument's folder, if it is only a part of what is looked through.
    """

    grace_ns: int = 0
    folders: Literal["", "user", "session"] = ""
    place: str = ""

    def may_have(self, path: str) -> bool:
        """Tell whether a file may be the instrument's, by where it is."""
        return not self.place or path.startswith(f"{self.place}/")


@dataclass(frozen=True, slots=True)
class Booked:
    """A session as the calendar tells it now.

    Parameters
    ----------
    session
        Its token.
    start_ns, end_ns
        By the clock that dates its files, nanoseconds since the epoch; :data:`FOR_EVER` while it
        goes on.
    rules
        Of its instrument.
    declined
        Whether its user declined a record.
    user_names
        What a folder of its user may be called, lower case.
    own_names
        What a folder of its own may be called, lower case.
    """

    session: str
    start_ns: int
    end_ns: int
    rules: Rules = Rules()
    declined: bool = False
    user_names: frozenset[str] = frozenset()
    own_names: frozenset[str] = frozenset()

    @property
    def last_ns(self) -> int:
        """The last moment at which a file of it may be closed."""
        return self.end_ns + self.rules.grace_ns

    def holds(self, moment_ns: int) -> bool:
        """Tell whether a time is the session's: after its start, and not after its end."""
        return self.start_ns < moment_ns <= self.end_ns


@dataclass(frozen=True, slots=True)
class Claim:
    """Whose a file is.

    Parameters
    ----------
    session
        Empty if it is nobody's.
    basis
        By which rule.
    others
        Sessions that might have claimed it too.
    """

    session: str = ""
    basis: FileBasis = "time"
    others: tuple[str, ...] = ()


NOBODYS: Final = Claim()


@dataclass(slots=True)
class Sessions:
    """The sessions of instruments that share a folder, to be asked whose a file is.

    Parameters
    ----------
    booked
        All of them, but for those that were cancelled.
    """

    booked: Sequence[Booked]
    _starts: list[int] = field(default_factory=list)
    _latest: list[int] = field(default_factory=list)
    _by_name: dict[str, list[Booked]] = field(default_factory=dict)
    _by_token: dict[str, Booked] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Sort them, with the latest moment that any that began before each may reach."""
        self.booked = sorted(self.booked, key=lambda one: (one.start_ns, one.session))
        latest = 0
        for one in self.booked:
            self._by_token[one.session] = one
            self._starts.append(one.start_ns)
            latest = max(latest, one.last_ns)
            self._latest.append(latest)
            for name in one.own_names if one.rules.folders == "session" else ():
                self._by_name.setdefault(name, []).append(one)

    @property
    def have_own_folders(self) -> bool:
        """Whether a folder may have a session's name, which decides whatever the time."""
        return bool(self._by_name)

    def at(self, moment_ns: int) -> list[Booked]:
        """Return the sessions in whose time a moment is."""
        return [one for one in self.overlapping(moment_ns, moment_ns) if one.holds(moment_ns)]

    def overlapping(self, low_ns: int, high_ns: int) -> list[Booked]:
        """Return the sessions that share some time with a span, or end shortly before it."""
        return [one for one in self._before(high_ns, low_ns) if one.last_ns >= low_ns]

    def alone(self, one: Booked) -> tuple[int, int]:
        """Return the span in which every file is a session's by its time, as none other is near.

        Parameters
        ----------
        one
            The session; the span is empty where another one shares time with it.
        """
        low = one.start_ns
        if one.declined or one.rules.folders or one.rules.place or self.have_own_folders:
            return low, low
        for other in self.overlapping(one.start_ns, one.end_ns):
            if other is one:
                continue
            if other.rules.folders or other.end_ns > one.start_ns:
                return low, low
            low = max(low, other.last_ns)
        return low, max(low, one.end_ns)

    def _before(self, moment_ns: int, low_ns: int) -> Iterable[Booked]:
        """Return sessions that began before a moment, until none of them can reach a time."""
        for place in range(bisect_left(self._starts, moment_ns) - 1, -1, -1):
            if self._latest[place] < low_ns:
                return
            yield self.booked[place]

    def claim(self, file: FoundFile, inside_ns: int | None = None) -> Claim:
        """Decide whose a file is.

        Parameters
        ----------
        file
            A file at rest.
        inside_ns
            The time that the file itself gives, if it is known: nanoseconds since the epoch.
        """
        moment = file.mtime_ns
        near = self._near(file)
        within = [one for one in near if one.holds(moment)]
        nearest = _of_nearest_folder(within)
        if own := self._by_own_name(file.path):
            return _claim(own, "folder", within)
        if any(one.declined for one in nearest):
            return Claim(others=tuple(one.session for one in within))
        basis: FileBasis
        if (first := self._in_which_begun(file)) and first not in within:
            winner, basis = first, "began"
        elif within:
            winner, basis = _of_several(nearest, within, near, file.path)
        elif near:
            winner, basis = max(near, key=lambda one: (one.end_ns, one.start_ns)), "grace"
        else:
            return NOBODYS
        others = [one for one in near if one is not winner and (one in within or basis != "time")]
        if inside_ns is not None and len(near) > 1:
            holding = [one for one in near if one.holds(inside_ns)]
            if holding and winner not in holding:
                others.append(winner)
                winner, basis = _shortest(holding) or winner, "content"
        if winner.declined:
            return Claim(others=tuple(one.session for one in near))
        return _claim(winner, basis, others)

    def consents(self, session: str) -> bool:
        """Tell whether a session is there, and its user did not decline a record."""
        one = self._by_token.get(session)
        return one is not None and not one.declined

    def may_have_begun(self, session: str, file: FoundFile) -> bool:
        """Tell whether a file may have been begun in a session.

        Parameters
        ----------
        session
            Its token.
        file
            A file at rest.
        """
        return self._by_token[session].start_ns < file.mtime_ns

    def is_doubtful(self, file: FoundFile) -> bool:
        """Tell whether a file may be another session's than its time says."""
        return len(self._near(file)) > 1

    def _near(self, file: FoundFile) -> list[Booked]:
        """Return the sessions that a file may be of: also those that ended shortly before."""
        moment = file.mtime_ns
        return [one for one in self.overlapping(moment, moment) if one.rules.may_have(file.path)]

    def _in_which_begun(self, file: FoundFile) -> Booked | None:
        if not 0 < file.began_ns < file.mtime_ns:
            return None
        return _shortest([one for one in self.at(file.began_ns) if one.rules.may_have(file.path)])

    def _by_own_name(self, path: str) -> Booked | None:
        if not self._by_name:
            return None
        named = [one for name in _folders(path) for one in self._by_name.get(name, ())]
        return _shortest([one for one in named if one.rules.may_have(path)])


def _of_nearest_folder(sessions: list[Booked]) -> list[Booked]:
    """Return the sessions whose instrument's folder is the nearest above a file."""
    deepest = max((len(one.rules.place) for one in sessions), default=0)
    return [one for one in sessions if len(one.rules.place) == deepest]


def _of_several(
    nearest: list[Booked], within: list[Booked], near: list[Booked], path: str
) -> tuple[Booked, FileBasis]:
    """Choose among the sessions in whose time a file was written, and those that ended shortly."""
    folders = _folders(path)
    mine = [one for one in nearest if _is_of_user(one, folders)]
    mine = mine or [one for one in near if _is_of_user(one, folders)]
    if mine and (len(within) > 1 or mine[0] not in within):
        return _shortest(mine) or mine[0], "folder"
    winner = _shortest(nearest) or nearest[0]
    if len(nearest) > 1:
        return winner, "narrower"
    return winner, "time" if len(within) == 1 else "folder"


def _is_of_user(one: Booked, folders: frozenset[str]) -> bool:
    return one.rules.folders == "user" and not one.user_names.isdisjoint(folders)


def _claim(winner: Booked, basis: FileBasis, others: Iterable[Booked]) -> Claim:
    if winner.declined:
        return Claim(others=(winner.session,))
    names = {one.session for one in others if one is not winner}
    return Claim(winner.session, basis, tuple(sorted(names)))


def _shortest(sessions: Sequence[Booked]) -> Booked | None:
    return min(
        sessions,
        key=lambda one: (one.end_ns - one.start_ns, -one.start_ns, one.session),
        default=None,
    )


def _folders(path: str) -> frozenset[str]:
    return frozenset(path.lower().split("/")[:-1])


def explain(claims: Mapping[FoundFile, Claim], session: str) -> tuple[str, ...]:
    """Say what an operator should know of files that other sessions might have claimed.

    Parameters
    ----------
    claims
        By file; those that are about the session are told.
    session
        Whose notes these are.
    """
    groups: dict[tuple[str, str, tuple[str, ...]], list[FoundFile]] = {}
    for file, claim in claims.items():
        if claim.session == session and (claim.others or claim.basis != "time"):
            groups.setdefault((claim.basis, "", claim.others), []).append(file)
        elif session in claim.others:
            groups.setdefault((claim.basis, claim.session or "nobody", ()), []).append(file)
    return tuple(
        _sentence(basis, owner, others, sorted(files))
        for (basis, owner, others), files in sorted(groups.items())
    )


_WHY: Final[Mapping[str, str]] = {
    "time": "last written in its time",
    "began": "begun in its time",
    "grace": "closed shortly after its end",
    "folder": "in the folder of its user, session or instrument",
    "narrower": "in the time of several sessions, of which it is the shortest",
    "content": "by the time inside the file",
}


def _sentence(basis: str, owner: str, others: Sequence[str], files: Sequence[FoundFile]) -> str:
    count = counted(len(files), "file")
    example = readable(files[0].path)
    if owner == "nobody":
        return f"{count}, such as {example}: in nobody's record, as a user declined one then"
    if owner:
        return f"{count}, such as {example}: in the record of {owner}, {_WHY[basis]}"
    also = f", not in that of {', '.join(others)}" if others else ""
    return f"{count}, such as {example}: in this record{also}: {_WHY[basis]}"
