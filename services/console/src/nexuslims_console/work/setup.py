"""Showing the settings; making the read model anew."""

import asyncio
import re
from typing import Any, Final

from pydantic import SecretBytes, SecretStr

from nexuslims_console.asynchronous import run
from nexuslims_console.database import Database
from nexuslims_console.output import print_json, print_table, say
from nexuslims_console.projection import rebuild
from nexuslims_shared.service import surroundings
from nexuslims_shared.settings import Settings, read_settings

_SECRET_NAME: Final = re.compile(r"token|password|secret|_key$")
_CREDENTIALS: Final = re.compile(r"//[^/@\s]*@")


def show_settings(*, as_json: bool) -> None:
    """Show the settings in effect."""
    shown = effective(read_settings())
    if as_json:
        print_json(shown)
    else:
        print_table(("variable", "value"), list(shown.items()))


def effective(settings: Settings) -> dict[str, str]:
    """Return the settings by variable, as they may be shown to anybody."""
    return {
        "NATS_URL" if name == "nats_url" else f"NX_{name.upper()}": _harmless(name, value)
        for name, value in settings
    }


def _harmless(name: str, value: Any) -> str:
    """Hide what is secret: by its type, by its name, or as the credentials of an address."""
    if value is None or value == "":
        return ""
    if isinstance(value, (SecretStr, SecretBytes)) or _SECRET_NAME.search(name):
        return "(hidden)"
    shown = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return _CREDENTIALS.sub("//(hidden)@", shown)


def rebuild_read_model() -> None:
    """Make the read model anew from the events."""
    say(f"the read model holds all events up to {run(_rebuild(read_settings()))}")


async def _rebuild(settings: Settings) -> int:
    database = Database(settings.read_model_url)
    try:
        async with surroundings(settings, "console") as around:
            await asyncio.to_thread(database.prepare)
            return await rebuild(around.store, database)
    finally:
        database.close()
