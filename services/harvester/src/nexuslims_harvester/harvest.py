"""Harvesting one calendar, again and again.

It keeps nothing: what is known of a session is folded from the events, so two harvesters may run,
and one that was away for weeks goes on where the log ends.
"""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from nexuslims_contracts.envelope import Recorded, envelop
from nexuslims_contracts.errors import ContractError
from nexuslims_contracts.events import (
    ConsentDeclined,
    Event,
    ReservationMatched,
    ReservationMissing,
    SessionCancelled,
    SessionEnded,
    SessionRevised,
    SessionStarted,
)
from nexuslims_harvester.calendar import Calendar, CalendarEntry, EntryProblem, Withdrawn
from nexuslims_harvester.decide import decide, withdraw
from nexuslims_harvester.errors import CalendarUnavailableError
from nexuslims_harvester.window import next_window
from nexuslims_shared.errors import BrokerUnavailableError
from nexuslims_shared.fold import INITIAL, SessionState, evolve
from nexuslims_shared.logs import about
from nexuslims_shared.people import Person
from nexuslims_shared.service import Surroundings

log = logging.getLogger(__name__)

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


class Harvest:
    """The sessions of one calendar."""

    def __init__(self, around: Surroundings, calendar: Calendar) -> None:
        self._around = around
        self._calendar = calendar
        self._states: dict[str, SessionState] = {}
        self._position = 0
        self._harvested: datetime | None = None
        self._people: dict[Person, str] = {}
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
        """Ask the calendar for what may be new, and state what is."""
        await self._catch_up()
        now = datetime.now(UTC)
        name = self._calendar.name
        window = next_window(self._states.values(), name, now=now, harvested=self._harvested)
        entries = await self._calendar.entries(window)
        await self._catch_up()
        self._people.clear()
        for entry in entries:
            if isinstance(entry, EntryProblem):
                await self._report(entry)
            else:
                await self._take(entry)
        self._harvested = now

    async def _catch_up(self) -> None:
        """Fold what was stated since the last harvest, by this or another harvester."""
        async for item in self._around.store.read(filters=OWN_EVENTS, after=self._position):
            self._position = item.sequence
            if isinstance(item, Recorded):
                session = item.event.session
                self._states[session] = evolve(self._states.get(session, INITIAL), item)

    async def _take(self, entry: CalendarEntry | Withdrawn) -> None:
        session = entry.session(self._calendar.name)
        with about(session):
            try:
                events = await self._news(entry, self._states.get(session, INITIAL))
                for event in events:
                    await self._around.store.append(envelop(event, source=SOURCE))
            except (ContractError, ValidationError, PydanticSerializationError) as error:
                reason = f"no event can be made of it: {error}"
                await self._report(EntryProblem(f"session {entry.id}", reason))
                return
            if events:
                log.info("stated: %s", ", ".join(event.kind() for event in events))

    async def _news(self, entry: CalendarEntry | Withdrawn, state: SessionState) -> list[Event]:
        name = self._calendar.name
        if isinstance(entry, Withdrawn):
            return withdraw(entry.session(name), state)
        people = await self._ids(entry)
        return decide(entry, state, calendar=name, people=people, now=datetime.now(UTC))

    async def _ids(self, entry: CalendarEntry) -> Mapping[str, str]:
        """Keep the names first: events refer to them."""
        people = [*([entry.user] if entry.user else []), *entry.collaborators]
        for person in people:
            if person not in self._people:
                remember = self._around.people.remember
                self._people[person] = await remember(self._calendar.name, person)
        return {person.username: self._people[person] for person in people}

    async def _report(self, problem: EntryProblem) -> None:
        """Make a wrong entry visible to the operator, once."""
        if problem in self._reported:
            return
        self._reported.add(problem)
        log.error("calendar %s: %s", self._calendar.name, problem)
        await self._around.dead_letters.write(
            "harvester", 0, f"calendar {self._calendar.name}, {problem.entry}", problem.problem
        )
