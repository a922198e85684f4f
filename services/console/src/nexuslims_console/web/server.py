"""Serving the console as long as its service lives."""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from nexuslims_console.web.settings import ConsoleSettings

log = logging.getLogger(__name__)

_DRAIN_S: Final = 3


class _Server(uvicorn.Server):
    """Leaves signals to the service."""

    @contextmanager
    def capture_signals(self) -> Any:
        """Do nothing."""
        yield


async def serve(make_app: Callable[[], Starlette], settings: ConsoleSettings) -> None:
    """Serve the console until the task is cancelled; wait while the port is another's.

    Parameters
    ----------
    make_app
        Makes the application.
    settings
        Where it is served.
    """
    listener = await _listener(settings)
    app = make_app()
    server = _Server(
        uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # who connects is compared with the proxies that are trusted
            server_header=False,
            timeout_graceful_shutdown=_DRAIN_S,
        )
    )
    log.info("the console is at http://%s:%d/", settings.host, listener.getsockname()[1])
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    finally:
        app.state.stopping.set()
        server.should_exit = True
        await serving
        listener.close()


async def _listener(settings: ConsoleSettings) -> socket.socket:
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(OSError),
        wait=wait_exponential(multiplier=1, max=30),
        before_sleep=_say_why,
    ):
        with attempt:
            family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
            return socket.create_server((settings.host, settings.port), family=family)
    raise AssertionError("the loop ends by a socket or an error")


def _say_why(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning(
        "the console cannot be served yet (%s): set NX_CONSOLE_HOST and NX_CONSOLE_PORT", error
    )
