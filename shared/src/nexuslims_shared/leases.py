"""Leases: one process at a time is at work on something, and a dead one does not hold it for long.

For work on the outside world, where a conflict in the log comes too late: the log alone is enough
for everything that is only stated there.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

import nats.errors
import nats.js.errors

from nexuslims_contracts.topology import LEASES
from nexuslims_shared.errors import LeaseHeldError, LeaseLostError
from nexuslims_shared.store.broker_errors import one_error_for_silence
from nexuslims_shared.tasks import end

if TYPE_CHECKING:
    from nats.js import JetStreamContext
    from nats.js.kv import KeyValue


class Leases(Protocol):
    """Who is at work on what."""

    def hold(self, key: str) -> AbstractAsyncContextManager[None]:
        """Hold a lease while working.

        Parameters
        ----------
        key
            What the work is on: a token, such as a session's.

        Raises
        ------
        LeaseHeldError
            If somebody else has it, at the beginning.
        LeaseLostError
            If it was lost on the way, because this process or the broker stood still for too long.
            The work is cancelled.
        """
        ...


class MemoryLeases:
    """Leases inside one process."""

    def __init__(self) -> None:
        self._held: set[str] = set()

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Hold a lease; see the port."""
        if key in self._held:
            raise LeaseHeldError(f"somebody else is at work on {key}")
        self._held.add(key)
        try:
            yield
        finally:
            self._held.discard(key)


class BucketLeases:
    """Leases in a key-value bucket of the broker, whose keys are forgotten unless renewed.

    Parameters
    ----------
    jetstream
        A context on a live connection.
    renewal
        Seconds between renewals.
    """

    def __init__(self, jetstream: "JetStreamContext", renewal: float | None = None) -> None:
        self._js = jetstream
        self._owner = uuid4().hex.encode()
        self._renewal = renewal or (LEASES.ttl.total_seconds() / 3 if LEASES.ttl else 5.0)

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Hold a lease; see the port."""
        with one_error_for_silence():
            bucket = await self._js.key_value(LEASES.name)
            try:
                revision = await bucket.create(key, self._owner)
            except nats.js.errors.KeyWrongLastSequenceError as error:
                raise LeaseHeldError(f"somebody else is at work on {key}") from error
        async with self._renewed(bucket, key, revision):
            yield

    @asynccontextmanager
    async def _renewed(self, bucket: "KeyValue", key: str, revision: int) -> AsyncIterator[None]:
        worker = asyncio.current_task()
        renewing = asyncio.create_task(self._renew(bucket, key, revision, worker))
        try:
            yield
        except asyncio.CancelledError:
            if worker is not None and renewing.done() and not renewing.cancelled():
                worker.uncancel()
                raise LeaseLostError(f"somebody else may be at work on {key} now") from None
            raise
        finally:
            await end(renewing)
            await self._give_back(bucket, key)

    async def _renew(
        self, bucket: "KeyValue", key: str, revision: int, worker: "asyncio.Task[object] | None"
    ) -> None:
        """Renew until cancelled; a lease that is lost cancels the work, and ends this."""
        while True:
            await asyncio.sleep(self._renewal)
            try:
                revision = await bucket.update(key, self._owner, last=revision)
            except nats.js.errors.KeyWrongLastSequenceError:
                if worker is not None:
                    worker.cancel()
                return
            except nats.errors.Error:
                continue  # the broker is away: nobody else gets the lease from it either

    async def _give_back(self, bucket: "KeyValue", key: str) -> None:
        """Let others have it at once, if it is still ours; otherwise it is forgotten in time."""
        try:
            entry = await bucket.get(key)
            if entry.value == self._owner:
                await bucket.delete(key, last=entry.revision)
        except (nats.errors.Error, nats.js.errors.KeyNotFoundError):
            return
