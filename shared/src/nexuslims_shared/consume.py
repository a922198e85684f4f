"""Consuming events: bounded work in flight, heartbeats, settlement, drain.

A FastStream subscriber hands each message to a :class:`MessageProcessor` and goes on. The processor
groups messages by a key (a session, or each message on its own), works on several keys at once but
never twice on the same key, and settles every message itself:

- done: acknowledged;
- :class:`RetryLater`: handed back with the delay it asks for, however often;
- no broker, or a full disk: handed back with a growing delay, however often;
- an error: handed back with a growing delay, and after too many attempts a dead letter;
- undecodable: a dead letter at once;
- of a newer release, or in a session with such an event: a dead letter, and handed back for ever,
  so that an updated service takes it up by itself.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import nats.errors
import nats.js.errors

from nexuslims_contracts.envelope import Recorded, decode
from nexuslims_contracts.errors import UndecodableError, UnknownEventError
from nexuslims_contracts.events import RetryRequested
from nexuslims_contracts.periods import ALL, Period
from nexuslims_shared.errors import BrokerUnavailableError, DiskError, StoreError
from nexuslims_shared.logs import about
from nexuslims_shared.tasks import end
from nexuslims_shared.telemetry.metrics import DEAD_LETTERS_WRITTEN
from nexuslims_shared.telemetry.work import expect, handling

if TYPE_CHECKING:
    from nats.aio.msg import Msg

    from nexuslims_shared.dead_letters import DeadLetters

log = logging.getLogger(__name__)

FIRST_DELAY: Final = 1.0
LONGEST_DELAY: Final = 300.0
MAX_ATTEMPTS: Final = 12
"""With the delays above, an event is given up after about half an hour of failing."""


class RetryLater(Exception):  # noqa: N818 - not an error: the work is not due
    """The work cannot be done now, and that is in order: ask again later.

    Parameters
    ----------
    delay
        When.
    reason
        Why, for the log.
    """

    def __init__(self, delay: timedelta, reason: str) -> None:
        super().__init__(reason)
        self.delay = delay


Handler: TypeAlias = Callable[[tuple[Recorded, ...]], Awaitable[None]]
Key: TypeAlias = Callable[[Recorded], str]


def by_session(recorded: Recorded) -> str:
    """Events of one session are handled together, one batch at a time."""
    return recorded.event.session


def each_alone(recorded: Recorded) -> str:
    """Every event is handled on its own."""
    return str(recorded.sequence)


def growing_delay(attempt: int) -> float:
    """Seconds to wait after the n-th failed attempt, from 1: 1, 2, 4, ... at most 300."""
    doublings = min(attempt - 1, 20)
    return min(FIRST_DELAY * 2.0**doublings, LONGEST_DELAY)


def sequence_of(message: "Msg") -> int:
    """Return the sequence in the log of a message that was delivered."""
    return _period_of(message).sequence(message.metadata.sequence.stream)


def subject_of(message: "Msg") -> str:
    """Return the subject of the event in a message that was delivered."""
    return _period_of(message).without(message.subject)


def _period_of(message: "Msg") -> Period:
    return Period.of_stream(message.metadata.stream) or ALL


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that was received and decoded, and is not settled yet."""

    message: "Msg"
    recorded: Recorded

    @property
    def attempt(self) -> int:
        """How often the message was delivered, from 1."""
        return self.message.metadata.num_delivered or 1


