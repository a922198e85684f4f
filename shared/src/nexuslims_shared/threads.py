"""Blocking work that may hang for ever, in threads that nobody has to wait for."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Run blocking work in a thread of its own, and return what it returns.

    A look at a network share whose server is gone does not return, and cannot be interrupted. In
    the event loop's own pool such calls would take up every thread, and the process could not end
    while one runs; a daemon thread keeps nobody waiting.

    Parameters
    ----------
    work
        What to run; whatever it raises is raised here.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        if not outcome.set_running_or_notify_cancel():
            return
        try:
            outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True, name="look").start()
    return await asyncio.wrap_future(outcome)
