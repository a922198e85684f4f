"""Connecting to the broker, provisioning what the system needs there, and checking it."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import nats.errors
import nats.js.errors
from nats.js import api

from nexuslims_contracts.periods import ALL, Period, PeriodLength, upcoming
from nexuslims_contracts.topology import (
    BUCKETS,
    CONSUMERS,
    DEAD_LETTERS,
    EVENTS,
    MIN_SERVER,
    REVISIONS_TO_ERASE,
    BucketSpec,
    ConsumerSpec,
    StreamSpec,
    consumer_in,
    events_of,
)
from nexuslims_shared.accounts.access import Access
from nexuslims_shared.broker_client import BrokerClient
from nexuslims_shared.errors import TopologyError
from nexuslims_shared.presence import services_at_work
from nexuslims_shared.store.period_directory import periods_away, periods_there

if TYPE_CHECKING:
    from nats.js import JetStreamContext

log = logging.getLogger(__name__)


async def connect(access: Access | str, *, name: str, wait: bool = True) -> BrokerClient:
    """Connect to the broker.

    Parameters
    ----------
    access
        How the broker is reached and as whom; or one or more addresses, separated by commas.
    name
        Shown in the broker's list of connections.
    wait
        Go on trying until a server answers; otherwise fail at once.

    Raises
    ------
    OSError, nats.errors.Error
        If no server answers and ``wait`` is off.
    """
    client = BrokerClient()
    if isinstance(access, str):
        access = Access.of(access)

    if access.tls:
        logging.getLogger("asyncio").addFilter(_is_worth_a_line)

    async def log_disconnect() -> None:
        if not client.is_closed and not client.is_draining:
            log.warning("broker: connection lost, waiting for it to come back")

    await client.connect(
        servers=list(access.servers),
        name=f"nexuslims-{name}",
        max_reconnect_attempts=-1 if wait else 1,  # 0 is for ever, too
        allow_reconnect=wait,
        reconnect_time_wait=1 if wait else 0,
        connect_timeout=2,
        ping_interval=10,
        max_outstanding_pings=3,
        error_cb=log_error,
        disconnected_cb=log_disconnect,
        reconnected_cb=_log_reconnect,
        **access.options,
    )
    return client


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Leave out what asyncio remarks at the end of each encrypted connection of nats-py."""
    return "eof_received() has no effect" not in record.getMessage()


async def log_error(error: Exception) -> None:
    """Say what the client has to say on its own, such as that the broker refuses something."""
    log.warning("broker: %s", error or type(error).__name__)


async def _log_reconnect() -> None:
    log.info("broker: connected again")


async def provision(
    jetstream: "JetStreamContext", *, replicas: int = 1, length: PeriodLength = "all"
) -> None:
    """Create or update the streams, consumers and buckets; running it again changes nothing.

    The streams are those of all periods that are there, of the current one and of the next.

    Parameters
    ----------
    jetstream
        A context on a live connection.
    replicas
        How many servers of a cluster hold each stream: 1, 3 or 5.
    length
        How long the periods of new sessions are.

    Raises
    ------
    TopologyError
        If the server is too old, or refuses a definition.
    """
    await require_version(jetstream)
    try:
        for bucket in BUCKETS:
            await _put_bucket(jetstream, bucket, replicas)
        await _put_stream(jetstream, stream_config(DEAD_LETTERS, replicas))
        wanted = {ALL, *upcoming(datetime.now(UTC), length), *await periods_there(jetstream)}
        for period in sorted(wanted - await periods_away(jetstream)):
            await _update_stream(jetstream, stream_config(events_of(period), replicas))
            await open_period(jetstream, period, replicas=replicas)
    except nats.js.errors.APIError as error:
        raise TopologyError(f"the broker refuses a definition: {error.description}") from error


async def open_period(jetstream: "JetStreamContext", period: Period, *, replicas: int = 1) -> None:
    """Create the stream of a period, with its consumers; a stream that is there stays as it is.

    Parameters
    ----------
    jetstream
        A context on a live connection.
    period
        The period.
    replicas
        How many servers of a cluster hold the stream.

    Raises
    ------
    TopologyError
        If the server refuses a definition.
    """
    try:
        if period not in await periods_there(jetstream):
            await jetstream.add_stream(stream_config(events_of(period), replicas))
        for consumer in CONSUMERS:
            known = await jetstream.add_consumer(
                period.stream, consumer_config(consumer_in(period, consumer))
            )
            if known.paused:
                await jetstream.resume_consumer(period.stream, consumer.name)
    except nats.js.errors.APIError as error:
        raise TopologyError(
            f"the broker refuses the stream of period {period.name}: {error.description}"
        ) from error


