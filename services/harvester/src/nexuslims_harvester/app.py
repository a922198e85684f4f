"""The harvester: asks the calendars, and states what is new about sessions."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from nexuslims_harvester.calendar import CALENDARS, Calendar
from nexuslims_harvester.harvest import Harvest
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.instruments import read_instruments
from nexuslims_shared.plugins import installed
from nexuslims_shared.service import Service, Surroundings
from nexuslims_shared.settings import Settings

_NUMBER: Final = re.compile(r"-\d+$")


def create(settings: Settings) -> Service:
    """Make the service."""
    calendars(settings)  # what is wrong there stops the service at the start
    return Service(name="harvester", work=_work)


def calendars(settings: Settings) -> list[Calendar]:
    """Make the calendars that instruments refer to.

    Raises
    ------
    SettingsError
        If there is no such calendar, or its settings are wrong.
    """
    instruments = read_instruments(settings.instruments_file)
    kinds = installed(CALENDARS)
    made: dict[str, Calendar] = {}
    for instrument in instruments.values():
        name = instrument.calendar
        if name not in made:
            kind = kinds.get(_NUMBER.sub("", name))
            if kind is None:
                raise SettingsError(
                    f"{settings.instruments_file}: instrument {instrument.pid}: there is no"
                    f" calendar {name!r}; installed: {', '.join(kinds)}"
                )
            made[name] = kind.load()(settings, instruments, name)
    return [made[name] for name in sorted(made)]


@asynccontextmanager
async def _work(around: Surroundings) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        harvests = [
            tasks.create_task(Harvest(around, calendar).run())
            for calendar in calendars(around.settings)
        ]
        yield
        for harvest in harvests:
            harvest.cancel()
