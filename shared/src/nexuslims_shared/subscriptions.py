"""Receiving the events of a consumer from all periods of the log, those that come as well."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from faststream.nats.security import NatsNKey, NatsSecurity

from nexuslims_contracts import subjects
from nexuslims_contracts.periods import Period
from nexuslims_contracts.topology import ConsumerSpec, consumer_in
from nexuslims_shared.accounts.access import Access
from nexuslims_shared.broker import consumer_config
from nexuslims_shared.errors import BrokerUnavailableError, TopologyError
from nexuslims_shared.pulling import Pull
from nexuslims_shared.store.period_directory import LOOK_S, PeriodDirectory

if TYPE_CHECKING:
    from nats.aio.msg import Msg

log = logging.getLogger(__name__)

Take: TypeAlias = Callable[["Msg"], Awaitable[None]]
"""Accepts one message, and returns when there is room for another."""

_BATCH: Final = 256
"""Messages that are asked for at once, where there is room."""


def make_broker(access: Access, **callbacks: Any) -> NatsBroker:
    """Return FastStream's broker, which goes on trying to connect without end.

    Parameters
    ----------
    access
        How the broker is reached, and as whom.
    callbacks
        What nats-py calls when a connection is lost, comes back, or has an error.
    """
    return NatsBroker(
        list(access.servers),
        security=_security(access),
        inbox_prefix=access.inboxes,
        max_reconnect_attempts=-1,
        reconnect_time_wait=1,
        logger=None,
        **callbacks,
    )


def _security(access: Access) -> NatsSecurity:
    encrypted: dict[str, Any] = {"ssl_context": access.tls, "use_ssl": access.tls is not None}
    encrypted["tls_handshake_first"] = access.tls is not None
    if not access.seed:
        return NatsSecurity(**encrypted)
    return NatsNKey.from_seed(access.seed, **encrypted)


class Subscriptions:
    """A subscriber for each period: the service's durable consumer in the period's stream.

    Parameters
    ----------
    broker
        FastStream's broker, which is started.
    periods
        The periods of the log.
    consumer
        The service's consumer; each stream has one of its name.
    take
        What happens with each message; it returns when more may be asked for.
    room
        Returns how many may be asked for at once.
    options
        More for FastStream's subscribers.
    """

    def __init__(
        self,
        broker: NatsBroker,
        periods: PeriodDirectory,
        consumer: ConsumerSpec,
        take: Take,
        room: Callable[[], int],
        **options: Any,
    ) -> None:
        self._broker, self._periods, self._consumer = broker, periods, consumer
        self._take, self._room, self._options = take, room, options
        self._subscribers: dict[Period, tuple[Pull, Any]] = {}

    async def follow(self) -> None:
        """Receive from every period that is there, without end; look for new ones now and then."""
        while True:
            try:
                await self.catch_up()
            except (BrokerUnavailableError, TopologyError) as error:
                log.warning("no new periods can be looked for: %s", error)
            await asyncio.sleep(LOOK_S)

    async def catch_up(self) -> None:
        """Receive from the periods that are there now, and from no others.

        Raises
        ------
        BrokerUnavailableError, TopologyError
            If the broker does not answer, or has no stream of events.
        """
        there = await self._periods.there(now=True)
        for period in self._subscribers.keys() - set(there):
            log.info("period %s is away", period.name)
            await self._end(period)
        for period in there:
            if period not in self._subscribers:
                self._subscribers[period] = await self._subscribe(period)

    async def stop(self) -> None:
        """Receive nothing more; what was received and not taken is handed back."""
        for period in list(self._subscribers):
            await self._end(period)

    async def _end(self, period: Period) -> None:
        pull, subscriber = self._subscribers.pop(period)
        await pull.close()
        await subscriber.stop()

    async def _subscribe(self, period: Period) -> tuple[Pull, Any]:
        subscriber = self._broker.subscriber(
            period.subject(subjects.ALL),
            durable=self._consumer.name,
            stream=JStream(period.stream, declare=False),
            config=consumer_config(consumer_in(period, self._consumer)),
            pull_sub=PullSub(batch_size=_BATCH, timeout=5.0),
            ack_policy=AckPolicy.MANUAL,
            decoder=_undecoded,
            persistent=False,
            **self._options,
        )

        async def take(message: NatsMessage) -> None:
            await self._take(message.raw_message)

        subscriber(take)
        pull = Pull(subscriber.connection, period.stream, self._consumer.name, self._room)
        await pull.open()
        await subscriber.start()
        subscriber.subscription = pull.stand_for(subscriber.subscription)
        return pull, subscriber


async def _undecoded(message: NatsMessage) -> bytes:
    """Return the payload as it is: the contracts decode it, with its headers."""
    return message.body if isinstance(message.body, bytes) else b""
