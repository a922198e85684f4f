"""The harvester: each calendar of the facility in a task of its own."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from nexuslims_contracts.plugins import Plugin, installed
from nexuslims_harvester.calendar import CALENDARS, Calendar
from nexuslims_harvester.harvest import Harvest
from nexuslims_harvester.harvested import HarvestedSessions
from nexuslims_shared.calendar_notes import CalendarNotes
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.health import Check
from nexuslims_shared.instruments import read_instruments
from nexuslims_shared.service import Service, ServiceContext
from nexuslims_shared.settings import Settings
from nexuslims_shared.tasks import end


def create(settings: Settings) -> Service:
    """Make the service.

    Raises
    ------
    SettingsError
        If the instruments' file is wrong, or names a calendar that is not installed.
    """
    names = frozenset(calendar.name for calendar in calendars(settings))
    harvests: list[Harvest] = []
    return Service(
        name="harvester",
        work=lambda context: _work(context, harvests),
        checks=[_check_first_harvest(names, harvests), _check_calendars(settings, harvests)],
    )


def _check_first_harvest(names: frozenset[str], harvests: Sequence[Harvest]) -> Check:
    """Make the check that each calendar was asked once, successfully or not."""

    async def problem() -> str:
        waiting = names - {harvest.calendar for harvest in harvests if harvest.tried}
        return f"not asked yet: {', '.join(sorted(waiting))}" if waiting else ""

    return Check("harvest", problem)


def _check_calendars(settings: Settings, harvests: Sequence[Harvest]) -> Check:
    """Make the check that each calendar was harvested not long ago, and all of it stored."""
    limit = settings.stalled_seconds + settings.harvest_interval

    async def problem() -> str:
        now = time.monotonic()
        return "; ".join(
            f"{harvest.calendar}: not harvested for {(now - harvest.succeeded_at) / 60:.0f} min"
            f" ({harvest.failure or 'the calendar has not answered yet'})"
            for harvest in harvests
            if now - harvest.succeeded_at > limit or not harvest.stored
        )

    return Check("calendars", problem, essential=False)


def calendars(settings: Settings) -> list[Calendar]:
    """Make the calendars that instruments refer to.

    Raises
    ------
    SettingsError
        If the instruments' file is wrong, or names a calendar that is not installed.
    PluginError
        If the plugin of a calendar cannot be loaded.
    """
    instruments = read_instruments(settings.instruments_file)
    kinds = installed(CALENDARS)
    wanted = {entry.calendar: entry.pid for entry in instruments.values()}
    return [
        _kind(name, pid, kinds, settings).load()(name, settings, instruments)
        for name, pid in sorted(wanted.items())
    ]


def _kind(name: str, pid: str, kinds: dict[str, Plugin], settings: Settings) -> Plugin:
    """Find the plugin of a calendar: ``nemo-2`` is the second of the kind ``nemo``."""
    stem, _, number = name.rpartition("-")
    kind = stem if number.isdecimal() else name
    if kind not in kinds:
        raise SettingsError(
            f"{settings.instruments_file}: instrument {pid}: calendar {name!r} is of no kind that"
            f" is installed ({', '.join(kinds)}): correct it, or install its plugin"
        )
    return kinds[kind]


@asynccontextmanager
async def _work(context: ServiceContext, harvests: list[Harvest]) -> AsyncIterator[None]:
    """Harvest all calendars at the same time; an error in our code ends the service."""
    notes = CalendarNotes.on(context.jetstream)
    sessions = HarvestedSessions(context.store)
    harvests += [
        Harvest(context, calendar, notes, sessions) for calendar in calendars(context.settings)
    ]
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(harvest.run()) for harvest in harvests]
        yield
        await end(*running)
