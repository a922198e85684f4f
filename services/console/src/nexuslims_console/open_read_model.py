"""Opening the read model for a command, as up to date as can be.

What it takes to read the log is imported where there is a broker to read it from: that is a sixth
of the time that a list takes.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from nexuslims_console.database import Database
from nexuslims_console.queries import ReadModel
from nexuslims_contracts.topology import CONSUMERS
from nexuslims_shared.broker_address import broker_url
from nexuslims_shared.errors import BrokerUnavailableError, TopologyError
from nexuslims_shared.settings import Settings

if TYPE_CHECKING:
    from nexuslims_console.projection import Projection
    from nexuslims_shared.context import ServiceContext

Waiting: TypeAlias = Mapping[str, Mapping[str, str]]
"""By calendar, session -> why it waits for an operator."""


@dataclass(frozen=True, slots=True)
class View:
    """The read model, why it may not be up to date, and what waits for an operator, by calendar."""

    model: ReadModel
    behind: str = ""
    waiting: Waiting = field(default_factory=dict)


@asynccontextmanager
async def latest_view(settings: Settings) -> AsyncIterator[View]:
    """Open the read model; it is brought up to date first if the broker can be reached."""
    database = Database(settings.read_model_url)
    behind = ""
    waiting: Waiting = {}
    try:
        try:
            broker_url(settings)
            waiting = await _catch_up(settings, database)
        except (TopologyError, BrokerUnavailableError) as error:
            behind = str(error)
            await asyncio.to_thread(database.prepare)
        yield View(ReadModel(database), behind, waiting)
    finally:
        database.close()


async def _catch_up(settings: Settings, database: Database) -> Waiting:
    """Bring the read model up to date; return what waits for an operator."""
    from nexuslims_console.projection import open_read_model  # noqa: PLC0415 - heavy
    from nexuslims_shared.calendar_notes import CalendarNotes  # noqa: PLC0415 - heavy
    from nexuslims_shared.context import service_context  # noqa: PLC0415 - heavy

    async with service_context(settings, "console") as context:
        await (await open_read_model(context.store, database)).catch_up()
        return await CalendarNotes.on(context.jetstream).held()


@asynccontextmanager
async def live_view(settings: Settings) -> AsyncIterator[tuple["ServiceContext", ReadModel]]:
    """Open the read model and keep it up to date as long as the context lasts.

    Raises
    ------
    TopologyError
        If the broker does not answer, or lacks what the services need to do their work.
    """
    from nexuslims_console.projection import open_read_model  # noqa: PLC0415 - heavy
    from nexuslims_shared.broker import require_provisioned  # noqa: PLC0415 - heavy
    from nexuslims_shared.facility import command_context  # noqa: PLC0415 - heavy
    from nexuslims_shared.tasks import end  # noqa: PLC0415 - heavy

    database = Database(settings.read_model_url)
    try:
        async with command_context(settings, "console") as context, asyncio.TaskGroup() as group:
            await require_provisioned(context.jetstream, CONSUMERS)
            projection = await open_read_model(context.store, database)
            await projection.catch_up()
            keeping = group.create_task(_keep(projection))
            try:
                yield context, ReadModel(database)
            finally:
                await end(keeping)
    finally:
        database.close()


async def _keep(projection: "Projection") -> None:
    async with aclosing(projection.follow()) as positions:
        async for _ in positions:
            pass
