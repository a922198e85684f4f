"""Whether the services have taken up what an operator asked for.

The status of a session does not tell: a record that stands stays so until the indexer has looked at
its files again.
"""

import nats.js.errors

from nexuslims_contracts.events import RetryRequested
from nexuslims_contracts.periods import Period, message_of
from nexuslims_contracts.topology import CONSUMERS
from nexuslims_shared.context import ServiceContext


async def last_retry(context: ServiceContext) -> int:
    """Return the sequence of the last retry that was asked for; 0 where there is none."""
    return await context.store.last_sequence(RetryRequested.filter())


async def has_handled(context: ServiceContext, sequence: int) -> bool:
    """Tell whether each service has handled a retry.

    Parameters
    ----------
    context
        A connection to the broker.
    sequence
        Of the event; 0 for none.
    """
    if not sequence:
        return True
    stream, number = Period.of(sequence).stream, message_of(sequence)
    for consumer in CONSUMERS:
        if RetryRequested.filter() not in consumer.filters:
            continue
        try:
            info = await context.jetstream.consumer_info(stream, consumer.name)
        except nats.js.errors.NotFoundError:
            continue  # nobody works on that period
        waits = (info.num_pending or 0) + (info.num_ack_pending or 0)
        if waits and (info.ack_floor is None or info.ack_floor.stream_seq < number):
            return False
    return True
