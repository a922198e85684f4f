"""What a look means for a session: events about files and their manifest, or the end of waiting."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from nexuslims_contracts.events import (
    Event,
    FileDeparture,
    FileIndexed,
    FileMissing,
    FilesAwaited,
    FilesNotFound,
    FileSuperseded,
    Instrument,
    SessionIndexed,
)
from nexuslims_contracts.file_events import CompanionFile
from nexuslims_contracts.identifiers import digest
from nexuslims_contracts.paths import bytes_of, readable
from nexuslims_indexer.claims import Claim, explain
from nexuslims_indexer.model import FoundFile, Unreadable
from nexuslims_indexer.names import Strategy, is_of_systems
from nexuslims_indexer.session_files import as_stated, file_of, sha256_of
from nexuslims_shared.session.state import FileState, SessionState

_MOST_NOTES: Final = 12

FileStatement: TypeAlias = FileIndexed | FileSuperseded | FileMissing


@dataclass(frozen=True, slots=True)
class Window:
    """The time of a session, as the calendar says it now; no end while it goes on."""

    instrument: Instrument
    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Found:
    """What a look found that concerns a session.

    Parameters
    ----------
    claims
        Files at rest that are the session's, or might be, and whose they are.
    elsewhere
        Other files at rest, by path, at the places where files of the session were.
    companions
        Which of these places have a file that is read with another one.
    growing
        Paths of files that are not at rest.
    unreadable
        Where the look could not look.
    may_be_hidden
        Whether files of the session may be where the look could not look.
    notes
        What is to be said of the instrument's files beside.
    """

    claims: Mapping[FoundFile, Claim] = field(default_factory=dict)
    elsewhere: Mapping[str, FoundFile] = field(default_factory=dict)
    companions: Collection[str] = frozenset()
    growing: Collection[str] = ()
    unreadable: tuple[Unreadable, ...] = ()
    may_be_hidden: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Statement:
    """What to state: events about files first, then one about the session.

    ``is_missing_files`` is true, too, where that was stated before.
    """

    files: tuple[FileStatement, ...] = ()
    session: SessionIndexed | FilesAwaited | FilesNotFound | None = None
    is_missing_files: bool = field(default=False, compare=False)


def decide(
    state: SessionState,
    window: Window,
    found: Found,
    whose: Callable[[FoundFile], Claim],
    *,
    strategy: Strategy,
    now: datetime,
    delay: timedelta,
    sweep: timedelta = timedelta(days=1),
) -> Statement:
    """Decide what a look means.

    Parameters
    ----------
    state
        The session so far.
    window
        Its time.
    found
        What was found.
    whose
        Decides whose a file is that was the session's.
    strategy
        As it was looked with.
    now
        The time of the look.
    delay
        How long after the session's end files are looked for often.
    sweep
        How much longer the session waits, each time, for a look that is possible.

    Returns
    -------
    Statement
        Empty where nothing is new. A file that was not found stays in the record, marked as
        missing; it leaves the record if another state of it, the same file at another place, or
        another session took it.
    """
    change = _Change(state, window, found, whose)
    files = change.statements()
    if window.end is None:
        return Statement(tuple(one for one in files if not isinstance(one, FileMissing)))
    if not change.tokens:
        until = _awaited_until(state, found, now, window.end + delay, sweep)
        return Statement(tuple(files), _without_files(state, window, found, now, until))
    manifest = SessionIndexed(
        session=state.session,
        start=window.start,
        end=window.end,
        strategy=strategy,
        count=len(change.tokens),
        files_digest=digest(sorted(change.tokens)),
        missing=len(change.missing),
        look_until=window.end + delay,
        notes=_notes(state.session, found),
        after=state.scan.sequence if state.scan else 0,
    )
    news = None if _is_stated(state, manifest) else manifest
    return Statement(tuple(files), news, is_missing_files=bool(change.missing))


class _Change:
    """From the files that a session has to those that it should have."""

    def __init__(
        self,
        state: SessionState,
        window: Window,
        found: Found,
        whose: Callable[[FoundFile], Claim],
    ) -> None:
        self._state = state
        self._window = window
        self._found = found
        self._whose = whose
        self._current = state.current_files()
        stated = {
            file_of(one).path: one.indexed.event for one in self._current.values() if one.indexed
        }
        claims = {
            as_stated(one, stated.get(one.path)): claim for one, claim in found.claims.items()
        }
        elsewhere = [as_stated(one, stated.get(one.path)) for one in found.elsewhere.values()]
        self._claims = claims
        self._mine = {
            file.token: (file, claim)
            for file, claim in claims.items()
            if claim.session == state.session
        }
        for file in elsewhere:
            if file.path not in found.growing:
                claim = whose(file)
                if claim.session == state.session:
                    self._mine[file.token] = (file, claim)
        self._places = {file.path: file for file in [*claims, *elsewhere]}
        self.tokens: set[str] = set()
        self.missing: set[str] = set()

    def statements(self) -> list[FileStatement]:
        """Return events about files: what comes, what goes, what is missing."""
        new = [token for token in self._mine if token not in self._current]
        gone = [token for token in self._current if token not in self._mine]
        away = {token: why for token in gone if (why := self._departure(token)) is not None}
        away |= self._moved([token for token in gone if token not in away], new)
        self.missing = {
            token for token in gone if token not in away and not self._is_out_of_sight(token)
        }
        self.tokens = (set(self._current) | self._mine.keys()) - away.keys()
        return [
            *(self._indexed(token) for token in sorted(new, key=lambda one: self._mine[one][0])),
            *(self._indexed(token) for token in self._found_again()),
            *(self._superseded(token, *why) for token, why in sorted(away.items())),
            *self._superseded_by_earlier_releases(),
            *(
                FileMissing(session=self._state.session, file=token, after=self._sequence(token))
                for token in sorted(self.missing)
                if not self._current[token].is_missing
            ),
        ]

    def _found_again(self) -> list[str]:
        return sorted(
            token
            for token, file in self._current.items()
            if file.is_missing and token in self._mine
        )

    def _departure(self, token: str) -> tuple[FileDeparture, str] | None:
        """Say why a file is the session's no more, and what took its place; None if it is."""
        file = file_of(self._current[token])
        if file.path in self._found.growing:
            return None  # what it becomes is known when it is at rest
        if file.path in self._found.companions or is_of_systems(file.path.rpartition("/")[2]):
            return "elsewhere", ""  # it is no file of its own; it was by an earlier look
        now = self._places.get(file.path)
        if now is not None and now.token != token:
            return "rewritten", now.token
        claim = self._claims.get(file)
        if claim is None:
            claim = self._whose(file)
        return ("elsewhere", "") if claim.session != self._state.session else None

    def _moved(
        self, gone: Iterable[str], new: Iterable[str]
    ) -> dict[str, tuple[FileDeparture, str]]:
        """Match what is gone with what is there: the same bytes, or the same size and time.

        What took its place is new, or was found by an earlier look: while files are moved, a look
        may find them at both places.
        """
        gone = [token for token in gone if not self._is_out_of_sight(token)]
        if not gone:
            return {}
        files = {token: self._mine[token][0] for token in new}
        left = {token: file_of(self._current[token]) for token in gone}
        moved: dict[str, tuple[FileDeparture, str]] = {}
        present = {
            sha256: token
            for token, file in self._current.items()
            if token in self._mine and (sha256 := sha256_of(file))
        }
        for token in gone:
            if (sha256 := sha256_of(self._current[token])) in present:
                moved[token] = ("moved", present[sha256])
                del left[token]
        for key in (_name_size_time, _size_time):
            for old, place in _pairs(left, files, key):
                moved[old] = ("moved", place)
                del left[old], files[place]
        known = {
            _name_size_time(self._mine[token][0]): token
            for token in self._current
            if token in self._mine
        }
        for old, file in left.items():
            place = known.get(_name_size_time(file), "")
            if place and not self._differ(old, place):
                moved[old] = ("moved", place)
        return moved

    def _differ(self, one: str, other: str) -> bool:
        """Tell whether two files were read and have other bytes."""
        first, second = sha256_of(self._current[one]), sha256_of(self._current[other])
        return bool(first and second) and first != second

    def _is_out_of_sight(self, token: str) -> bool:
        path = file_of(self._current[token]).path
        return path in self._found.growing or any(
            place.holds(path) for place in self._found.unreadable
        )

    def _indexed(self, token: str) -> FileIndexed:
        file, claim = self._mine[token]
        known = self._state.files.get(token)
        return FileIndexed(
            session=self._state.session,
            file=token,
            path=readable(file.path),
            size=file.size,
            mtime_ns=file.mtime_ns,
            instrument=self._window.instrument,
            path_bytes=bytes_of(file.path),
            basis=claim.basis,
            after=self._taken_at(token, known) if known and known.indexed else 0,
            companions=tuple(
                [CompanionFile(name=name, size=size, mtime_ns=at) for name, size, at in file.beside]
            ),
        )

    def _taken_at(self, token: str, file: FileState) -> int:
        """Sequence of the event by which the session lost a file, or missed it."""
        lost = [one.sequence for one in (file.superseded, file.missing) if one is not None]
        if self._state.manifest is not None and token in self._state.superseded:
            lost.append(self._state.manifest.sequence)
        return max(lost, default=0)

    def _superseded(self, token: str, reason: FileDeparture, by: str) -> FileSuperseded:
        return FileSuperseded(
            session=self._state.session,
            file=token,
            reason=reason,
            by=by,
            after=self._sequence(token),
        )

    def _superseded_by_earlier_releases(self) -> list[FileSuperseded]:
        """The list of a manifest no longer counts once there is a later one."""
        return [
            FileSuperseded(
                session=self._state.session,
                file=token,
                reason="rewritten",
                after=file.indexed.sequence,
            )
            for token in sorted(self._state.superseded)
            if token not in self._mine
            and (file := self._state.files.get(token)) is not None
            and file.indexed is not None
            and file.is_current
        ]

    def _sequence(self, token: str) -> int:
        indexed = self._current[token].indexed
        return indexed.sequence if indexed else 1


