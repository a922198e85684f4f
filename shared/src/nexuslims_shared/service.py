"""Running a service: settings, broker, FastStream app, health, drain.

The ``app.py`` of a service makes a :class:`Service`; what runs it is here, the same for all.
"""

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import nats.errors
import uvicorn
from faststream.asgi import AsgiFastStream
from nats.aio.client import Client
from nats.aio.msg import Msg
from prometheus_client import make_asgi_app
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from nexuslims_contracts.plugins import installed
from nexuslims_contracts.topology import BUCKETS, BUCKETS_READ_BY, BucketSpec, ConsumerSpec
from nexuslims_shared import logs
from nexuslims_shared.broker import connect, log_error, missing
from nexuslims_shared.consume import Handler, Key, MessageProcessor, each_alone
from nexuslims_shared.context import (
    ServiceContext,
    broker_access,
    make_context,
    provision_broker,
    service_context,
)
from nexuslims_shared.errors import BrokerUnavailableError, SettingsError, TopologyError
from nexuslims_shared.health import Check, Health, Notes, check_broker
from nexuslims_shared.log_identity import (
    LogIdentity,
    facility_of,
    read_identity,
    require_own,
    setting_of_broker,
)
from nexuslims_shared.log_watch import LogWatch
from nexuslims_shared.mounts import check_mounts
from nexuslims_shared.presence import at_work
from nexuslims_shared.probes import (
    check_dead_letters,
    check_folder,
    check_limits,
    check_space,
    check_storing,
)
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.period_directory import PeriodDirectory
from nexuslims_shared.subscriptions import Subscriptions, make_broker
from nexuslims_shared.tasks import end, unless_broker_is_gone
from nexuslims_shared.telemetry import tracing
from nexuslims_shared.telemetry.checks import publish

__all__ = [
    "SERVICES",
    "Mount",
    "Service",
    "ServiceContext",
    "Work",
    "main",
    "provision_broker",
    "require_mounts",
    "run",
    "service_context",
    "service_named",
]

log = logging.getLogger(__name__)

SERVICES: Final = "nexuslims.services"
"""Entry point group: name of a service -> its factory, ``Settings -> Service``."""


_PATIENCE_S: Final = 5.0
_NOT_READY: Final = (OSError, nats.errors.Error, TopologyError, BrokerUnavailableError)
"""What a service waits out at its start."""

Work: TypeAlias = Callable[[ServiceContext], AbstractAsyncContextManager[Handler | None]]
"""Opens what the service needs and gives its handler; closes it again at the end."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder the service cannot work without, and the setting that names it."""

    path: Path
    setting: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """A service: what it consumes, what it does with it, what it needs.

    Parameters
    ----------
    name
        As in ``nexuslims run NAME``.
    work
        Context manager around the service's life; yields the handler of its consumer, or None for
        a service that follows no events (its work then runs in tasks of its own).
    consumer
        The durable consumer, if it has one.
    key, concurrency, backlog
        How its events are grouped and how many are handled at once.
    mounts
        Folders it needs.
    checks
        More conditions of readiness.
    notes
        More for its readiness page, by topic; none of it makes the service unready.
    """

    name: str
    work: Work
    consumer: ConsumerSpec | None = None
    key: Key = each_alone
    concurrency: int = 1
    backlog: int = 64
    mounts: Sequence[Mount] = ()
    checks: Sequence[Check] = field(default_factory=tuple)
    notes: Notes = dict


class _Server(uvicorn.Server):
    """Leaves signals to :class:`_Process`: work is still drained after the listener is closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Do nothing."""
        yield


def service_named(name: str, settings: Settings) -> Service:
    """Load an installed service.

    Parameters
    ----------
    name
        Of the service, such as ``indexer``.
    settings
        What it is made with.

    Raises
    ------
    PluginError
        If it cannot be imported.
    KeyError
        If no such service is installed.
    """
    service: Service = installed(SERVICES)[name].load()(settings)
    return service


