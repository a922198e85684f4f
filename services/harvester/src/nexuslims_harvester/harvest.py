"""Harvesting one calendar: asking it, and stating what is new.

Nothing is kept between runs: what is known of a session is folded from the events, so two
harvesters may run, and one that was away for weeks goes on where the log ends.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import ValidationError

from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.errors import UndecodableError
from nexuslims_contracts.events import Event
from nexuslims_harvester.calendar import (
    Calendar,
    CalendarEntry,
    DeletedEntry,
    Entries,
    EntryProblem,
    Window,
)
from nexuslims_harvester.decide import decide, withdraw
from nexuslims_harvester.errors import CalendarUnavailableError
from nexuslims_harvester.harvested import HarvestedSessions, belongs, window_after
from nexuslims_shared.errors import ConflictError, StoreError
from nexuslims_shared.logs import about
from nexuslims_shared.people import Person
from nexuslims_shared.service import ServiceContext
from nexuslims_shared.session.state import INITIAL, SessionState

log = logging.getLogger(__name__)

SOURCE: Final = "nexuslims/harvester"
CONSUMER: Final = "harvester"
PATIENCE_S: Final = 300.0
"""How long a calendar may take to answer."""


class Harvest:
    """The sessions of one calendar.

    Parameters
    ----------
    around
        Settings, event store, people, dead letters.
    calendar
        The calendar.
    """

    def __init__(self, context: ServiceContext, calendar: Calendar) -> None:
        self.tried = False
        self._around = context
        self._calendar = calendar
        self._known = HarvestedSessions()
        self._vanished: set[str] = set()
        self._ids: dict[Person, str] = {}

    @property
    def calendar(self) -> str:
        """Name of the calendar."""
        return self._calendar.name

    async def run(self) -> None:
        """Harvest at each interval, and whenever the calendar says that it changed."""
        while True:
            try:
                await self.once()
            except (CalendarUnavailableError, StoreError) as error:
                log.error("calendar %s: %s", self._calendar.name, error)  # noqa: TRY400 - no crash
            self.tried = True
            await self._rest()

    async def once(self) -> None:
        """Ask the calendar, and state what is new.

        Raises
        ------
        CalendarUnavailableError
            If the calendar does not answer, or breaks its contract.
        StoreError
            If the event store cannot be read or written now.
        """
        store, settings = self._around.store, self._around.settings
        await self._known.catch_up(store)
        mine = self._known.of(self._calendar.name)
        overlap = timedelta(days=settings.harvest_overlap_days)
        window = window_after(mine.values(), datetime.now(UTC), overlap)
        found = await self._ask(window)
        entries = sorted(
            (one for one in found if isinstance(one, CalendarEntry)),
            key=lambda one: (one.start, one.id),
        )
        problems = [one for one in found if isinstance(one, EntryProblem)]
        withdrawn = [one for one in found if isinstance(one, DeletedEntry)]
        await self._known.catch_up(store)
        stated = [await self._state(entry) for entry in entries]
        stated += [await self._state(one) for one in withdrawn]
        problems += [one for one in stated if one is not None]
        if problems:
            await self._report(problems)
        else:
            self._note_vanished(mine, [*entries, *withdrawn], window)

    async def _ask(self, window: Window) -> Entries:
        """Whatever goes wrong in a calendar is its own trouble, not that of the others."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._calendar.entries(window)
        except CalendarUnavailableError:
            raise
        except TimeoutError as error:
            raise CalendarUnavailableError(
                f"no answer within {PATIENCE_S:.0f} s: check that it can be reached"
            ) from error
        except Exception as error:
            log.exception("calendar %s failed", self._calendar.name)
            raise CalendarUnavailableError(
                f"its plugin failed with {type(error).__name__}: report the traceback above"
            ) from error

    async def _rest(self) -> None:
        interval = self._around.settings.harvest_interval
        try:
            async with asyncio.timeout(interval):
                await self._calendar.changed()
        except TimeoutError:
            log.debug("calendar %s: the interval is over", self._calendar.name)
        except Exception:
            log.exception("calendar %s cannot tell whether it changed", self._calendar.name)
            await asyncio.sleep(interval)

    async def _state(self, entry: CalendarEntry | DeletedEntry) -> EntryProblem | None:
        """State what is new of one entry; an entry that is too much for an event is a problem."""
        session = entry.session(self._calendar.name)
        if session in self._known.unreadable:
            return None
        with about(session):
            try:
                events = await self._news(entry, self._known.states.get(session, INITIAL))
                for event in events:
                    await self._around.store.append(envelop(event, source=SOURCE))
            except (ValueError, UndecodableError) as error:  # pydantic's errors are the former
                reason = f"no event can be made of it: {_first_line(error)}: correct the entry"
                return EntryProblem(f"session {entry.id}", reason)
            except ConflictError:
                log.info("another harvester was faster")
            else:
                if events:
                    log.info("stated: %s", ", ".join(event.kind() for event in events))
        return None

    async def _news(self, entry: CalendarEntry | DeletedEntry, state: SessionState) -> list[Event]:
        name = self._calendar.name
        if isinstance(entry, DeletedEntry):
            return withdraw(entry.session(name), state)
        people = await self._people(entry)
        return decide(entry, state, calendar=name, people=people, now=datetime.now(UTC))

    async def _people(self, entry: CalendarEntry) -> Mapping[Person, str]:
        """Keep the names first: events refer to them."""
        people = [*([entry.user] if entry.user else []), *entry.collaborators]
        for person in people:
            if person not in self._ids:
                self._ids[person] = await self._around.people.remember(self._calendar.name, person)
        return {person: self._ids[person] for person in people}

    async def _report(self, problems: Iterable[EntryProblem]) -> None:
        """Write a dead letter for each problem, unless one lies there."""
        letters = self._around.dead_letters
        lying = {
            (letter.subject, letter.reason)
            async for letter in letters.read()
            if letter.consumer == CONSUMER
        }
        for problem in problems:
            subject = f"calendar {self._calendar.name}, {problem.entry}"
            if (subject, problem.problem) not in lying:
                log.error("calendar %s: %s", self._calendar.name, problem)
                await letters.write(CONSUMER, 0, subject, problem.problem)

    def _note_vanished(
        self,
        known: Mapping[str, SessionState],
        entries: Iterable[CalendarEntry | DeletedEntry],
        window: Window,
    ) -> None:
        """A session that is no longer listed was perhaps cancelled: nobody said so."""
        listed = {entry.session(self._calendar.name) for entry in entries}
        for session in sorted(known.keys() - listed - self._vanished):
            if belongs(known[session], window.since):
                self._vanished.add(session)
                log.warning(
                    "calendar %s no longer lists session %s: it is left as it is;"
                    " to withdraw it, list it as cancelled",
                    self._calendar.name,
                    session,
                )
        self._vanished &= known.keys() - listed


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)