async def require_version(jetstream: "JetStreamContext") -> None:
    """Refuse servers with known faults in what this system relies on.

    Raises
    ------
    TopologyError
        If the server is older than :data:`~nexuslims_contracts.topology.MIN_SERVER`.
    """
    version = jetstream._nc.connected_server_version  # noqa: SLF001 - the context has no public way
    found = (version.major, version.minor, version.patch)
    if found < MIN_SERVER:
        wanted = ".".join(map(str, MIN_SERVER))
        raise TopologyError(f"nats-server {'.'.join(map(str, found))} is too old: use {wanted}+")


def stream_config(spec: StreamSpec, replicas: int) -> api.StreamConfig:
    """Return the server's form of a stream definition.

    Parameters
    ----------
    spec
        The definition.
    replicas
        How many servers of a cluster hold the stream.
    """
    return api.StreamConfig(
        name=spec.name,
        description=spec.description,
        subjects=list(spec.subjects),
        retention=api.RetentionPolicy.LIMITS,
        storage=api.StorageType.FILE,
        num_replicas=replicas,
        duplicate_window=spec.duplicate_window.total_seconds(),
        deny_delete=spec.append_only,
        deny_purge=spec.append_only,
        allow_direct=True,
        allow_atomic=spec.allow_atomic,
        max_msg_size=spec.largest,
    )


def consumer_config(spec: ConsumerSpec) -> api.ConsumerConfig:
    """Return the server's form of a consumer definition."""
    return api.ConsumerConfig(
        name=spec.name,
        durable_name=spec.name,
        description=spec.description,
        filter_subjects=list(spec.filters),
        ack_policy=api.AckPolicy.EXPLICIT,
        ack_wait=spec.ack_wait.total_seconds(),
        max_ack_pending=spec.max_ack_pending,
        max_deliver=spec.max_deliver,
    )


async def _put_stream(jetstream: "JetStreamContext", config: api.StreamConfig) -> None:
    if not await _update_stream(jetstream, config):
        await jetstream.add_stream(config)


async def _update_stream(jetstream: "JetStreamContext", config: api.StreamConfig) -> bool:
    """Give a stream its definition, but leave it where an operator moved it; False if not there."""
    assert config.name  # noqa: S101 - ours always have one
    try:
        known = (await jetstream.stream_info(config.name)).config
    except nats.js.errors.NotFoundError:
        return False
    config.placement = known.placement
    config.metadata = known.metadata  # whose log it is
    await jetstream.update_stream(config)
    return True


async def _put_bucket(jetstream: "JetStreamContext", spec: BucketSpec, replicas: int) -> None:
    """Create a bucket; one of an earlier release, whose revisions cannot be erased, is moved.

    The names of people must survive a crash in between: they are in the copy until they are back.
    """
    config, copy = bucket_config(spec, replicas), replace(spec, name=f"{spec.name}_MOVED")
    found = await _stream_config(jetstream, f"KV_{spec.name}")
    if spec.erasable and found is not None and found.deny_delete:
        if await _stream_config(jetstream, f"KV_{copy.name}") is None:
            await jetstream.add_stream(bucket_config(copy, replicas))
        await _copy_keys(jetstream, spec.name, copy.name)
        await jetstream.delete_stream(f"KV_{spec.name}")
        found = None
    if found is None:
        await jetstream.add_stream(config)
    elif found.allow_rollup_hdrs or found.num_replicas != replicas:
        await _update_stream(jetstream, config)
    if spec.erasable and await _stream_config(jetstream, f"KV_{copy.name}") is not None:
        await _copy_keys(jetstream, copy.name, spec.name)
        await jetstream.delete_stream(f"KV_{copy.name}")


async def _stream_config(jetstream: "JetStreamContext", name: str) -> api.StreamConfig | None:
    try:
        return (await jetstream.stream_info(name)).config
    except nats.js.errors.NotFoundError:
        return None


async def _copy_keys(jetstream: "JetStreamContext", source: str, target: str) -> None:
    """Copy the keys of a bucket that another one lacks."""
    here, there = await jetstream.key_value(source), await jetstream.key_value(target)
    try:
        keys = await here.keys()
    except nats.js.errors.NoKeysError:
        return
    for key in keys:
        value = (await here.get(key)).value or b""
        with suppress(nats.js.errors.KeyWrongLastSequenceError):
            await there.create(key, value)


