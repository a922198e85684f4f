"""The console's service: keeps the read model up to date."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from nexuslims_console.database import Database
from nexuslims_console.errors import ReadModelError
from nexuslims_console.projection import open_read_model
from nexuslims_console.queries import ReadModel
from nexuslims_shared.consume import Handler
from nexuslims_shared.errors import BrokerUnavailableError
from nexuslims_shared.health import Check
from nexuslims_shared.service import Service, ServiceContext
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.port import EventStore
from nexuslims_shared.tasks import end

log = logging.getLogger(__name__)


def create(settings: Settings) -> Service:
    """Make the service."""
    database = Database(settings.read_model_url)
    return Service(
        name="console", work=partial(_work, database=database), checks=[check_database(database)]
    )


def check_database(database: Database) -> Check:
    """Check that the read model can be read."""

    def problem() -> str:
        try:
            ReadModel(database).position()
        except ReadModelError as error:
            return str(error)
        return ""

    return Check("read model", lambda: asyncio.to_thread(problem))


@asynccontextmanager
async def _work(context: ServiceContext, *, database: Database) -> AsyncIterator[Handler | None]:
    """Project as long as the service lives; a fault in the projection ends the service."""
    async with asyncio.TaskGroup() as group:
        projecting = group.create_task(_keep(context.store, database))
        try:
            yield None
        finally:
            await end(projecting)
    database.close()


async def _keep(store: EventStore, database: Database) -> None:
    """Project without end; wait, and say so, while broker or database are away."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type((BrokerUnavailableError, ReadModelError)),
        wait=wait_exponential(multiplier=0.5, max=10),
        before_sleep=_say_why,
    ):
        with attempt:
            projection = await open_read_model(store, database)
            async with aclosing(projection.follow()) as positions:
                async for position in positions:
                    log.debug("the read model holds all events up to %d", position)


def _say_why(state: RetryCallState) -> None:
    log.warning("waiting: %s", state.outcome.exception() if state.outcome else "no answer")