def _awaited_until(
    state: SessionState, found: Found, now: datetime, deadline: datetime, sweep: timedelta
) -> datetime:
    """Say until when files are awaited: also until it was possible to look everywhere."""
    if now < deadline or not found.may_be_hidden:
        return deadline
    stated = state.scan.event if state.scan else None
    if isinstance(stated, FilesAwaited) and stated.until > now:
        return stated.until
    return now + sweep


def _without_files(
    state: SessionState, window: Window, found: Found, now: datetime, deadline: datetime
) -> FilesAwaited | FilesNotFound | None:
    after = state.scan.sequence if state.scan else 0
    notes = _notes(state.session, found)
    event: FilesAwaited | FilesNotFound
    if now < deadline:
        event = FilesAwaited(session=state.session, until=deadline, notes=notes, after=after)
    else:
        event = FilesNotFound(
            session=state.session,
            start=window.start,
            end=window.end or window.start,
            searched=window.instrument.filestore,
            waited_until=deadline,
            notes=notes,
            after=after,
        )
    asked_again = (
        state.retry is not None
        and state.scan is not None
        and state.retry.sequence > state.scan.sequence
    )
    return None if _is_stated(state, event) and not asked_again else event


def _is_stated(state: SessionState, event: SessionIndexed | FilesAwaited | FilesNotFound) -> bool:
    if state.scan is None or type(state.scan.event) is not type(event):
        return False
    stated: Event = state.scan.event.model_copy(update={"after": event.after})
    return stated == event


