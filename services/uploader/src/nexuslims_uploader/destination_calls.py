"""Calling destinations: through the circuit breakers, and one at a time where only one may."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from functools import partial
from typing import Final, TypeVar

from tenacity import AsyncRetrying, retry_if_result, stop_after_delay, wait_fixed

from nexuslims_shared.errors import LeaseHeldError
from nexuslims_shared.leases import Leases
from nexuslims_uploader.destination import (
    CuratedDestination,
    Destination,
    Holding,
    RecordToUpload,
    UploadResult,
)
from nexuslims_uploader.errors import PermanentUploadError
from nexuslims_uploader.guarded_calls import Deferred, GuardedCalls
from nexuslims_uploader.outcomes import (
    AdditionsOutcome,
    UploadOutcome,
    WithdrawalOutcome,
    Withdrawn,
)

RETRY_AFTER_OTHERS: Final = timedelta(seconds=2)
"""When to come again for what another uploader is at work on."""

LOOK_AGAIN_AFTER: Final = timedelta(seconds=0.5)
LONGEST_WAIT_FOR_OTHERS: Final = timedelta(minutes=2)

T = TypeVar("T")


class DestinationCalls:
    """Uploads to destinations, and withdraws from them.

    Parameters
    ----------
    destinations
        All that are in use.
    calls
        The circuit breakers.
    leases
        Who is at work where, of all uploaders.
    """

    def __init__(
        self, destinations: Iterable[Destination], calls: GuardedCalls, leases: Leases
    ) -> None:
        self._destinations = {destination.name: destination for destination in destinations}
        self._queues = {name: asyncio.Lock() for name in self._destinations}
        self._calls = calls
        self._leases = leases

    async def upload(
        self, name: str, record: RecordToUpload, previous: Mapping[str, UploadResult]
    ) -> UploadOutcome:
        """Upload a record.

        Parameters
        ----------
        name
            The destination.
        record
            The record.
        previous
            Where the session's record is by what the events say, by destination.
        """
        destination = self._destinations[name]
        return await self._call(destination, record, lambda: destination.upload(record, previous))

    async def inspect(
        self, name: str, record: RecordToUpload, previous: Mapping[str, UploadResult]
    ) -> Holding | PermanentUploadError | Deferred:
        """Look whether a destination holds a record; wait while another process is at work there.

        Parameters
        ----------
        name
            The destination.
        record
            The record.
        previous
            Where the session's record is by what the events say, by destination.
        """
        destination = self._destinations[name]
        looks = AsyncRetrying(
            retry=retry_if_result(_is_busy),
            wait=wait_fixed(LOOK_AGAIN_AFTER),
            stop=stop_after_delay(LONGEST_WAIT_FOR_OTHERS),
            retry_error_callback=lambda look: look.outcome and look.outcome.result(),
        )
        outcome: Holding | PermanentUploadError | Deferred = await looks(
            self._call, destination, record, lambda: destination.inspect(record, previous)
        )
        return outcome

    def read_back(self) -> tuple[str, ...]:
        """Return the destinations that can say what people added."""
        return tuple(
            name for name, one in self._destinations.items() if isinstance(one, CuratedDestination)
        )

    async def additions(
        self, name: str, record: RecordToUpload, previous: Mapping[str, UploadResult]
    ) -> AdditionsOutcome:
        """Ask what people added to a record; None if there is nothing new.

        Parameters
        ----------
        name
            One of :meth:`read_back`.
        record
            The record.
        previous
            Where the session's record is by what the events say, by destination.
        """
        destination = self._destinations[name]
        if not isinstance(destination, CuratedDestination):
            return None
        ask = partial(destination.additions, record, previous)
        return await self._call(destination, record, ask)

    async def withdraw(
        self, name: str, record: RecordToUpload, previous: Mapping[str, UploadResult]
    ) -> WithdrawalOutcome:
        """Withdraw a session's record.

        Parameters
        ----------
        name
            The destination.
        record
            The session's current record.
        previous
            Where the session's record is by what the events say, by destination.
        """
        destination = self._destinations[name]
        answer = await self._call(
            destination, record, lambda: destination.withdraw(record, previous)
        )
        return Withdrawn(answer) if answer is None or isinstance(answer, tuple) else answer

    async def _call(
        self, destination: Destination, record: RecordToUpload, work: Callable[[], Awaitable[T]]
    ) -> T | PermanentUploadError | Deferred:
        """Call a destination; if only one call may be under way there, this process queues."""
        name = destination.name
        if not destination.one_at_a_time:
            return await self._calls.call(name, record, work)
        async with self._queues[name]:
            try:
                async with self._leases.hold(f"destination.{name}"):
                    return await self._calls.call(name, record, work)
            except LeaseHeldError as error:
                return Deferred(RETRY_AFTER_OTHERS, str(error), lasting=False, busy=True)


def _is_busy(outcome: object) -> bool:
    return isinstance(outcome, Deferred) and outcome.busy
