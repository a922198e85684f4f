"""Running asynchronous work from a command."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

import typer

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; SIGTERM and Ctrl-C cancel the work, and what it opened is closed."""
    asked = [signal.SIGINT]

    async def main() -> T:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - we are in one

        def terminate() -> None:
            asked.append(signal.SIGTERM)
            task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
        return await work

    try:
        return asyncio.run(main())
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(128 + asked[-1]) from None