def _notes(session: str, found: Found) -> tuple[str, ...]:
    notes = list(explain(found.claims, session))
    if found.growing:
        notes.append("files are still being written, and will be added")
    notes += [f"{readable(one.path)}: {one.reason}: not looked at" for one in found.unreadable]
    return tuple([*notes, *found.notes][:_MOST_NOTES])


def _name_size_time(file: FoundFile) -> tuple[object, ...]:
    return file.path.rpartition("/")[2], file.size, file.mtime_ns


def _size_time(file: FoundFile) -> tuple[object, ...]:
    return file.size, file.mtime_ns


def _pairs(
    old: Mapping[str, FoundFile],
    new: Mapping[str, FoundFile],
    key: Callable[[FoundFile], tuple[object, ...]],
) -> list[tuple[str, str]]:
    """Match old and new files, by token, where a key is that of one file on either side."""
    before: defaultdict[tuple[object, ...], list[str]] = defaultdict(list)
    after: defaultdict[tuple[object, ...], list[str]] = defaultdict(list)
    for token, file in old.items():
        before[key(file)].append(token)
    for token, file in new.items():
        after[key(file)].append(token)
    return [
        (tokens[0], after[one][0])
        for one, tokens in before.items()
        if len(tokens) == 1 and len(after.get(one, ())) == 1
    ]
