"""The console's service: keeps the read model and the archive up to date, and serves pages."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from nexuslims_console.archive.projection import open_archive
from nexuslims_console.archive.tables import ArchiveDatabase
from nexuslims_console.database import Database
from nexuslims_console.errors import ReadModelError
from nexuslims_console.measuring import Measurements
from nexuslims_console.notifications.channels import channels
from nexuslims_console.notifications.telling import keep_telling
from nexuslims_console.projection import open_read_model
from nexuslims_console.watching import check_database, check_due_work, check_projection
from nexuslims_console.web.settings import ConsoleSettings
from nexuslims_shared.consume import Handler
from nexuslims_shared.errors import BrokerUnavailableError
from nexuslims_shared.service import Service, ServiceContext
from nexuslims_shared.settings import Settings, make_state_folder
from nexuslims_shared.settings.groups import read
from nexuslims_shared.store.port import EventStore
from nexuslims_shared.tasks import end
from nexuslims_shared.threads import in_thread

log = logging.getLogger(__name__)

_LOOK_EVERY_S: Final = 2.0


def create(settings: Settings) -> Service:
    """Make the service."""
    database = Database(settings.read_model_url)
    stores: list[EventStore] = []
    limit = timedelta(seconds=settings.stalled_seconds)
    return Service(
        name="console",
        work=partial(_work, database=database, stores=stores, web=read(ConsoleSettings)),
        checks=[
            check_database(database),
            check_projection(database, stores, limit),
            check_due_work(database, limit),
        ],
    )


@asynccontextmanager
async def _work(
    context: ServiceContext,
    *,
    database: Database,
    stores: list[EventStore],
    web: ConsoleSettings,
) -> AsyncIterator[Handler | None]:
    """Project and serve as long as the service lives; a fault in either ends the service."""
    stores.append(context.store)
    archive = ArchiveDatabase(database.url)
    async with asyncio.TaskGroup() as group:
        measurements = Measurements(database, context.store, context.jetstream)
        tasks = [
            group.create_task(_keep(context.store, database)),
            group.create_task(_keep_archive(context.store, archive)),
            group.create_task(measurements.run()),
        ]
        if there := channels():
            state = make_state_folder(context.settings.state_path)
            tasks.append(group.create_task(keep_telling(database, there, state)))
        if web.port:
            tasks.append(group.create_task(_serve(context, web, database, archive)))
        try:
            yield None
        finally:
            await end(*tasks)
    archive.close()
    database.close()


async def _serve(
    context: ServiceContext, web: ConsoleSettings, database: Database, archive: ArchiveDatabase
) -> None:
    from nexuslims_console.web.app import make_app  # noqa: PLC0415 - not every console serves
    from nexuslims_console.web.server import serve  # noqa: PLC0415
    from nexuslims_console.web.site import make_site  # noqa: PLC0415

    await serve(lambda: make_app(make_site(context, web, database, archive)), web)


async def _keep_archive(store: EventStore, database: ArchiveDatabase) -> None:
    """Project the archive without end, as the read model is."""
    async for attempt in _attempts():
        with attempt:
            projection = await open_archive(store, database)
            async with aclosing(projection.follow()) as positions:
                async for reached in positions:
                    log.debug("the archive holds all records up to %s", reached)


async def _keep(store: EventStore, database: Database) -> None:
    """Project without end; wait, and say so, while broker or database are away."""
    async for attempt in _attempts():
        with attempt:
            tasks = {
                asyncio.create_task(_project(store, database)),
                asyncio.create_task(_watch(database)),
            }
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                await end(*tasks)


async def _project(store: EventStore, database: Database) -> None:
    projection = await open_read_model(store, database)
    async with aclosing(projection.follow()) as positions:
        async for position in positions:
            log.debug("the read model holds all events up to %s", position)


async def _watch(database: Database) -> None:
    """Notice that the database's file is gone even while nothing happens that would be written."""
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        await in_thread(database.require_same_file)


def _attempts() -> AsyncRetrying:
    return AsyncRetrying(
        retry=retry_if_exception_type((BrokerUnavailableError, ReadModelError)),
        wait=wait_exponential(multiplier=0.5, max=10),
        before_sleep=_say_why,
    )


def _say_why(state: RetryCallState) -> None:
    log.warning("waiting: %s", state.outcome.exception() if state.outcome else "no answer")
