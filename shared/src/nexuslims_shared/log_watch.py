"""Noticing that the broker has another log: it was wiped, replaced or restored under a process.

One that was replaced by an older copy of its files says that it is the same; it ends earlier.
"""

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NoReturn

import nats.errors
import nats.js.errors

from nexuslims_shared.errors import AnotherLogError
from nexuslims_shared.log_identity import LogIdentity, read_identity
from nexuslims_shared.store.period_directory import periods_there

if TYPE_CHECKING:
    from nats.js import JetStreamContext

log = logging.getLogger(__name__)

_LOOK_S: Final = 5.0
_UNSURE_LOOK_S: Final = 0.5
_CATCHING_UP_S: Final = 15.0
"""A new leader of a cluster may not have everything yet that was acknowledged before."""


class LogWatch:
    """Watches which log the broker has.

    Nothing is taken from the broker between a lost connection and the next look, so that no event
    of another log is taken for one of this log.

    Parameters
    ----------
    jetstream
        A context on a live connection.
    identity
        Of the log that the process began with.
    """

    def __init__(self, jetstream: "JetStreamContext", identity: LogIdentity) -> None:
        self._js = jetstream
        self._identity = identity
        self._sure = asyncio.Event()
        self._sure.set()
        self._asked = asyncio.Event()
        self._ends: dict[str, int] = {}
        self._shorter_since = 0.0

    async def connection_lost(self) -> None:
        """Take nothing until the next look."""
        self._sure.clear()

    async def connected_again(self) -> None:
        """Look at once."""
        self._asked.set()

    async def admit(self) -> None:
        """Wait until it is sure that the log is the one that it was."""
        await self._sure.wait()

    def delivered(self, stream: str, sequence: int) -> None:
        """Remember that an event came.

        Parameters
        ----------
        stream, sequence
            Where it is stored.
        """
        self._ends[stream] = max(sequence, self._ends.get(stream, 0))

    async def run(self) -> NoReturn:
        """Look now and then, without end.

        Raises
        ------
        AnotherLogError
            When the broker has another log.
        """
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S if self._sure.is_set() else _UNSURE_LOOK_S):
                    await self._asked.wait()
            self._asked.clear()
            await self._look()

    async def _look(self) -> None:
        try:
            found = await read_identity(self._js)
            end = await end_of_log(self._js)
        except (nats.errors.Error, nats.js.errors.Error) as error:
            log.debug("the log could not be looked at: %s", error)
            return
        if found is None:
            return  # the broker was wiped; what comes next decides
        if self._identity.log and found.log != self._identity.log:
            raise AnotherLogError(
                "the broker has another log than at the start: what is remembered of the former one"
                " is worth nothing, so this process ends, to start over"
            )
        if end is None or not self._is_shorter(*end):
            self._identity = found
            self._sure.set()

    def _is_shorter(self, stream: str, last: int) -> bool:
        """Tell whether events are gone that were there, and take none until they are back."""
        known = self._ends.get(stream, 0)
        if last >= known:
            self._ends[stream], self._shorter_since = last, 0.0
            return False
        self._sure.clear()
        self._shorter_since = self._shorter_since or time.monotonic()
        if time.monotonic() - self._shorter_since >= _CATCHING_UP_S:
            raise AnotherLogError(
                f"the broker's stream {stream} ends at {last} and has ended at {known}: its files"
                " are older ones, or lost their end, so this process ends, to start over"
            )
        return True


async def end_of_log(jetstream: "JetStreamContext") -> tuple[str, int] | None:
    """Return the newest stream of a log, and its last sequence; None if there is none.

    Parameters
    ----------
    jetstream
        A context on a live connection.
    """
    periods = await periods_there(jetstream)
    if not periods:
        return None
    stream = periods[-1].stream
    return stream, (await jetstream.stream_info(stream)).state.last_seq
