"""Showing the settings; making the read model anew."""

import asyncio

from nexuslims_console.asynchronous import run
from nexuslims_console.database import Database
from nexuslims_console.output import print_json, print_table, say
from nexuslims_console.projection import rebuild
from nexuslims_contracts.plugins import installed
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.network import Network
from nexuslims_shared.service import service_context
from nexuslims_shared.settings import Settings, read, read_settings
from nexuslims_shared.settings.display import GROUP, display, display_given


def show_settings(*, as_json: bool) -> bool:
    """Show the settings in effect; False if some are wrong."""
    values = display(read_settings()) | display(read(Network))
    wrong: list[str] = []
    for plugin in installed(GROUP).values():
        try:
            values |= display_given(plugin.load())
        except SettingsError as error:
            wrong.append(str(error))
    if as_json:
        print_json(values)
    else:
        print_table(("variable", "value"), list(values.items()))
    for problem in wrong:
        say(problem)
    return not wrong


def rebuild_read_model() -> None:
    """Make the read model anew from the events."""
    say(f"the read model holds all events up to {run(_rebuild(read_settings()))}")


async def _rebuild(settings: Settings) -> int:
    database = Database(settings.read_model_url)
    try:
        async with service_context(settings, "console") as context:
            await asyncio.to_thread(database.prepare)
            return await rebuild(context.store, database)
    finally:
        database.close()
