"""Opening the read model for a command, as up to date as can be."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

from nexuslims_console.database import Database
from nexuslims_console.projection import Projection, open_read_model
from nexuslims_console.queries import ReadModel
from nexuslims_shared.calendar_notes import CalendarNotes
from nexuslims_shared.context import ServiceContext, service_context
from nexuslims_shared.errors import BrokerUnavailableError, TopologyError
from nexuslims_shared.facility import command_context
from nexuslims_shared.settings import Settings
from nexuslims_shared.tasks import end


@dataclass(frozen=True, slots=True)
class View:
    """The read model, why it may not be up to date, and what waits for an operator, by calendar."""

    model: ReadModel
    behind: str = ""
    waiting: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@asynccontextmanager
async def latest_view(settings: Settings) -> AsyncIterator[View]:
    """Open the read model; it is brought up to date first if the broker can be reached."""
    database = Database(settings.read_model_url)
    behind, waiting = "", dict[str, dict[str, str]]()
    try:
        try:
            async with service_context(settings, "console") as context:
                await (await open_read_model(context.store, database)).catch_up()
                waiting = await CalendarNotes.on(context.jetstream).held()
        except (TopologyError, BrokerUnavailableError) as error:
            behind = str(error)
            await asyncio.to_thread(database.prepare)
        yield View(ReadModel(database), behind, waiting)
    finally:
        database.close()


@asynccontextmanager
async def live_view(settings: Settings) -> AsyncIterator[tuple[ServiceContext, ReadModel]]:
    """Open the read model and keep it up to date as long as the context lasts.

    Raises
    ------
    TopologyError
        If the broker does not answer.
    """
    database = Database(settings.read_model_url)
    try:
        async with command_context(settings, "console") as context, asyncio.TaskGroup() as group:
            projection = await open_read_model(context.store, database)
            await projection.catch_up()
            keeping = group.create_task(_keep(projection))
            try:
                yield context, ReadModel(database)
            finally:
                await end(keeping)
    finally:
        database.close()


async def _keep(projection: Projection) -> None:
    async with aclosing(projection.follow()) as positions:
        async for _ in positions:
            pass
