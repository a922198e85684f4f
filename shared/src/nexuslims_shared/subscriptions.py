"""Receiving the events of a consumer from all periods of the log, those that come as well."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub

from nexuslims_contracts import subjects
from nexuslims_contracts.periods import Period
from nexuslims_contracts.topology import ConsumerSpec, consumer_in
from nexuslims_shared.broker import consumer_config
from nexuslims_shared.errors import BrokerUnavailableError, TopologyError
from nexuslims_shared.store.period_directory import LOOK_S, PeriodDirectory

if TYPE_CHECKING:
    from nats.aio.msg import Msg

log = logging.getLogger(__name__)

Take: TypeAlias = Callable[["Msg"], Awaitable[None]]
"""Accepts one message, when there is room."""


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
        What happens with each message.
    options
        More for FastStream's subscribers.
    """

    def __init__(
        self,
        broker: NatsBroker,
        periods: PeriodDirectory,
        consumer: ConsumerSpec,
        take: Take,
        **options: Any,
    ) -> None:
        self._broker, self._periods, self._consumer = broker, periods, consumer
        self._take, self._options = take, options
        self._subscribers: dict[Period, Any] = {}

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
            await self._subscribers.pop(period).stop()
        for period in there:
            if period not in self._subscribers:
                self._subscribers[period] = await self._subscribe(period)

    async def _subscribe(self, period: Period) -> Any:
        subscriber = self._broker.subscriber(
            period.subject(subjects.ALL),
            durable=self._consumer.name,
            stream=JStream(period.stream, declare=False),
            config=consumer_config(consumer_in(period, self._consumer)),
            pull_sub=PullSub(batch_size=1, timeout=5.0),
            ack_policy=AckPolicy.MANUAL,
            decoder=_undecoded,
            persistent=False,
            **self._options,
        )

        async def take(message: NatsMessage) -> None:
            await self._take(message.raw_message)

        subscriber(take)
        await subscriber.start()
        return subscriber


async def _undecoded(message: NatsMessage) -> bytes:
    """Return the payload as it is: the contracts decode it, with its headers."""
    return message.body if isinstance(message.body, bytes) else b""
