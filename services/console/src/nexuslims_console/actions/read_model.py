"""``nexuslims read-model rebuild``."""

import asyncio

from nexuslims_console.archive.projection import rebuild_archive
from nexuslims_console.archive.tables import ArchiveDatabase
from nexuslims_console.database import Database
from nexuslims_console.projection import rebuild
from nexuslims_shared.cli.asynchronous import run
from nexuslims_shared.cli.output import say
from nexuslims_shared.facility import command_context
from nexuslims_shared.settings import Settings, read_settings
from nexuslims_shared.store.positions import Positions


def rebuild_read_model() -> None:
    """Make the tables again from the events, those of the archive too."""
    say(f"the read model holds all events up to {run(_rebuild(read_settings()))}")


async def _rebuild(settings: Settings) -> Positions:
    database = Database(settings.read_model_url)
    archive = ArchiveDatabase(settings.read_model_url)
    try:
        async with command_context(settings, "console") as context:
            if damaged := await asyncio.to_thread(database.set_aside_if_damaged):
                say(f"the file was no sound database, and is {damaged} now")
            await asyncio.to_thread(database.prepare)
            positions = await rebuild(context.store, database)
            await asyncio.to_thread(archive.prepare)
            await rebuild_archive(context.store, archive)
            return positions
    finally:
        archive.close()
        database.close()
