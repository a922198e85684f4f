"""Ending tasks for sure."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, Final

import nats.errors

log = logging.getLogger(__name__)

_PATIENCE_S: Final = 1.0
_GOODBYE_S: Final = 5.0


async def end(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel tasks until they have ended; what they raise is theirs.

    One cancellation can be lost: ``asyncio.wait_for`` of Python 3.11 returns its result when result
    and cancellation come at once, and the broker's client waits so.
    """
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=_PATIENCE_S)


async def unless_broker_is_gone(work: Awaitable[None]) -> None:
    """Say goodbye to the broker; where it went first, nobody is left to wait for."""
    try:
        async with asyncio.timeout(_GOODBYE_S):
            await work
    except (nats.errors.Error, OSError, TimeoutError) as error:
        log.warning("the broker went first: %s", error or type(error).__name__)
