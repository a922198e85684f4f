"""Harvesting one calendar: asking it, and stating what is new.

What is known of a session is folded from the events, so two harvesters may run, and one that was
away for weeks goes on where the log ends. Every poll asks for the last days; once a day a sweep
compares everything that was ever harvested with the calendar.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Final

from nexuslims_contracts.text import counted
from nexuslims_harvester.brake import Brake
from nexuslims_harvester.calendar import (
    Calendar,
    CalendarEntry,
    DeletedEntry,
    Entries,
    EntryProblem,
    Window,
)
from nexuslims_harvester.errors import CalendarUnavailableError, UnusableEntryError
from nexuslims_harvester.harvested import (
    HarvestedSessions,
    belongs,
    expected_of,
    sweep_windows,
    window_after,
)
from nexuslims_harvester.schedule import sweep_is_due
from nexuslims_harvester.statements import Statement, make_statement
from nexuslims_shared.artifacts import remove_artifact, resolve, write_artifact
from nexuslims_shared.calendar_notes import CalendarNotes
from nexuslims_shared.errors import (
    ArtifactError,
    ConflictError,
    DiskError,
    PeriodAwayError,
    StoreError,
)
from nexuslims_shared.logs import about
from nexuslims_shared.people import Person
from nexuslims_shared.service import ServiceContext
from nexuslims_shared.session.state import INITIAL, SessionState
from nexuslims_shared.telemetry import tracing
from nexuslims_shared.telemetry.metrics import CALENDAR_ANSWERED, POLLS

log = logging.getLogger(__name__)

CONSUMER: Final = "harvester"
PATIENCE_S: Final = 300.0
"""How long a calendar may take to answer."""
_DAY: Final = timedelta(days=1)
_HELD: Final = "withdrawals"
"""What the letter is about that names the sessions that wait for an operator."""


class Harvest:
    """The sessions of one calendar.

    Parameters
    ----------
    context
        Settings, event store, people, dead letters.
    calendar
        The calendar.
    notes
        What is kept about calendars.
    sessions
        What the events know; one for all calendars.
    """

    def __init__(
        self,
        context: ServiceContext,
        calendar: Calendar,
        notes: CalendarNotes,
        sessions: HarvestedSessions,
    ) -> None:
        self.tried = False
        self.failure = ""
        """Why the last harvest failed; empty if it did not."""
        self.stored = True
        """Whether the event store took what the last harvest stated."""
        self.succeeded_at = time.monotonic()
        """When the last one succeeded, or this began."""
        self._context = context
        self._calendar = calendar
        self._notes = notes
        self._known = sessions
        self._vanished: set[str] = set()
        self._ids: dict[Person, str] = {}
        self._withdrawn: dict[str, datetime] = {}

    @property
    def calendar(self) -> str:
        """Name of the calendar."""
        return self._calendar.name

    async def run(self) -> None:
        """Harvest at each interval, and whenever the calendar says that it changed."""
        while True:
            try:
                await self.once()
                await self.sweep_if_due()
                self.failure, self.stored, self.succeeded_at = "", True, time.monotonic()
            except (CalendarUnavailableError, StoreError) as error:
                self.failure, self.stored = str(error), not isinstance(error, StoreError)
                log.error("calendar %s: %s", self.calendar, error)  # noqa: TRY400 - no crash
            self.tried = True
            await self._rest()

    async def once(self) -> None:
        """Ask the calendar for the last days, and state what is new.

        Raises
        ------
        CalendarUnavailableError
            If the calendar does not answer, or breaks its contract.
        StoreError
            If the event store cannot be read or written now.
        """
        await self._known.catch_up()
        mine = self._known.of(self.calendar)
        now = datetime.now(UTC)
        window = window_after(mine.values(), now, self._overlap)
        held = await self._notes.held_of(self.calendar)
        waiting = expected_of(mine[session] for session in held if session in mine)
        await self._harvest(replace(window, expected={**window.expected, **waiting}))
        if window.since is None and await self._notes.swept(self.calendar) is None:
            await self._notes.note_sweep(self.calendar, now)  # the first harvest asks for all

    async def sweep_if_due(self) -> None:
        """Go over everything that was harvested, if that was not done for long enough.

        Raises
        ------
        CalendarUnavailableError, StoreError
            As in :meth:`once`; the sweep is begun again the next time.
        """
        settings = self._context.settings
        last = await self._notes.swept(self.calendar)
        if sweep_is_due(last, datetime.now().astimezone(), settings):
            await self.sweep()

    async def sweep(self) -> None:
        """Go over everything that was harvested, part by part, and state what changed since.

        Raises
        ------
        CalendarUnavailableError, StoreError
            As in :meth:`once`.
        """
        began = datetime.now(UTC)
        await self._known.catch_up()
        parts = sweep_windows(self._known.of(self.calendar).values(), began, self._overlap)
        for part in parts:
            await self._harvest(part)
        await self._notes.note_sweep(self.calendar, began)
        log.info("calendar %s was gone over in %d parts", self.calendar, len(parts))

    @property
    def _overlap(self) -> timedelta:
        return timedelta(days=self._context.settings.harvest_overlap_days)

    async def _harvest(self, window: Window) -> None:
        """Ask for one window; make all statements, then store those that need not wait."""
        mine = self._known.of(self.calendar)
        found = await self._ask(window)
        problems = [one for one in found if isinstance(one, EntryProblem)]
        entries = sorted(
            (one for one in found if isinstance(one, CalendarEntry)),
            key=lambda one: (one.start, one.id),
        )
        deleted = [one for one in found if isinstance(one, DeletedEntry)]
        await self._known.catch_up()
        listed: list[CalendarEntry | DeletedEntry] = [*entries, *deleted]
        people = await self._people(entries)
        # in a thread: of thousands of entries it takes seconds, and others are to be heard
        statements = await asyncio.to_thread(self._statements, listed, people, problems)
        held = await self._hold_back(statements)
        for statement in statements:
            if statement.session not in held:
                new = await self._state(statement)
                problems += [problem for problem in new if problem not in problems]
        await self._notes.settle(self.calendar, {one.session for one in statements} - held.keys())
        if held:
            problems.append(_explain_held(self.calendar, held))
        usable = (
            f"session {name}" for one in entries for name in (one.id, one.session(self.calendar))
        )
        await self._report(problems, usable if held else chain([_HELD], usable))
        if not problems:
            self._note_vanished(mine, listed, window)

    async def _ask(self, window: Window) -> Entries:
        """Ask the calendar; whatever goes wrong there becomes one kind of error."""
        with POLLS.timing(self.calendar) as ends:
            entries = await self._asked(window)
            ends("answered")
        CALENDAR_ANSWERED.labels(self.calendar).set_to_current_time()
        return entries

    async def _asked(self, window: Window) -> Entries:
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
            log.exception("calendar %s failed", self.calendar)
            raise CalendarUnavailableError(
                f"its plugin failed with {type(error).__name__}: report the traceback above"
            ) from error

    async def _rest(self) -> None:
        interval = self._context.settings.harvest_interval
        try:
            async with asyncio.timeout(interval):
                await self._calendar.changed()
        except TimeoutError:
            log.debug("calendar %s: the interval is over", self.calendar)
        except Exception:
            log.exception("calendar %s cannot tell whether it changed", self.calendar)
            await asyncio.sleep(interval)

    async def _people(self, entries: Iterable[CalendarEntry]) -> Mapping[Person, str]:
        """Keep the names of all first, because events refer to them; return their ids."""
        for entry in entries:
            for person in (*([entry.user] if entry.user else []), *entry.collaborators):
                if person not in self._ids:
                    key = await self._context.people.remember(self.calendar, person)
                    self._ids[person] = key
        return self._ids

    def _statements(
        self,
        entries: Iterable[CalendarEntry | DeletedEntry],
        people: Mapping[Person, str],
        problems: list[EntryProblem],
    ) -> list[Statement]:
        """Make the statement about each entry, but for those of sessions that cannot be read."""
        made: list[Statement] = []
        now = datetime.now(UTC)
        for entry in entries:
            session = entry.session(self.calendar)
            state = self._known.states.get(session, INITIAL)
            if session in self._known.unreadable:
                continue
            try:
                made.append(make_statement(entry, state, people, calendar=self.calendar, now=now))
            except UnusableEntryError as error:
                problems.append(EntryProblem(f"session {entry.id}", str(error)))
        return made

    async def _hold_back(self, statements: Sequence[Statement]) -> dict[str, str]:
        """Say which losses wait for an operator, and keep note of them."""
        losses = {one.session: one.loss for one in statements if one.loss}
        waiting = await self._notes.held_of(self.calendar)
        if not losses and not waiting:
            return {}
        now = datetime.now(UTC)
        self._withdrawn = {
            session: at for session, at in self._withdrawn.items() if now - at < _DAY
        }
        approved = await self._notes.approved(self.calendar)
        brake = Brake(
            at_most=self._context.settings.harvest_brake,
            sessions=len(self._known.of(self.calendar)),
            recent=len(self._withdrawn),
            approved=approved,
            waiting=waiting,
        )
        held = brake.held(losses)
        self._withdrawn |= dict.fromkeys(losses.keys() - held.keys() - approved, now)
        seen = {one.session for one in statements}
        unseen = {session: why for session, why in waiting.items() if session not in seen}
        await self._notes.hold(self.calendar, {**unseen, **held})
        return held

    async def _state(self, statement: Statement) -> list[EntryProblem]:
        """Store the events of one session, its artifact before them."""
        if not (statement.envelopes or statement.artifact or statement.outdated):
            return []
        with about(statement.session), tracing.unit("state session", statement.session):
            try:
                await asyncio.to_thread(self._write, statement)
                for envelope in statement.envelopes:
                    await self._context.store.append(envelope)
            except (DiskError, ArtifactError) as error:
                return [EntryProblem(f"session {statement.session}", str(error))]
            except PeriodAwayError as error:
                return [EntryProblem(f"sessions of period {error.period}", error.remedy)]
            except ConflictError:
                log.info("another harvester was faster")
            else:
                if statement.envelopes:
                    kinds = ", ".join(one.event.kind() for one in statement.envelopes)
                    log.info("stated: %s", kinds)
        return []

    def _write(self, statement: Statement) -> None:
        """Write texts that are too long for an event, and remove them with the consent."""
        data = self._context.settings.data_path
        if statement.artifact is not None:
            ref, content = statement.artifact
            target = resolve(data, ref.path)
            if not (target.is_file() and target.read_bytes() == content):
                write_artifact(data, ref.path, content)
        elif statement.outdated is not None:
            remove_artifact(data, statement.outdated.path)

    async def _report(self, problems: Sequence[EntryProblem], in_order: Iterable[str]) -> None:
        """Write a dead letter for each problem, unless one lies there; drop what is over.

        Parameters
        ----------
        problems
            Of this harvest.
        in_order
            What may be named by a letter of an earlier harvest and is no problem now.
        """
        letters, prefix = self._context.dead_letters, f"calendar {self.calendar}, "
        now = {(one.entry, one.problem) for one in problems}
        lying = [
            one
            async for one in letters.read()
            if one.consumer == CONSUMER and one.subject.startswith(prefix)
        ]
        named = {one.entry for one in problems} | set(in_order) if lying else set()
        for letter in lying:
            entry = letter.subject.removeprefix(prefix)
            if (entry, letter.reason) in now:
                now.discard((entry, letter.reason))
            elif entry in named:
                await letters.remove(letter.number)
        for problem in problems:
            if (problem.entry, problem.problem) in now:
                log.error("calendar %s: %s", self.calendar, problem)
                await letters.write(CONSUMER, 0, f"{prefix}{problem.entry}", problem.problem)

    def _note_vanished(
        self,
        known: Mapping[str, SessionState],
        entries: Iterable[CalendarEntry | DeletedEntry],
        window: Window,
    ) -> None:
        """Name a session that is no longer listed: whether it was cancelled is not known."""
        if window.sweep:
            return
        listed = {entry.session(self.calendar) for entry in entries}
        for session in sorted(known.keys() - listed - self._vanished):
            if belongs(known[session], window.since):
                self._vanished.add(session)
                log.warning(
                    "calendar %s no longer lists session %s: it is left as it is;"
                    " to withdraw it, list it as cancelled",
                    self.calendar,
                    session,
                )
        self._vanished &= known.keys() - listed


def _explain_held(calendar: str, held: Mapping[str, str]) -> EntryProblem:
    named = ", ".join(sorted(held)[:5]) + (", ..." if len(held) > 5 else "")  # noqa: PLR2004
    return EntryProblem(
        _HELD,
        f"{counted(len(held), 'session')} would lose their record or most of it at once, because"
        f" the calendar lacks them or their bookings, or moved them: {named}: if it lost data,"
        f" restore it; if it is right, run `nexuslims approve {calendar}`",
    )
