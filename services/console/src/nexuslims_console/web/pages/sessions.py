"""The list of sessions."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse

from nexuslims_console.lists import SORTED_BY, Filter
from nexuslims_console.views import SessionRow
from nexuslims_console.web.responses import page, site_of
from nexuslims_console.web.site import Site
from nexuslims_shared.session.window import Window

_SIZE: Final = 50
_ASKED: Final = ("q", "person", "status", "instrument", "from", "to", "trouble", "sort", "order")


async def show_sessions(request: Request) -> HTMLResponse:
    """List sessions: filtered, sorted, a page of them."""
    site = site_of(request)
    values = {name: request.query_params.get(name, "").strip() for name in _ASKED}
    chosen = await _filter(site, values)
    sort = values["sort"] if values["sort"] in SORTED_BY else "start"
    descending = values["order"] != "up"
    asked = request.query_params.get("page", "")
    number = int(asked) if asked.isdecimal() else 1
    at = await site.position()  # first: what comes while the page is made is sent after it
    by_status, instruments, position = await asyncio.gather(
        asyncio.to_thread(site.lists.by_status),
        asyncio.to_thread(site.lists.instruments),
        asyncio.to_thread(site.model.position),
    )
    total = sum(by_status.values())
    count = total if chosen == Filter() else await asyncio.to_thread(site.lists.count, chosen)
    pages = max(ceil(count / _SIZE), 1)
    number = min(max(number, 1), pages)
    rows = await asyncio.to_thread(
        site.lists.page,
        chosen,
        sort=sort,
        descending=descending,
        page=number,
        size=_SIZE,
        total=count,
    )
    return page(
        request,
        "sessions",
        at=at,
        values=values,
        filtered=chosen != Filter(),
        rows=rows,
        people=await people_of(site, rows),
        by_status=by_status,
        instruments=instruments,
        total=total,
        count=count,
        page=number,
        pages=pages,
        sort=sort,
        descending=descending,
        position=position,
    )


async def people_of(site: Site, rows: list[SessionRow]) -> dict[str, list[str]]:
    """Return the names of the people in sessions, by session.

    Parameters
    ----------
    site
        Who knows names.
    rows
        The sessions.
    """
    ids = await asyncio.to_thread(site.lists.people, [row.session for row in rows])
    names = await site.names.of({one for some in ids.values() for one in some})
    return {
        row.session: _distinct([names[one] for one in ids.get(row.session, ()) if one in names])
        for row in rows
    }


def _distinct(names: list[str]) -> list[str]:
    """Leave out an account of an instrument's software that a person of the calendar has too."""
    return [name for name in names if not any(f"({name})" in other for other in names)]


async def _filter(site: Site, values: Mapping[str, str]) -> Filter:
    people = await site.names.search(values["person"]) if values["person"] else None
    return Filter(
        text=values["q"],
        status=values["status"],
        instrument=values["instrument"],
        trouble=bool(values["trouble"]),
        people=people,
        window=Window(_day(values["from"]), _day(values["to"], after=timedelta(days=1))),
    )


def _day(text: str, after: timedelta = timedelta()) -> datetime | None:
    """Return the beginning of a day in the zone of this machine; None for what is no day."""
    try:
        return datetime.fromisoformat(text).astimezone().astimezone(UTC) + after if text else None
    except (ValueError, OverflowError):
        return None
