"""The harvester: asks the calendars, and states what is new about sessions.

It keeps nothing: what is known of a session is folded from the events, so two harvesters may run,
and one that was away for weeks goes on where the log ends.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

from nexuslims_contracts.envelope import Recorded, envelop
from nexuslims_contracts.events import (
    ConsentDeclined,
    ReservationMatched,
    ReservationMissing,
    SessionCancelled,
    SessionEnded,
    SessionRevised,
    SessionStarted,
)
from nexuslims_harvester.calendar import CALENDARS, Calendar, CalendarEntry, EntryProblem
from nexuslims_harvester.decide import decide
from nexuslims_harvester.errors import CalendarUnavailableError
from nexuslims_shared.errors import BrokerUnavailableError, ConflictError, SettingsError
from nexuslims_shared.fold import INITIAL, SessionState, evolve
from nexuslims_shared.instruments import read_instruments
from nexuslims_shared.logs import about
from nexuslims_shared.plugins import installed
from nexuslims_shared.service import Service, Surroundings
from nexuslims_shared.settings import Settings

log = logging.getLogger(__name__)

_NUMBER: Final = re.compile(r"-\d+$")

SOURCE: Final = "nexuslims/harvester"
OWN_EVENTS: Final = tuple(
    model.filter()
    for model in (
        SessionStarted,
        SessionEnded,
        SessionRevised,
        SessionCancelled,
        ReservationMatched,
        ConsentDeclined,
        ReservationMissing,
    )
)


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


class Harvest:
    """The sessions of one calendar."""

    def __init__(self, around: Surroundings, calendar: Calendar) -> None:
        self._around = around
        self._calendar = calendar
        self._states: dict[str, SessionState] = {}
        self._position = 0
        self._reported: set[EntryProblem] = set()

    async def run(self) -> None:
        """Harvest at each interval, and whenever the calendar says that it changed."""
        interval = self._around.settings.harvest_interval
        while True:
            try:
                await self.once()
            except (CalendarUnavailableError, BrokerUnavailableError) as error:
                log.error("calendar %s: %s", self._calendar.name, error)  # noqa: TRY400 - no crash
            try:
                await asyncio.wait_for(self._calendar.changed(), interval)
            except TimeoutError:
                log.debug("calendar %s: the interval is over", self._calendar.name)

    async def once(self) -> None:
        """Ask the calendar, and state what is new."""
        entries = await self._calendar.entries()
        await self._catch_up()
        for entry in entries:
            if isinstance(entry, CalendarEntry):
                await self._state(entry)
            else:
                await self._report(entry)

    async def _catch_up(self) -> None:
        """Fold what was stated since the last harvest, by this or another harvester."""
        async for item in self._around.store.read(filters=OWN_EVENTS, after=self._position):
            self._position = item.sequence
            if isinstance(item, Recorded):
                session = item.event.session
                self._states[session] = evolve(self._states.get(session, INITIAL), item)

    async def _state(self, entry: CalendarEntry) -> None:
        session = entry.session(self._calendar.name)
        with about(session):
            people = await self._people(entry)
            events = decide(
                entry,
                self._states.get(session, INITIAL),
                calendar=self._calendar.name,
                people=people,
                now=datetime.now(UTC),
            )
            try:
                for event in events:
                    await self._around.store.append(envelop(event, source=SOURCE))
            except ConflictError:
                log.info("another harvester was faster")
            if events:
                log.info("stated: %s", ", ".join(event.kind() for event in events))

    async def _people(self, entry: CalendarEntry) -> Mapping[str, str]:
        """Keep the names first: events refer to them."""
        people = [*([entry.user] if entry.user else []), *entry.collaborators]
        return {
            person.username: await self._around.people.remember(self._calendar.name, person)
            for person in people
        }

    async def _report(self, problem: EntryProblem) -> None:
        """Make a wrong entry visible to the operator, once."""
        if problem in self._reported:
            return
        self._reported.add(problem)
        log.error("calendar %s: %s", self._calendar.name, problem)
        await self._around.dead_letters.write(
            "harvester", 0, f"calendar {self._calendar.name}, {problem.entry}", problem.problem
        )