def bucket_config(spec: BucketSpec, replicas: int) -> api.StreamConfig:
    """Return the server's form of a bucket definition: the stream that it is.

    Parameters
    ----------
    spec
        The definition.
    replicas
        How many servers of a cluster hold the bucket.
    """
    ttl = spec.ttl.total_seconds() if spec.ttl else None
    return api.StreamConfig(
        name=f"KV_{spec.name}",
        description=spec.description,
        subjects=[f"$KV.{spec.name}.>"],
        storage=api.StorageType.FILE,
        num_replicas=replicas,
        max_msgs_per_subject=REVISIONS_TO_ERASE if spec.erasable else 1,
        max_age=ttl,
        duplicate_window=min(ttl or 120.0, 120.0),
        discard=api.DiscardPolicy.NEW,
        allow_rollup_hdrs=False,  # who may write one key could remove all others with it
        allow_msg_ttl=True,
        deny_delete=not spec.erasable,
    )


_DEFINED: Final[Mapping[str, Callable[[api.ConsumerConfig], object]]] = {
    "filter": lambda one: sorted(one.filter_subjects or [one.filter_subject or ""]),
    "ack_wait": lambda one: one.ack_wait,
    "max_deliver": lambda one: one.max_deliver,
    "max_ack_pending": lambda one: one.max_ack_pending,
}
"""What of a consumer must be as this release defines it."""


async def missing(
    jetstream: "JetStreamContext",
    consumers: Sequence[ConsumerSpec] = (),
    buckets: Sequence[BucketSpec] = BUCKETS,
) -> list[str]:
    """Name what a service needs and the broker does not have.

    Parameters
    ----------
    jetstream
        A context on a live connection.
    consumers
        The consumers the service works from.
    buckets
        The buckets it reads or writes.
    """
    lacks: list[str] = []
    periods = await periods_there(jetstream)
    if not periods:
        lacks.append(f"stream {EVENTS.name}")
    try:
        await jetstream.stream_info(DEAD_LETTERS.name)
    except nats.js.errors.NotFoundError:
        lacks.append(f"stream {DEAD_LETTERS.name}")
    for period in periods:
        for consumer in consumers:
            try:
                await jetstream.consumer_info(period.stream, consumer.name)
            except nats.js.errors.NotFoundError:
                lacks.append(f"consumer {consumer.name} of {period.stream}")
    for bucket in buckets:
        try:
            await jetstream.stream_info(f"KV_{bucket.name}")
        except nats.js.errors.NotFoundError:
            lacks.append(f"bucket {bucket.name}")
    return lacks


async def require_provisioned(
    jetstream: "JetStreamContext", consumers: Sequence[ConsumerSpec] = ()
) -> None:
    """Refuse a broker on which work would wait for what is not there.

    Parameters
    ----------
    jetstream
        A context on a live connection.
    consumers
        The consumers that the work needs.

    Raises
    ------
    TopologyError
        If it lacks a stream, a consumer or a bucket.
    """
    if lacks := await missing(jetstream, consumers):
        raise TopologyError(f"the broker lacks {', '.join(lacks)}: run `nexuslims provision`")


async def altered(jetstream: "JetStreamContext") -> list[str]:
    """Name the consumers that are not what this release defines, or that deliver nothing.

    Parameters
    ----------
    jetstream
        A context on a live connection.

    Raises
    ------
    nats.js.errors.NotFoundError
        If one is not there; see :func:`missing`.
    """
    found: list[str] = []
    for period in await periods_there(jetstream):
        for spec in CONSUMERS:
            info = await jetstream.consumer_info(period.stream, spec.name)
            wanted = consumer_config(consumer_in(period, spec))
            differs = [name for name, get in _DEFINED.items() if get(info.config) != get(wanted)]
            name = f"consumer {spec.name} of {period.stream}"
            found += [f"{name} has another {' and '.join(differs)}"] if differs else []
            found += [f"{name} is paused"] if info.paused else []
    return found


async def consumers_without_service(jetstream: "JetStreamContext") -> list[str]:
    """Name the services that neither ask the broker for events nor are busy with some.

    A service that has as many as it takes asks for no more; it notes that it is at work.

    Raises
    ------
    TopologyError
        If a consumer does not exist.
    """
    absent: set[str] = set()
    at_work = await services_at_work(jetstream)
    for period in await periods_there(jetstream):
        for spec in CONSUMERS:
            try:
                info = await jetstream.consumer_info(period.stream, spec.name)
            except nats.js.errors.NotFoundError as error:
                raise TopologyError(
                    f"the broker lacks consumer {spec.name} of {period.stream}:"
                    " run `nexuslims provision`"
                ) from error
            is_busy = bool(info.num_ack_pending) and spec.service in at_work
            if not info.num_waiting and not is_busy:
                absent.add(spec.service)
    return sorted(absent)