@dataclass(slots=True)
class MessageProcessor:
    """Work in flight of one consumer.

    Parameters
    ----------
    consumer
        Name of the consumer, for dead letters and logs.
    handler
        Handles the events of one key; must be safe to run twice.
    dead_letters
        Where to report what cannot be used.
    key
        What belongs together.
    concurrency
        Keys worked on at once.
    backlog
        Messages accepted before more are asked for.
    heartbeat
        Seconds between signs of life to the broker, well under the consumer's ``ack_wait``.
    """

    consumer: str
    handler: Handler
    dead_letters: "DeadLetters"
    key: Key = each_alone
    concurrency: int = 1
    backlog: int = 64
    heartbeat: float = 10.0
    unreadable: dict[int, str] = field(default_factory=dict)
    _waiting: dict[str, list[Delivery]] = field(default_factory=dict)
    _working: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _open: dict[int, Delivery] = field(default_factory=dict)
    _has_room: asyncio.Condition = field(default_factory=asyncio.Condition)
    _beating: asyncio.Task[None] | None = None
    _closing: bool = False
    _began: dict[str, float] = field(default_factory=dict)
    _failing: str = ""

    def __post_init__(self) -> None:
        expect(self.consumer)

    @property
    def in_flight(self) -> int:
        """Messages taken and not settled."""
        return len(self._open)

    def trouble(self, limit: float) -> str:
        """Say what keeps the work from going on; empty if nothing is known to.

        Parameters
        ----------
        limit
            Seconds that the work on one key may take.
        """
        now = time.monotonic()
        slow = [(now - began, key) for key, began in self._began.items() if now - began > limit]
        found = [f"at work on {max(slow)[1]} for {max(slow)[0]:.0f} s"] if slow else []
        if self._failing:
            found.append(f"what was tried last failed, and nothing was done since: {self._failing}")
        return "; ".join(found)

    @property
    def room(self) -> int:
        """Messages that may be asked for."""
        return max(self.backlog - len(self._open), 0)

    async def take(self, message: "Msg") -> None:
        """Accept one message; return when there is room for another."""
        if self._beating is None:
            self._beating = asyncio.create_task(self._beat())
        sequence = sequence_of(message)
        try:
            envelope = decode(message.headers or {}, message.data, subject=subject_of(message))
        except UnknownEventError as error:
            await self._leave(message, str(error))
            return
        except UndecodableError as error:
            self.unreadable[sequence] = str(error)
            await self._give_up(message, str(error))
            return
        if self._closing:
            await self._settle(message, message.nak)
            return
        delivery = Delivery(message, Recorded(envelope, sequence, message.metadata.timestamp))
        self._open[sequence] = delivery
        self._waiting.setdefault(self.key(delivery.recorded), []).append(delivery)
        self._start()
        async with self._has_room:
            await self._has_room.wait_for(lambda: self.room or self._closing)

    async def close(self) -> None:
        """Accept nothing more: what comes is handed back."""
        self._closing = True
        async with self._has_room:
            self._has_room.notify_all()

    async def drain(self, grace: float) -> None:
        """Finish what is being worked on, hand back the rest.

        Parameters
        ----------
        grace
            Seconds that running work may take.
        """
        await self.close()
        for delivery in [one for many in self._waiting.values() for one in many]:
            await self._settle(delivery.message, delivery.message.nak)
        self._waiting.clear()
        running = list(self._working.values())
        if running:
            _, late = await asyncio.wait(running, timeout=grace)
            await end(*late)
        if self._beating is not None:
            await end(self._beating)

    def _start(self) -> None:
        for key in list(self._waiting):
            if len(self._working) >= self.concurrency or self._closing:
                return
            if key not in self._working:
                batch = tuple(self._waiting.pop(key))
                self._began[key] = time.monotonic()
                self._working[key] = asyncio.create_task(self._work(key, batch))

    async def _work(self, key: str, batch: tuple[Delivery, ...]) -> None:
        try:
            await self._handle(batch)
        finally:
            del self._working[key], self._began[key]
            self._start()
            async with self._has_room:
                self._has_room.notify_all()

    async def _handle(self, batch: tuple[Delivery, ...]) -> None:
        recorded = tuple(delivery.recorded for delivery in batch)
        with (
            about(recorded[0].event.session),
            handling(self.consumer, recorded, batch[0].attempt) as work,
        ):
            try:
                await self.handler(recorded)
                await self._close_letters(batch)
            except RetryLater as later:
                work.ends("later")
                self._failing = ""
                log.info("%s: asked again in %s", later, later.delay)
                await self._hand_back(batch, later.delay.total_seconds())
            except asyncio.CancelledError:
                work.ends("cancelled")
                await self._hand_back(batch, 0)
                raise
            except UnknownEventError as error:
                work.ends("left", error)
                for delivery in batch:
                    await self._leave(delivery.message, str(error))
            except (BrokerUnavailableError, DiskError) as error:
                work.ends("unavailable", error)
                self._failing = str(error)
                log.warning("%s", error)
                await self._hand_back(batch, growing_delay(batch[0].attempt))
            except Exception as error:
                work.ends("failed", error)
                self._failing = str(error) or type(error).__name__
                log.exception("handling %s failed", recorded[0].event.type_name())
                await self._fail(batch, error)
            else:
                self._failing = ""
                for delivery in batch:
                    await self._settle(delivery.message, delivery.message.ack)

    async def _hand_back(self, batch: tuple[Delivery, ...], delay: float) -> None:
        for delivery in batch:
            message = delivery.message
            await self._settle(message, partial(message.nak, delay=delay or None))

    async def _close_letters(self, batch: tuple[Delivery, ...]) -> None:
        """Drop the dead letters about what could be handled now: on a retry, all of the session."""
        session = batch[0].recorded.event.session
        if any(isinstance(delivery.recorded.event, RetryRequested) for delivery in batch):
            await self.dead_letters.close(self.consumer, session)
        elif again := {one.recorded.sequence for one in batch if one.attempt > 1}:
            await self.dead_letters.close(self.consumer, session, again)
        for delivery in batch:
            self.unreadable.pop(delivery.recorded.sequence, None)

    async def _fail(self, batch: tuple[Delivery, ...], error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}"
        for delivery in batch:
            await self._give_up(delivery.message, reason, after=MAX_ATTEMPTS)

    async def _give_up(self, message: "Msg", reason: str, *, after: int = 1) -> None:
        """Write a dead letter after so many attempts; until it is written, hand the message back.

        Parameters
        ----------
        message
            What cannot be used.
        reason
            Why.
        after
            Attempts.
        """
        attempts = message.metadata.num_delivered or 1
        if attempts >= after and await self._dead_letter(message, reason):
            await self._settle(message, message.term)
        else:
            await self._hand_back_failed(message)

    async def _dead_letter(self, message: "Msg", reason: str, *, once: bool = False) -> bool:
        """Write a dead letter; False if that is not possible now: then the message comes again."""
        sequence = sequence_of(message)
        log.error("event %d cannot be used: %s", sequence, reason)
        write = self.dead_letters.write_once if once else self.dead_letters.write
        try:
            await write(self.consumer, sequence, subject_of(message), reason)
        except (StoreError, nats.errors.Error, nats.js.errors.Error) as error:
            log.warning("no dead letter could be written about event %d: %s", sequence, error)
            return False
        DEAD_LETTERS_WRITTEN.labels(self.consumer).inc()
        return True

    async def _leave(self, message: "Msg", reason: str) -> None:
        """Hand back what only another release can read; the readiness page and a letter say so."""
        sequence = sequence_of(message)
        if sequence not in self.unreadable and await self._dead_letter(message, reason, once=True):
            self.unreadable[sequence] = reason
        await self._hand_back_failed(message)

    async def _hand_back_failed(self, message: "Msg") -> None:
        delay = growing_delay(message.metadata.num_delivered or 1)
        await self._settle(message, partial(message.nak, delay=delay))

    async def _settle(self, message: "Msg", how: Callable[[], Awaitable[None]]) -> None:
        sequence = sequence_of(message)
        try:
            await how()
        except nats.errors.Error as error:
            log.warning("event %d was not settled: %s", sequence, error)
        finally:
            self._open.pop(sequence, None)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.heartbeat)
            for delivery in list(self._open.values()):
                try:
                    await delivery.message.in_progress()
                except nats.errors.Error as error:
                    log.warning("no sign of life could be sent: %s", error)
                    break
