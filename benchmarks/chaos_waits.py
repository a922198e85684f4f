"""Waits that end: each has a limit, and says what it waited for when it is reached.

A limit that works by cancelling is none: ``asyncio.wait_for`` of Python 3.11 returns its result
when result and cancellation come at once, and the broker's client waits so thousands of times a
minute. A loop that asks the broker again and again then goes on under ``asyncio.timeout``.
"""

import asyncio
import faulthandler
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

T = TypeVar("T")

_AFTER_ALL_S: Final = 120.0
"""How long after the last limit this process is ended: something blocks the event loop."""


class StalledError(Exception):
    """What was waited for did not come in time."""


async def bounded(what: str, seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """Wait for work, for so long at most, whether or not it heeds its cancellation.

    Parameters
    ----------
    what
        What is waited for.
    seconds
        The limit.
    work
        What is to be done.

    Raises
    ------
    StalledError
        If it is not done in time; where each task stands is printed.
    """
    task = asyncio.create_task(work, name=what)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done:
            print(f"  {what}: not done within {seconds:.0f} s; the tasks are at:")
            print_tasks()
            raise StalledError(f"{what}: not done within {seconds:.0f} s")
        return task.result()
    finally:
        task.cancel()


def print_tasks() -> None:
    """Print where each task of this event loop stands."""
    for task in asyncio.all_tasks():
        task.print_stack(limit=8, file=sys.stdout)
    sys.stdout.flush()


@contextmanager
def last_resort(seconds: float) -> Iterator[None]:
    """End this process, and print where its threads stand, if the context lasts far too long.

    Parameters
    ----------
    seconds
        The sum of all limits within.
    """
    faulthandler.dump_traceback_later(seconds + _AFTER_ALL_S, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
