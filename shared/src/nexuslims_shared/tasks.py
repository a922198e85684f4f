"""Ending tasks for sure."""

import asyncio
from typing import Any, Final

_PATIENCE_S: Final = 1.0


async def end(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel tasks until they have ended; what they raise is theirs.

    One cancellation can be lost: ``asyncio.wait_for`` of Python 3.11 returns its result when result
    and cancellation come at once, and the broker's client waits so.
    """
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=_PATIENCE_S)