async def run(service: Service, settings: Settings) -> None:
    """Run a service until SIGTERM or SIGINT, then drain.

    The HTTP side answers from the start: alive at once, ready when the broker, the stream, the
    consumer and the mounts are there.

    Parameters
    ----------
    service
        What to run.
    settings
        The broker, the HTTP side, how long draining may take.

    Raises
    ------
    SettingsError
        If a folder the service works with does not exist.
    """
    logs.configure(service.name, settings.log_level, tracing.identifiers)
    tracing.configure(service.name)
    try:
        await asyncio.to_thread(require_mounts, service.mounts)
        await _Process(service, settings).run()
    finally:
        await asyncio.to_thread(tracing.shutdown)


def require_mounts(mounts: Iterable[Mount]) -> None:
    """Check the folders without which a service cannot work.

    Raises
    ------
    SettingsError
        If one does not exist.
    """
    for mount in mounts:
        if not mount.path.is_dir():
            raise SettingsError(
                f"{mount.setting}='{mount.path}': this folder does not exist:"
                " mount it, or correct the path"
            )


class _Process:
    """One service in one process."""

    def __init__(self, service: Service, settings: Settings) -> None:
        self.service = service
        self.settings = settings
        self.stop = asyncio.Event()
        self.identity = LogIdentity()
        self.health = Health(service.name, list(service.checks), notes=service.notes)
        self.health.checks += [
            check_folder(mount.path, writable=mount.writable) for mount in service.mounts
        ]
        if service.mounts:
            folders = [mount.path for mount in service.mounts]
            self.health.checks.append(check_mounts(folders, settings.state_path))
        if written := [mount.path for mount in service.mounts if mount.writable]:
            self.health.checks.append(check_space(written, settings.free_space_mb))
        self.app = AsgiFastStream(
            logger=None,
            asgi_routes=[
                ("/healthz", self.health.alive),
                ("/readyz", self.health.ready),
                ("/metrics", make_asgi_app()),
            ],
        )

    @property
    def _buckets(self) -> Sequence[BucketSpec]:
        """What the service may look into; a service of others has no rights of its own."""
        return BUCKETS_READ_BY.get(self.service.name, BUCKETS)

    async def run(self) -> None:
        """Serve health and work until a signal comes or the work fails."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        server = self._server()
        serving = asyncio.create_task(server.serve()) if server else None
        try:
            await self._work()
        finally:
            if server and serving:
                server.should_exit = True
                await serving
            log.info("%s has stopped", self.service.name)

    def _server(self) -> _Server | None:
        if not self.settings.http_port:
            return None
        return _Server(
            uvicorn.Config(
                self.app,
                host=self.settings.http_host,
                port=self.settings.http_port,
                lifespan="off",
                log_config=None,
                access_log=False,
            )
        )

    async def _work(self) -> None:
        client = await self._unless_stopped(self._wait_for_broker())
        if client is None:
            return
        try:
            place = setting_of_broker(self.settings)
            require_own(self.identity, facility_of(self.settings), place=place)
            context = make_context(self.settings, client)
            self._watch_broker(context)
            watch = LogWatch(context.jetstream, self.identity)
            async with (
                self._ended_by(watch),
                self.service.work(context) as handler,
                _while_open(publish(self.health)),
                at_work(context.jetstream, self.service.name),
            ):
                if self.service.consumer is not None and handler is not None:
                    await self._consume(self.service.consumer, handler, context, watch)
                else:
                    log.info("%s is at work", self.service.name)
                    await self.stop.wait()
        finally:
            await unless_broker_is_gone(client.close())

    def _watch_broker(self, context: ServiceContext) -> None:
        """Check the broker from now on."""
        name, consumer = self.service.name, self.service.consumer
        self.health.checks += [
            check_broker(context.jetstream, consumer, self._buckets),
            check_storing(context.jetstream, name),
            check_limits(context.jetstream),
            check_dead_letters(context.jetstream, consumer.name if consumer else name),
        ]

    @contextlib.asynccontextmanager
    async def _ended_by(self, watch: LogWatch) -> AsyncIterator[None]:
        """Stop the work when the broker has another log, and end by that error."""
        watching = asyncio.create_task(watch.run())
        watching.add_done_callback(lambda _: self.stop.set())
        try:
            yield
        finally:
            if watching.done():
                watching.result()
            await end(watching)

    async def _consume(
        self, spec: ConsumerSpec, handler: Handler, context: ServiceContext, watch: LogWatch
    ) -> None:
        processor = MessageProcessor(
            consumer=spec.name,
            handler=handler,
            dead_letters=context.dead_letters,
            key=self.service.key,
            concurrency=self.service.concurrency,
            backlog=self.service.backlog,
            heartbeat=spec.ack_wait.total_seconds() / 3,
        )
        self.health.unreadable = processor.unreadable
        self.health.checks.append(_check_work(processor, self.settings.stalled_seconds))
        access = broker_access(self.settings, self.service.name)
        broker = make_broker(
            access,
            error_cb=log_error,
            disconnected_cb=watch.connection_lost,
            reconnected_cb=watch.connected_again,
        )
        self.app.add_broker(broker)
        await self.app.start()

        async def take(message: Msg) -> None:
            await watch.admit()
            watch.delivered(message.metadata.stream, message.metadata.sequence.stream)
            await processor.take(message)

        periods = PeriodDirectory(context.jetstream, _PATIENCE_S)
        subscriptions = Subscriptions(
            broker,
            periods,
            spec,
            take,
            lambda: processor.room,
            inbox_prefix=f"{access.inboxes}.".encode(),
        )
        following = asyncio.create_task(subscriptions.follow())
        log.info("%s is at work", self.service.name)
        stopping = asyncio.create_task(self.stop.wait())
        try:
            await asyncio.wait({stopping, following}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                await following  # it only ends by an error
        finally:
            log.info("%s finishes what it has begun", self.service.name)
            await end(following, stopping)
            await processor.close()
            await unless_broker_is_gone(subscriptions.stop())
            await processor.drain(self.settings.shutdown_grace)
            await unless_broker_is_gone(self.app.stop())

    async def _wait_for_broker(self) -> Client:
        """Wait until the broker answers and has what the service needs; log what is missing."""
        wanted = [self.service.consumer] if self.service.consumer else []
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(_NOT_READY),
            wait=wait_exponential(multiplier=0.1, max=3),
            before_sleep=_say_what_is_missing,
        ):
            with attempt:
                access = broker_access(self.settings, self.service.name)
                await (await connect(access, name=self.service.name, wait=False)).close()
                client = await connect(access, name=self.service.name)
                lacks = await missing(client.jetstream(), wanted, self._buckets)
                if lacks:
                    await client.close()
                    raise TopologyError(
                        f"the broker lacks {', '.join(lacks)}: run `nexuslims provision`"
                    )
                self.identity = await read_identity(client.jetstream()) or LogIdentity()
        return client

    async def _unless_stopped(self, work: Awaitable[Client]) -> Client | None:
        task = asyncio.ensure_future(work)
        stopping = asyncio.create_task(self.stop.wait())
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await end(stopping)
        if not task.done():
            await end(task)
            return None
        return task.result()


def _check_work(processor: MessageProcessor, limit: float) -> Check:
    async def problem() -> str:
        return processor.trouble(limit)

    return Check("work", problem, essential=False)


def _say_what_is_missing(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning("waiting: %s", error or "the broker does not answer")


@contextlib.asynccontextmanager
async def _while_open(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have something go on beside the service's work."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        await end(task)


def main(name: str, settings: Settings) -> None:
    """Run an installed service in this process.

    Parameters
    ----------
    name
        Of the service, such as ``indexer``.
    settings
        What it is made and run with.
    """
    service = service_named(name, settings)
    gc.freeze()  # what was imported stays: to look at all of it again takes 30 ms each time
    asyncio.run(run(service, settings))
