"""Taking what has arrived, all at once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

from nexuslims_shared.tasks import end

T = TypeVar("T")


async def in_batches(items: AsyncGenerator[T, None], size: int) -> AsyncGenerator[list[T], None]:
    """Give items as they come, those that came while a batch was worked on as the next batch.

    Parameters
    ----------
    items
        Closed at the end.
    size
        Most items in a batch.
    """
    waiting: list[T] = []
    changed = asyncio.Event()
    room = asyncio.Event()

    async def fetch() -> None:
        async with aclosing(items):
            async for item in items:
                waiting.append(item)
                changed.set()
                if len(waiting) >= size:
                    room.clear()
                    await room.wait()

    fetching = asyncio.create_task(fetch())
    fetching.add_done_callback(lambda _: changed.set())
    try:
        while waiting or not fetching.done():
            if waiting:
                batch, waiting[:] = waiting[:], []
                room.set()
                yield batch
            else:
                changed.clear()
                await changed.wait()
        await fetching
    finally:
        await end(fetching)
