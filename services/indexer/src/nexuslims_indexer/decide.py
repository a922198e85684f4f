"""What a search means for a session: files and their manifest, a wait, or the end of waiting."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from nexuslims_contracts.events import (
    Event,
    FileIndexed,
    FilesNotFound,
    SessionEnded,
    SessionIndexed,
    SessionRevised,
)
from nexuslims_contracts.identifiers import digest
from nexuslims_indexer.finder import Found
from nexuslims_shared.session.state import SessionState

QUIET: Final = timedelta(seconds=5)
"""How long after its end a session is left alone: a share shows files a little late, and clocks
differ. A file that is written later than that has a later time, and belongs to what comes next."""
SHORTEST_WAIT: Final = timedelta(seconds=5)
LONGEST_WAIT: Final = timedelta(hours=1)
GROWTH: Final = 10
"""The wait is a tenth of the time since the session's end, within the two limits."""

Schedule: TypeAlias = SessionEnded | SessionRevised


@dataclass(frozen=True, slots=True)
class Statement:
    """What to state: events about files first, then one about the session."""

    files: tuple[FileIndexed, ...]
    session: SessionIndexed | FilesNotFound | None


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing there yet: when to look again, and until when at most."""

    delay: timedelta
    deadline: datetime


@dataclass(frozen=True, slots=True)
class Window:
    """The session's time, as the calendar says it now."""

    schedule: Schedule
    start: datetime
    end: datetime


def window_of(schedule: Schedule) -> Window | None:
    """Return the time to search, None for a session without an end."""
    if schedule.end is None:
        return None
    return Window(schedule, schedule.start, schedule.end)


def quiet_time(window: Window, now: datetime) -> timedelta | None:
    """Return how long to wait before a session that has just ended is searched, if at all."""
    left = window.end + QUIET - now
    return min(left, QUIET) if left > timedelta(0) else None


def decide(
    state: SessionState,
    window: Window,
    found: Found,
    *,
    strategy: Literal["exclusive", "inclusive"],
    now: datetime,
    delay: timedelta,
) -> Statement | Wait:
    """Decide what a search means.

    Parameters
    ----------
    state
        The session so far.
    window
        The time that was searched.
    found
        What was found.
    strategy
        As it was searched with.
    now
        The time of the search.
    delay
        How long after the session's end files may appear.

    Returns
    -------
    Statement or Wait
        A statement is empty where nothing is new. Files of earlier scans that are gone are
        superseded only if others are there: an empty folder after a full one is a share in
        trouble, not a session without files. Nor are those where the search could not look.
    """
    if found.files:
        return _manifest(state, window, found, strategy)
    if state.manifest is not None:
        return Statement((), None)
    deadline = window.end + delay
    if now < deadline:
        return Wait(_wait(now - window.end, deadline - now), deadline)
    return _not_found(state, window, deadline)


def _manifest(
    state: SessionState,
    window: Window,
    found: Found,
    strategy: Literal["exclusive", "inclusive"],
) -> Statement:
    known = state.files
    files = tuple(
        FileIndexed(
            session=state.session,
            file=file.token,
            path=file.path,
            size=file.size,
            mtime_ns=file.mtime_ns,
            instrument=window.schedule.instrument,
        )
        for file in found.files
        if (one := known.get(file.token)) is None or one.indexed is None
    )
    tokens = {file.token for file in found.files}
    tokens |= _out_of_sight(state, found)
    before = {token for token, file in known.items() if file.indexed is not None}
    manifest = SessionIndexed(
        session=state.session,
        start=window.start,
        end=window.end,
        strategy=strategy,
        count=len(tokens),
        files_digest=digest(sorted(tokens)),
        superseded=tuple(sorted(before - tokens)),
        after=state.scan.sequence if state.scan else 0,
    )
    return Statement(files, None if _is_stated(state, manifest) else manifest)


def _out_of_sight(state: SessionState, found: Found) -> set[str]:
    """Files that the session has, and that are where the search could not look."""
    return {
        token
        for token, file in state.current_files().items()
        if file.indexed is not None
        and any(place.holds(file.indexed.event.path) for place in found.unreadable)
    }


def _not_found(state: SessionState, window: Window, deadline: datetime) -> Statement:
    missing = FilesNotFound(
        session=state.session,
        start=window.start,
        end=window.end,
        searched=window.schedule.instrument.filestore,
        waited_until=deadline,
        after=state.scan.sequence if state.scan else 0,
    )
    asked_again = (
        state.retry is not None
        and state.scan is not None
        and state.retry.sequence > state.scan.sequence
    )
    return Statement((), None if _is_stated(state, missing) and not asked_again else missing)


def _is_stated(state: SessionState, event: SessionIndexed | FilesNotFound) -> bool:
    if state.scan is None or type(state.scan.event) is not type(event):
        return False
    stated: Event = state.scan.event.model_copy(update={"after": event.after})
    return stated == event


def _wait(since_end: timedelta, left: timedelta) -> timedelta:
    grown = min(max(since_end / GROWTH, SHORTEST_WAIT), LONGEST_WAIT)
    return min(grown, left)
