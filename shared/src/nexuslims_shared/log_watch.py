"""Noticing that the broker has another log: it was wiped, replaced or restored under a process."""

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NoReturn

import nats.errors
import nats.js.errors

from nexuslims_shared.errors import AnotherLogError
from nexuslims_shared.log_identity import LogIdentity, read_identity

if TYPE_CHECKING:
    from nats.js import JetStreamContext

log = logging.getLogger(__name__)

_LOOK_S: Final = 5.0
_UNSURE_LOOK_S: Final = 0.5


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

    async def connection_lost(self) -> None:
        """Take nothing until the next look."""
        self._sure.clear()

    async def connected_again(self) -> None:
        """Look at once."""
        self._asked.set()

    async def admit(self) -> None:
        """Wait until it is sure that the log is the one that it was."""
        await self._sure.wait()

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
        self._identity = found
        self._sure.set()
