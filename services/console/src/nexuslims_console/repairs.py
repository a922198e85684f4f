"""What ``nexuslims doctor --repair`` does where the console is installed."""

import asyncio
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nexuslims_console.actions.requests import by_whom, request_retry
from nexuslims_console.actions.retry import retry_dead_letter
from nexuslims_console.database import Database
from nexuslims_console.errors import ConsoleError
from nexuslims_console.facility import read_services
from nexuslims_console.projection import rebuild
from nexuslims_console.queries import ReadModel
from nexuslims_contracts.text import counted
from nexuslims_shared.doctor import Repair
from nexuslims_shared.facility import command_context
from nexuslims_shared.processes import end_process
from nexuslims_shared.settings import Settings
from nexuslims_shared.threads import in_thread

_END_S: Final = 5.0
_START_S: Final = 30.0
_POLL_S: Final = 0.1
_MOST_AT_ONCE: Final = 1000

Services = Callable[[], dict[str, dict[str, int]]]


def open_folder(path: Path) -> Repair:
    """Return the repair of a folder of ours that we may not write to."""

    def act() -> str:
        mode = path.stat().st_mode
        if mode & stat.S_IRWXU == stat.S_IRWXU:
            raise ConsoleError(f"{path}: its permissions allow it, so something else does not")
        path.chmod(mode | stat.S_IRWXU)
        return f"{path} may be written by its owner again"

    return Repair(f"permissions of {path}", 0, lambda: in_thread(act))


def restart_service(settings: Settings, name: str) -> Repair:
    """Return the repair of a service that runs here and does not work.

    Parameters
    ----------
    settings
        The facility's.
    name
        Of the service.
    """

    async def act() -> str:
        return await in_thread(lambda: _restart(lambda: read_services(settings.state_path), name))

    return Repair(f"restart {name}", 30, act)


def _restart(services: Services, name: str) -> str:
    """End a service; whoever keeps it running starts it again, and may be about to."""
    running = services()
    if not running:
        raise ConsoleError(f"{name} does not run here: start it with `nexuslims up`")
    at = running.get(name)
    how = end_process(at["pid"], patience=_END_S) if at else "had ended"
    begin = time.monotonic()
    while time.monotonic() - begin < _START_S:
        new = services().get(name)
        if new and (at is None or new["pid"] != at["pid"]):
            former = f"process {at['pid']}" if at else name
            return f"{former} {how}, and {new['pid']} took its place"
        time.sleep(_POLL_S)
    raise ConsoleError(f"{name} {how}, and nobody started it again: run `nexuslims up`")


def start_over(settings: Settings) -> Repair:
    """Return the repair of a read model that is of another log, or cannot be read.

    Every service remembers where it is in the log, so all that run here are restarted.

    Parameters
    ----------
    settings
        The facility's.
    """

    async def act() -> str:
        database = Database(settings.read_model_url)
        try:
            await asyncio.to_thread(database.set_aside_if_damaged)
            if services := read_services(settings.state_path):
                for name in services:
                    await restart_service(settings, name).act()
                return f"{', '.join(services)} were restarted, and the console makes it again"
            async with command_context(settings, "console") as context:
                await asyncio.to_thread(database.prepare)
                position = await rebuild(context.store, database)
        finally:
            database.close()
        return f"it holds all events up to {position} again"

    return Repair("make the read model again", 40, act)


def retry_dead_letters(settings: Settings) -> Repair:
    """Return the repair of events that could not be used: they are tried again.

    Parameters
    ----------
    settings
        The facility's.
    """

    async def act() -> str:
        async with command_context(settings, "console") as context:
            letters = [letter async for letter in context.dead_letters.read()]
            for letter in letters:
                await retry_dead_letter(context, letter)
        again = counted(len(letters), "letter is", "letters are")
        return f"{again} tried again{by_whom(settings)}"

    return Repair("retry dead letters", 50, act)


def retry_waiting(settings: Settings, service: str) -> Repair:
    """Return the repair of a service that leaves work alone: it is restarted, and asked again.

    Parameters
    ----------
    settings
        The facility's.
    service
        Its name.
    """

    async def act() -> str:
        database = Database(settings.read_model_url)
        try:
            names = await in_thread(lambda: ReadModel(database).waiting_for(service))
        finally:
            database.close()
        done = []
        if service in read_services(settings.state_path):
            done.append(await restart_service(settings, service).act())
        async with command_context(settings, "console") as context:
            for name in names[:_MOST_AT_ONCE]:
                await request_retry(context.store, name)
        done.append(
            f"tried again: {min(len(names), _MOST_AT_ONCE)} of {counted(len(names), 'session')}"
        )
        return "; ".join(done)

    return Repair(f"take up the work of {service}", 60, act)
