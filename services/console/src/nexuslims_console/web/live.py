"""Live updates by server-sent events: where the tables are, whenever they move on."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from nexuslims_console.errors import ReadModelError
from nexuslims_console.web.site import Site

_INTERVAL_S: Final = 1.0
_QUIET: Final = 20
"""Intervals without a change after which a comment shows that the connection lives."""
_MOST_LISTENERS: Final = 500


class Positions:
    """Where the tables are; looked up once an interval, however many listen.

    Parameters
    ----------
    site
        Who knows them.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._last = 0
        self._looked = 0.0
        self._looking = asyncio.Lock()
        self.listeners = 0

    async def current(self) -> int:
        """Return the position as of the last interval; the last one known if it cannot be read."""
        async with self._looking:
            now = asyncio.get_running_loop().time()
            if now - self._looked >= _INTERVAL_S:
                self._looked = now
                try:
                    self._last = await self._site.position()
                except ReadModelError:
                    return self._last  # readiness reports it; pages do when they are asked for
        return self._last

    async def stream(self, stopping: asyncio.Event, seen: int) -> AsyncIterator[str]:
        """Give server-sent events until the server stops or the listener goes.

        Parameters
        ----------
        stopping
            Set when the server stops.
        seen
            The position that the listener's page was made at: what has happened since then is
            sent at once, also after a connection was lost.
        """
        self.listeners += 1
        try:
            sent, quiet = seen, 0
            yield "retry: 3000\n\n"
            while not stopping.is_set():
                at = await self.current()
                quiet += 1
                if at != sent:
                    sent, quiet = at, 0
                    yield f"event: position\ndata: {at}\n\n"
                elif quiet >= _QUIET:
                    quiet = 0
                    yield ": quiet\n\n"
                await asyncio.sleep(_INTERVAL_S)
        finally:
            self.listeners -= 1


async def send_positions(request: Request) -> Response:
    """Send the position of the tables whenever they have moved on."""
    positions: Positions = request.app.state.positions
    if positions.listeners >= _MOST_LISTENERS:
        return PlainTextResponse("too many pages are open: this one is not updated live", 503)
    seen = request.query_params.get("at", "")
    at = int(seen) if seen.isdecimal() else await positions.current()
    stream = positions.stream(request.app.state.stopping, at)
    headers = {"x-accel-buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)
