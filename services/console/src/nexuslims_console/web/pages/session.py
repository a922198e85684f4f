"""The page of one session, its events and its files."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from math import ceil
from typing import Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse

from nexuslims_console.archive.rows import RecordRow
from nexuslims_console.lists import FILE_EVENTS
from nexuslims_console.views import EventRow, SessionRow
from nexuslims_console.web.files import MOST_OPENED
from nexuslims_console.web.gaps import Picture
from nexuslims_console.web.notices import notice_of
from nexuslims_console.web.pages.sessions import people_of
from nexuslims_console.web.responses import page, site_of, visitor_of
from nexuslims_console.web.session_files import (
    SessionFile,
    files_of,
    listed_files,
    times_by_location,
)
from nexuslims_console.web.site import AWAY, Site
from nexuslims_console.web.waterfall import slowest, waterfall
from nexuslims_contracts.datasets import ArtifactRef
from nexuslims_contracts.errors import UndecodableError
from nexuslims_shared.session.state import INITIAL, SessionState

_EVENTS: Final = 400
"""Events of the session, and as many about its files, that its story is drawn of."""
_FILES_DRAWN: Final = 40
_FILES_LISTED: Final = 60
_NAMED: Final = 3
"""Files in trouble that are named above all else."""
_PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Files:
    """Files of a session, how many there are, and why not more is known of them; empty if it is.

    The state of a session with very many files is not opened: the tables know some of them.
    """

    state: SessionState
    files: list[SessionFile]
    total: int
    absent: str = ""


async def show_session(request: Request) -> HTMLResponse:
    """Show one session: its story, its activities, its files, its uploads."""
    site = site_of(request)
    at = await site.position()  # first: what comes while the page is made is sent after it
    row = await _row(request)
    name = row.session
    total, events, unreadable, in_archive, files, people = await asyncio.gather(
        asyncio.to_thread(site.lists.count_events, name),
        asyncio.to_thread(_story, site, name),
        asyncio.to_thread(site.model.unreadable, name),
        asyncio.to_thread(site.archive.record, name),
        _files(site, row),
        people_of(site, [row]),
    )
    fall = waterfall(events)
    drawn = slowest(fall.files, _FILES_DRAWN)
    return page(
        request,
        "session",
        at=at,
        row=row,
        notice=notice_of(row, may_change=visitor_of(request).may_change),
        people=people[name],
        unreadable=unreadable,
        in_archive=in_archive is not None,
        trace=_trace(site, name),
        picture=await _picture(site, files.state, in_archive),
        failed=[one for one in files.files if one.outcome in ("failed", "missing")][:_NAMED],
        fall=fall,
        drawn={bar.event.sequence for bar in (*fall.bars, *drawn)},
        events=total,
        shown_files=drawn,
        files_heading=_files_heading(len(drawn), row.settled),
        files=files.files[:_FILES_LISTED],
        files_total=files.total,
        files_more=files.total > _FILES_LISTED,
        files_note=_files_note(files),
        files_empty=_files_empty(files, row),
        now=datetime.now(UTC),
    )


async def show_events(request: Request) -> HTMLResponse:
    """List all events of a session, a page of them."""
    site, row = site_of(request), await _row(request)
    total = await asyncio.to_thread(site.lists.count_events, row.session)
    number, pages = _page_number(request, total)
    at = request.query_params.get("at", "")
    if at.isdecimal():
        before = await asyncio.to_thread(site.lists.events_before, row.session, int(at))
        number = min(before // _PAGE + 1, pages)
    events = await asyncio.to_thread(
        site.lists.events, row.session, files=True, limit=_PAGE, page=number
    )
    fall = waterfall(events)
    bars = sorted([*fall.bars, *fall.files], key=lambda bar: bar.event.sequence)
    return page(
        request,
        "events",
        row=row,
        fall={"bars": bars, "breaks": fall.breaks},
        drawn={bar.event.sequence for bar in bars},
        shown_files=[],
        files_heading="",
        number=number,
        pages=pages,
        total=total,
    )


async def show_files(request: Request) -> HTMLResponse:
    """List all files of a session, a page of them."""
    site, row = site_of(request), await _row(request)
    number, pages = _page_number(request, row.files)
    files = await _files(site, row, number)
    listed = files.files
    if len(listed) == files.total:  # all are at hand
        listed = listed[(number - 1) * _PAGE : number * _PAGE]
    return page(
        request,
        "session_files",
        row=row,
        files=listed,
        files_note=_files_note(files),
        files_empty=_files_empty(files, row),
        number=number,
        pages=pages,
        total=files.total,
    )


async def _row(request: Request) -> SessionRow:
    name = request.path_params["session"]
    row = await asyncio.to_thread(site_of(request).model.session, name)
    if row is None:
        raise HTTPException(404, f"There is no session {name}.")
    return row


def _story(site: Site, session: str) -> list[EventRow]:
    """Return the events that are drawn, in the order of the log."""
    own = site.lists.events(session, files=False, limit=_EVENTS)
    of_files = [
        event
        for event in site.lists.events(session, files=True, limit=2 * _EVENTS)
        if event.type in FILE_EVENTS
    ]
    return sorted([*own, *of_files], key=lambda event: event.sequence)


async def _files(site: Site, row: SessionRow, page: int = 1) -> Files:
    """Return the files of a session; of one with many, those of a page."""
    if row.files > MOST_OPENED:
        return await asyncio.to_thread(_many_files, site, row, page)
    try:
        state = await site.open_session(row.session)
    except AWAY as error:
        why = f"Its events could not be read ({error or type(error).__name__})"
        return replace(await asyncio.to_thread(_many_files, site, row, page), absent=why)
    except UndecodableError as error:
        return Files(INITIAL, [], 0, str(error))
    files = await asyncio.to_thread(files_of, state)
    return Files(state, files, len(files))


def _many_files(site: Site, row: SessionRow, page: int) -> Files:
    unreadable = site.lists.unreadable_files(row.session, _PAGE) if page == 1 else []
    datasets = site.archive.datasets_of(row.session, limit=_PAGE, page=page)
    return Files(INITIAL, listed_files(unreadable, datasets), row.files)


async def _picture(site: Site, state: SessionState, row: RecordRow | None) -> Picture | None:
    """Return the picture of the activities, as the record has them; None without a record.

    Of a session that is not opened, files are drawn where their datasets were acquired.
    """
    if state.record is not None:
        return await site.pictures.of(state.record.event.record, partial(times_by_location, state))
    if state is INITIAL and row is not None:
        record = ArtifactRef(path=row.path, sha256=row.sha256, size=row.size)
        return await site.pictures.of(record, partial(site.archive.times_of, row.session))
    return None


def _trace(site: Site, session: str) -> str:
    return site.settings.trace_url.replace("{session}", quote(session, safe=""))


def _page_number(request: Request, total: int) -> tuple[int, int]:
    pages = max(ceil(total / _PAGE), 1)
    given = request.query_params.get("page", "1")
    return min(max(int(given) if given.isdecimal() else 1, 1), pages), pages


def _files_heading(drawn: int, total: int) -> str:
    if drawn < total:
        return f"Files: the {drawn} that failed or took longest, of {total:,}"
    return "Files"


def _files_empty(files: Files, row: SessionRow) -> str:
    """Say why no files are listed."""
    if files.absent:
        return f"{files.absent}: load the page again."
    return "No files yet." if row.waits_for or row.end is None else "No files."


def _files_note(files: Files) -> str:
    if files.state is INITIAL and files.total:
        why = f"{files.absent}: " if files.absent else ""
        return f"{why}{files.total:,} files; those that could not be read, and then the datasets"
    counts: dict[str, int] = {}
    for one in files.files:
        counts[one.outcome] = counts.get(one.outcome, 0) + 1
    return ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(counts.items()))
