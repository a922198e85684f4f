"""Pages for who operates it: what is slow, what is down, dead letters, instruments."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse

from nexuslims_console.lists import InstrumentCount
from nexuslims_console.rebuilds import recent_rebuilds
from nexuslims_console.views import SessionRow
from nexuslims_console.web.facility_view import consumers, destinations, services
from nexuslims_console.web.in_time import in_time
from nexuslims_console.web.responses import page, site_of
from nexuslims_console.web.site import AWAY, Site
from nexuslims_contracts.dead_letters import DeadLetter
from nexuslims_contracts.subjects import session_of
from nexuslims_shared.dead_letters import DeadLetters
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.instruments import InstrumentEntry, read_instruments

_WAITING: Final = 12
_LETTERS: Final = 200


@dataclass(frozen=True, slots=True)
class InstrumentView:
    """An instrument as its page lists it; ``clock`` is what was found of the clock of its files."""

    pid: str
    name: str
    entry: InstrumentEntry | None
    sessions: int
    last_session: SessionRow | None
    last_file: tuple[str, datetime] | None
    clock: str


async def show_operation(request: Request) -> HTMLResponse:
    """Show what is slow now, and what is down since when."""
    site, now = site_of(request), datetime.now(UTC)
    at = await site.position()
    lags, health, letters = await asyncio.gather(
        consumers(site.context.jetstream), services(site), _letters(site)
    )
    waiting, due, outcomes, rebuilds = await asyncio.gather(
        asyncio.to_thread(site.lists.waiting, now, _WAITING),
        asyncio.to_thread(site.model.due_work, now),
        asyncio.to_thread(site.archive.destinations),
        asyncio.to_thread(recent_rebuilds, site.archive_database, site.database),
    )
    return page(
        request,
        "operation",
        at=at,
        waiting=waiting,
        due={one.service: one for one in due},
        consumers=lags,
        services=health,
        destinations=destinations(health, outcomes),
        rebuilds=rebuilds,
        letters=None if letters is None else len(letters),
        now=now,
    )


async def show_dead_letters(request: Request) -> HTMLResponse:
    """List dead letters, the newest first."""
    letters = await _letters(site_of(request))
    return page(
        request,
        "dead_letters",
        absent=letters is None,
        letters=[(one, _session(one)) for one in reversed(letters or ())][:_LETTERS],
        total=len(letters or ()),
        done=request.query_params.get("done", ""),
    )


async def show_instruments(request: Request) -> HTMLResponse:
    """List instruments: last session, last file, what was found of their clock."""
    site = site_of(request)
    problem, entries = "", {}
    try:
        entries = await asyncio.to_thread(read_instruments, site.context.settings.instruments_file)
    except SettingsError as error:
        problem = str(error)
    counts = {one.pid: one for one in await asyncio.to_thread(site.lists.instruments)}
    letters = await _letters(site)
    clocks = _clocks(letters or [])
    views = [
        await asyncio.to_thread(_instrument, site, pid, entries.get(pid), counts.get(pid), clocks)
        for pid in sorted({*entries, *counts})
    ]
    return page(
        request, "instruments", instruments=views, problem=problem, clocks_known=letters is not None
    )


def _instrument(
    site: Site,
    pid: str,
    entry: InstrumentEntry | None,
    count: InstrumentCount | None,
    clocks: dict[str, str],
) -> InstrumentView:
    name = entry.name if entry and entry.name else (count.name if count else pid)
    return InstrumentView(
        pid=pid,
        name=name,
        entry=entry,
        sessions=count.sessions if count else 0,
        last_session=site.lists.last_session(pid),
        last_file=site.archive.newest_file(pid),
        clock=clocks.get(pid, ""),
    )


def _clocks(letters: list[DeadLetter]) -> dict[str, str]:
    """Return what the indexer reported of instruments' clocks, by pid; the last counts."""
    return {
        one.subject.removeprefix("instrument "): one.reason
        for one in letters
        if one.subject.startswith("instrument ") and "clock" in one.reason
    }


def _session(letter: DeadLetter) -> str:
    return session_of(letter.subject) if letter.sequence else ""


async def _letters(site: Site) -> list[DeadLetter] | None:
    """Return all dead letters; None if the broker does not answer."""
    try:
        return await in_time(_read(site.context.dead_letters))
    except AWAY:
        return None


async def _read(letters: DeadLetters) -> list[DeadLetter]:
    return [letter async for letter in letters.read()]
