"""How long a command waits, and the outcome of each session."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from nexuslims_console.dry_run import Entry
from nexuslims_console.views import SessionRow
from nexuslims_shared.session.status import FINAL, LOOKING_FOR_FILES, WELL, Status

LATE_FILES = "no files yet, asked again later"
TIMED_OUT = "not done in time"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a session: ``ok`` if it needs nobody's attention."""

    session: str
    instrument: str
    start: datetime | None
    end: datetime | None
    status: str
    detail: str
    files: int
    record: str
    ok: bool


def unsettled(
    entries: Iterable[Entry], rows: Sequence[SessionRow], now: datetime
) -> frozenset[str]:
    """Name the sessions to wait for: not yet harvested as the calendar has them, or in progress.

    Parameters
    ----------
    entries
        Sessions as the calendar has them.
    rows
        Sessions as the read model has them.
    now
        The present time.
    """
    at_work = {row.session for row in rows if row.status not in FINAL | {Status.WAITING_FOR_END}}
    return unharvested(entries, rows, now) | at_work


def unharvested(
    entries: Iterable[Entry], rows: Sequence[SessionRow], now: datetime
) -> frozenset[str]:
    """Name the sessions that the events do not have as the calendar has them; see above.

    Parameters
    ----------
    entries, rows, now
        As for :func:`unsettled`.
    """
    known = {row.session: row for row in rows}
    return frozenset(
        entry.session for entry in entries if not _harvested(entry, known.get(entry.session), now)
    )


def not_rebuilt(requests: Mapping[str, int], rows: Sequence[SessionRow]) -> frozenset[str]:
    """Name the sessions whose record is older than the request for it, or not uploaded yet.

    Parameters
    ----------
    requests
        Sequence of the request, by session.
    rows
        As they are now.
    """
    done = {
        row.session
        for row in rows
        if row.built_at > requests.get(row.session, 0) and row.status in FINAL
    }
    return frozenset(set(requests) - done)


def may_get_files(row: SessionRow, delay: timedelta, now: datetime) -> bool:
    """Tell whether a session waits for files that may still appear, which is no failure.

    Parameters
    ----------
    row
        The session.
    delay
        How long after its end files of a session may appear.
    now
        The present time.
    """
    return row.phase.startswith(LOOKING_FOR_FILES) and row.end is not None and row.end + delay > now


def outcomes(
    entries: Iterable[Entry],
    rows: Sequence[SessionRow],
    *,
    unfinished: Collection[str],
    late: Collection[str],
) -> list[Outcome]:
    """Return the outcome of each session, in the order of start.

    Parameters
    ----------
    entries
        What the calendar holds.
    rows
        What the read model holds.
    unfinished
        Sessions that were given up waiting for.
    late
        Sessions whose files may still come.
    """
    found = [_of_row(row, unfinished=unfinished, late=late) for row in rows]
    known = {row.session for row in rows}
    found += [_of_entry(entry) for entry in entries if _missing(entry, known, unfinished)]
    return sorted(found, key=lambda one: (one.start is None, str(one.start), one.session))


def _harvested(entry: Entry, row: SessionRow | None, now: datetime) -> bool:
    if entry.start is None or entry.start > now:
        return True
    if row is None:
        return False
    return not entry.over(now) or (row.start, row.end) == (entry.start, entry.end)


def _missing(entry: Entry, known: Collection[str], unfinished: Collection[str]) -> bool:
    return not entry.usable or (entry.session in unfinished and entry.session not in known)


def _of_row(row: SessionRow, *, unfinished: Collection[str], late: Collection[str]) -> Outcome:
    ok, detail = row.status in WELL, row.reason or row.phase
    if row.session in late:
        ok, detail = True, LATE_FILES
    elif row.session in unfinished:
        ok, detail = False, f"{TIMED_OUT}: {detail}"
    return Outcome(
        session=row.session,
        instrument=row.instrument,
        start=row.start,
        end=row.end,
        status=row.status,
        detail=detail,
        files=row.files,
        record=row.record_path,
        ok=ok,
    )


def _of_entry(entry: Entry) -> Outcome:
    return Outcome(
        session=entry.session,
        instrument=entry.instrument,
        start=entry.start,
        end=entry.end,
        status="" if entry.usable else Status.ERROR,
        detail=f"{TIMED_OUT}: not harvested; see the harvester's log"
        if entry.usable
        else entry.problem,
        files=0,
        record="",
        ok=False,
    )
