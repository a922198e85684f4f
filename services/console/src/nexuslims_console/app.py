"""The console's service: keeps the read model up to date."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from nexuslims_console.database import Database
from nexuslims_console.errors import ReadModelError
from nexuslims_console.measuring import Measurements
from nexuslims_console.projection import open_read_model
from nexuslims_console.watching import check_database, check_due_work, check_projection
from nexuslims_shared.consume import Handler
from nexuslims_shared.errors import BrokerUnavailableError
from nexuslims_shared.service import Service, ServiceContext
from nexuslims_shared.settings import Settings
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
        work=partial(_work, database=database, stores=stores),
        checks=[
            check_database(database),
            check_projection(database, stores, limit),
            check_due_work(database, limit),
        ],
    )


@asynccontextmanager
async def _work(
    context: ServiceContext, *, database: Database, stores: list[EventStore]
) -> AsyncIterator[Handler | None]:
    """Project as long as the service lives; a fault in the projection ends the service."""
    stores.append(context.store)
    async with asyncio.TaskGroup() as group:
        measurements = Measurements(database, context.store, context.jetstream)
        tasks = [
            group.create_task(_keep(context.store, database)),
            group.create_task(measurements.run()),
        ]
        try:
            yield None
        finally:
            await end(*tasks)
    database.close()


async def _keep(store: EventStore, database: Database) -> None:
    """Project without end; wait, and say so, while broker or database are away."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type((BrokerUnavailableError, ReadModelError)),
        wait=wait_exponential(multiplier=0.5, max=10),
        before_sleep=_say_why,
    ):
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


def _say_why(state: RetryCallState) -> None:
    log.warning("waiting: %s", state.outcome.exception() if state.outcome else "no answer")
