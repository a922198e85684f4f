"""Doing what may wait for a share, or computes for long, outside of the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(
    thread: ThreadPoolExecutor, work: Callable[P, T], *arguments: P.args, **more: P.kwargs
) -> T:
    """Do something in an executor's thread, and return what it returns.

    Parameters
    ----------
    thread
        The executor; one share that hangs holds up its own thread only.
    work, arguments, more
        What to call, and with what.
    """
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(thread, lambda: work(*arguments, **more))
