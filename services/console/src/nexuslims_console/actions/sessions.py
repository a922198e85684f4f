"""``nexuslims sessions`` and ``nexuslims session``."""

import asyncio
from dataclasses import asdict, dataclass
from typing import Any, Final

import typer

from nexuslims_console.errors import UnknownSessionError
from nexuslims_console.open_read_model import View, Waiting, latest_view
from nexuslims_console.queries import ReadModel
from nexuslims_console.session_table import print_sessions
from nexuslims_console.views import EventRow, SessionRow, UnreadableRow
from nexuslims_contracts.text import counted
from nexuslims_shared.cli.asynchronous import run
from nexuslims_shared.cli.output import print_json, print_table, say
from nexuslims_shared.session.status import Status
from nexuslims_shared.session.window import Window
from nexuslims_shared.settings import read_settings

_TABLE_LIMIT: Final = 50
_JSON_LIMIT: Final = 1000


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of sessions, how many there are, what cannot be read, what waits for an operator."""

    rows: list[SessionRow]
    count: int
    unreadable: int
    waiting: str


def show_all(
    *, status: str, instrument: str, window: Window, limit: int | None, page: int, as_json: bool
) -> None:
    """Print sessions, the newest of them last.

    Parameters
    ----------
    status
        Only those in this status, if given, in whatever case.
    instrument
        Only those at the instrument with this pid, if given.
    window
        Only those that overlap this period.
    limit
        How many at most, 0 for all; 50 by default, 1000 as JSON.
    page
        1 for the newest, 2 for those before, and so on.
    as_json
        Print JSON instead of a table.

    Raises
    ------
    typer.BadParameter
        If there is no such status.
    """
    if limit is None:
        limit = _JSON_LIMIT if as_json else _TABLE_LIMIT
    filters = {
        "status": read_status(status) if status else "",
        "instrument": instrument,
        "window": window,
    }
    listing = run(_list(filters, limit, page))
    if as_json:
        print_json(listing.rows)
    else:
        print_sessions(listing.rows)
    if len(listing.rows) < listing.count:
        say(
            f"{len(listing.rows)} of {counted(listing.count, 'session')}, page {page}:"
            " see --page, --limit, --status, --instrument, --from and --to"
        )
    if listing.unreadable:
        say(
            f"{counted(listing.unreadable, 'stored message')} cannot be read by this release:"
            " `nexuslims doctor` names them"
        )
    if listing.waiting:
        say(listing.waiting)


def read_status(text: str) -> Status:
    """Read a status, in whatever case.

    Raises
    ------
    typer.BadParameter
        If there is no such status.
    """
    try:
        return Status(text.upper())
    except ValueError:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(Status)}") from None


async def _list(filters: dict[str, Any], limit: int, page: int) -> Listing:
    async with latest_view(read_settings()) as view:
        await _warn_if_behind(view)
        model = view.model
        rows = await asyncio.to_thread(model.sessions, **filters, limit=limit or None, page=page)
        count = await asyncio.to_thread(model.count, **filters)
        unreadable = await asyncio.to_thread(model.count_unreadable)
        return Listing(rows, count, unreadable, _describe(view.waiting))


def _describe(waiting: Waiting) -> str:
    """Say what waits for an operator; only where a broker was asked, which is imported then."""
    if not waiting:
        return ""
    from nexuslims_console.actions.approve import describe_waiting  # noqa: PLC0415 - heavy

    return describe_waiting(waiting)


async def _warn_if_behind(view: View) -> None:
    """Print the age of the read model if it could not be brought up to date."""
    if view.behind:
        at = (await asyncio.to_thread(view.model.position)).read_at
        say(f"as of {at.astimezone().isoformat(' ', 'seconds')}: {view.behind}")


def show_one(name: str, *, events: bool, as_json: bool) -> None:
    """Print one session.

    Parameters
    ----------
    name
        Of the session.
    events
        Print its history too.
    as_json
        Print JSON instead of tables.

    Raises
    ------
    UnknownSessionError
        If there is no such session.
    """
    row, history, unreadable = run(_session(name))
    if as_json:
        document: dict[str, Any] = {**asdict(row), "unreadable": list(map(asdict, unreadable))}
        story = [event._asdict() for event in history]
        print_json({**document, "events": story} if events else document)
        return
    _print_session(row)
    if events:
        print_table(("event", "time", "type", "what", "by", "because of"), _history(history))
    for one in unreadable:
        say(f"event {one.sequence} on {one.subject} cannot be read: {one.reason}")


async def _session(name: str) -> tuple[SessionRow, list[EventRow], list[UnreadableRow]]:
    async with latest_view(read_settings()) as view:
        await _warn_if_behind(view)
        row = await asyncio.to_thread(required, view.model, name)
        history = await asyncio.to_thread(view.model.history, name)
        return row, history, await asyncio.to_thread(view.model.unreadable, name)


def required(model: ReadModel, name: str) -> SessionRow:
    """Find a session.

    Parameters
    ----------
    model
        The read model.
    name
        Of the session.

    Raises
    ------
    UnknownSessionError
        If there is none of that name.
    """
    row = model.session(name)
    if row is None:
        raise UnknownSessionError(f"there is no session {name!r}: see `nexuslims sessions`")
    return row


def _print_session(row: SessionRow) -> None:
    values: dict[str, Any] = {
        "session": row.session,
        "instrument": f"{row.instrument} ({row.instrument_pid})",
        "start": row.start,
        "end": row.end,
        "title": row.title,
        "status": row.status,
        "progress": row.phase,
        "reason": row.reason,
        "files": f"{row.settled} of {row.files} done",
        "unreadable files": row.failures or None,
        "late files": f"are looked for often until {row.looks_until.astimezone()}"
        if row.looks_until
        else None,
        "record": row.record_path,
        "activities": row.activities or None,
        "datasets": row.datasets or None,
    }
    rows = [(name, value) for name, value in values.items() if value not in ("", None)]
    rows += [
        (up.destination, f"uploaded: {up.url or up.record_id}" if up.uploaded else up.reason)
        for up in row.uploads
    ]
    print_table(("", ""), rows)


def _history(history: list[EventRow]) -> list[tuple[Any, ...]]:
    sequences = {event.id: event.sequence for event in history}
    return [
        (
            event.sequence,
            event.time.astimezone().isoformat(" ", "milliseconds"),
            event.type,
            event.summary,
            event.source.removeprefix("nexuslims/"),
            sequences.get(event.causation),
        )
        for event in history
    ]
