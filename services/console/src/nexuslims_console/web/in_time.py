"""What a page asks outside of its tables, and how long it waits: a page takes a second at most."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Generic, TypeVar

from nexuslims_shared.errors import BrokerUnavailableError

PATIENCE_S: Final = 0.5
"""How long a page waits for an answer: what is well answers in milliseconds."""
CHANGE_S: Final = 5.0
"""How long somebody who asked for a change waits."""

T = TypeVar("T")


async def in_time(answer: Awaitable[T], patience: float = PATIENCE_S) -> T:
    """Return an answer of the broker, if it comes in time.

    Parameters
    ----------
    answer
        Is waited for.
    patience
        Seconds.

    Raises
    ------
    BrokerUnavailableError
        If it does not come; the question is then withdrawn.
    """
    try:
        async with asyncio.timeout(patience):
            return await answer
    except TimeoutError as error:
        raise BrokerUnavailableError(f"no answer within {patience:g} s") from error


class Questions(Generic[T]):
    """Questions that take longer than a page waits: they go on, and the next page joins them."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[T]] = {}

    async def ask(
        self,
        key: str,
        question: Callable[[], Coroutine[Any, Any, T]],
        patience: float = PATIENCE_S,
    ) -> T:
        """Return the answer, if it comes in time.

        Parameters
        ----------
        key
            What is asked; one that runs already is not asked again.
        question
            Asks; the answer has its exceptions, too.
        patience
            Seconds to wait.

        Raises
        ------
        BrokerUnavailableError
            If it does not come in time.
        """
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(question())
            self._running[key] = task
            task.add_done_callback(lambda done: self._end(key, done))
        return await in_time(asyncio.shield(task), patience)

    def _end(self, key: str, task: asyncio.Task[T]) -> None:
        self._running.pop(key, None)
        if not task.cancelled():
            task.exception()  # whoever waits has it, too
