"""Leases: one process at a time is at work on something, and a dead one does not hold it for long.

For work on the outside world, where a conflict in the log comes too late: the log alone is enough
for everything that is only stated there.

Who was stopped for longer than a lease lasts wakes up in the middle of its work, and the broker may
be away just then. So a lease ends by our own clocks too, and what changes the outside world asks
:func:`ensure_held` right before.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol
from uuid import uuid4

import nats.errors
import nats.js.errors

from nexuslims_contracts.topology import LEASES
from nexuslims_shared.errors import BrokerUnavailableError, LeaseHeldError, LeaseLostError
from nexuslims_shared.store.broker_errors import one_error_for_silence
from nexuslims_shared.tasks import end

if TYPE_CHECKING:
    from nats.js import JetStreamContext
    from nats.js.kv import KeyValue


def _clocks() -> tuple[float, float]:
    """Return the seconds on two clocks: one stands still with a machine, the other is set."""
    return time.monotonic(), time.time()


@dataclass(slots=True)
class _Lease:
    """A lease that we have: the broker forgets it so many seconds after we last asked for it."""

    key: str
    lasts: float
    asked: tuple[float, float] = field(default_factory=_clocks)

    def left(self) -> float:
        """Return for how many seconds it is surely ours; none, if the clocks disagree on that."""
        passed = max(now - then for now, then in zip(_clocks(), self.asked, strict=True))
        return max(0.0, self.lasts - passed)

    def lost(self) -> LeaseLostError:
        """Make the error."""
        return LeaseLostError(f"somebody else may be at work on {self.key} now")


_HELD: ContextVar[tuple[_Lease, ...]] = ContextVar("leases of this work", default=())


def ensure_held() -> None:
    """Refuse to go on with work that may be somebody else's by now; work without a lease goes on.

    Raises
    ------
    LeaseLostError
        If a lease under which the caller works is over, by this machine's clocks.
    """
    for lease in _HELD.get():
        if not lease.left():
            raise lease.lost()


@contextmanager
def _working_under(lease: _Lease) -> Iterator[None]:
    before = _HELD.set((*_HELD.get(), lease))
    try:
        yield
    finally:
        _HELD.reset(before)


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
    """Leases inside one process, which nobody has to renew.

    Parameters
    ----------
    lasts
        Seconds after which one is over all the same.
    """

    def __init__(self, lasts: float = math.inf) -> None:
        self._held: set[str] = set()
        self._lasts = lasts

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Hold a lease; see the port."""
        if key in self._held:
            raise LeaseHeldError(f"somebody else is at work on {key}")
        self._held.add(key)
        try:
            with _working_under(_Lease(key, self._lasts)):
                yield
        finally:
            self._held.discard(key)


_LASTS_S: Final = LEASES.ttl.total_seconds() if LEASES.ttl else 15.0


class BucketLeases:
    """Leases in a key-value bucket of the broker, whose keys are forgotten unless renewed.

    Parameters
    ----------
    jetstream
        A context on a live connection.
    renewal
        Seconds between renewals.
    lasts
        Seconds after which the broker forgets a lease that is not renewed.
    """

    def __init__(
        self,
        jetstream: "JetStreamContext",
        renewal: float = _LASTS_S / 3,
        lasts: float = _LASTS_S,
    ) -> None:
        self._js = jetstream
        self._owner = uuid4().hex.encode()
        self._renewal = renewal
        self._lasts = lasts

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Hold a lease; see the port."""
        with one_error_for_silence():
            bucket = await self._bucket()
            lease = _Lease(key, self._lasts)
            try:
                revision = await bucket.create(key, self._owner)
            except nats.js.errors.KeyWrongLastSequenceError as error:
                raise LeaseHeldError(f"somebody else is at work on {key}") from error
        with _working_under(lease):
            async with self._renewed(bucket, lease, revision):
                yield

    async def _bucket(self) -> "KeyValue":
        try:
            return await self._js.key_value(LEASES.name)
        except nats.js.errors.NotFoundError as error:
            raise BrokerUnavailableError(
                f"the broker lacks bucket {LEASES.name}: run `nexuslims provision`"
            ) from error

    @asynccontextmanager
    async def _renewed(
        self, bucket: "KeyValue", lease: _Lease, revision: int
    ) -> AsyncIterator[None]:
        worker = asyncio.current_task()
        renewing = asyncio.create_task(self._renew(bucket, lease, revision, worker))
        try:
            yield
        except asyncio.CancelledError:
            if worker is not None and renewing.done() and not renewing.cancelled():
                worker.uncancel()
                raise lease.lost() from None
            raise
        finally:
            await end(renewing)
            await self._give_back(bucket, lease.key)

    async def _renew(
        self,
        bucket: "KeyValue",
        lease: _Lease,
        revision: int,
        worker: "asyncio.Task[object] | None",
    ) -> None:
        """Renew until cancelled; a lease that is lost cancels the work, and ends this."""
        while left := lease.left():
            await asyncio.sleep(min(self._renewal, left))
            asked = _clocks()
            try:
                async with asyncio.timeout(lease.left()):
                    revision = await bucket.update(lease.key, self._owner, last=revision)
            except nats.js.errors.KeyWrongLastSequenceError:
                break
            except (nats.errors.Error, TimeoutError):
                continue  # the broker is away, and may be back before the lease is over
            lease.asked = asked
        if worker is not None:
            worker.cancel()

    async def _give_back(self, bucket: "KeyValue", key: str) -> None:
        """Let others have it at once, if it is still ours; otherwise it is forgotten in time."""
        try:
            entry = await bucket.get(key)
            if entry.value == self._owner:
                await bucket.delete(key, last=entry.revision)
        except (nats.errors.Error, nats.js.errors.KeyNotFoundError):
            return
