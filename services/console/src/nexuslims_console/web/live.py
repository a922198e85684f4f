"""Live updates by server-sent events: where the read model is, whenever it moves on."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from nexuslims_console.errors import ReadModelError
from nexuslims_console.queries import ReadModel

_INTERVAL_S: Final = 1.0
_QUIET: Final = 20
"""Intervals without a change after which a comment shows that the connection lives."""
_MOST_LISTENERS: Final = 500


class Positions:
    """Where the read model is; looked up once an interval, however many listen.

    Parameters
    ----------
    model
        The read model.
    """

    def __init__(self, model: ReadModel) -> None:
        self._model = model
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
                    self._last = (await asyncio.to_thread(self._model.position)).positions.messages
                except ReadModelError:
                    return self._last  # readiness reports it; pages do when they are asked for
        return self._last

    async def stream(self, stopping: asyncio.Event) -> AsyncIterator[str]:
        """Give server-sent events until the server stops or the listener goes.

        Parameters
        ----------
        stopping
            Set when the server stops.
        """
        self.listeners += 1
        try:
            sent, quiet = await self.current(), 0
            yield f"retry: 3000\n: at {sent}\n\n"
            while not stopping.is_set():
                await asyncio.sleep(_INTERVAL_S)
                at = await self.current()
                quiet += 1
                if at != sent:
                    sent, quiet = at, 0
                    yield f"event: position\ndata: {at}\n\n"
                elif quiet >= _QUIET:
                    quiet = 0
                    yield ": quiet\n\n"
        finally:
            self.listeners -= 1


async def send_positions(request: Request) -> Response:
    """Send the position of the read model whenever it has moved on."""
    positions: Positions = request.app.state.positions
    if positions.listeners >= _MOST_LISTENERS:
        return PlainTextResponse("too many pages are open: this one is not updated live", 503)
    stream = positions.stream(request.app.state.stopping)
    headers = {"x-accel-buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)
