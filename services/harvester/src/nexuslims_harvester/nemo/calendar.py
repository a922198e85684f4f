"""The NEMO calendar: sessions are usage events of the tools that are instruments."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from nexuslims_harvester.calendar import DeletedEntry, Entries, EntryProblem, Window
from nexuslims_harvester.consent import ConsentReader
from nexuslims_harvester.nemo import payload
from nexuslims_harvester.nemo.client import NemoClient
from nexuslims_harvester.nemo.mapping import Facts, place, to_entry
from nexuslims_harvester.nemo.settings import NemoSettings, read_nemo_settings
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.instruments import InstrumentEntry
from nexuslims_shared.settings import Settings

P = TypeVar("P", bound=payload.Payload)

_USAGE: Final = "usage-"
FIRST_LOOK: Final = timedelta(days=7)
"""How far back the very first harvest goes, as the incumbent's, unless ``NX_NEMO_SINCE_n`` says."""

LONG: Final = timedelta(days=7)
"""A session that began so much before those that are asked for was left open, or moved."""


class NemoCalendar:
    """One NEMO of possibly several.

    Parameters
    ----------
    name
        ``nemo-1`` has the settings ``NX_NEMO_..._1``; ``nemo`` is the same.
    settings
        The facility's.
    instruments
        All of the facility, by pid; those that name this calendar have the number of their tool as
        ``calendar_id``.
    connect
        Makes the connection.

    Raises
    ------
    SettingsError
        If a setting or the number of a tool is missing or wrong.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        instruments: Mapping[str, InstrumentEntry],
        *,
        connect: Callable[[str, str, NemoSettings], NemoClient] = NemoClient,
    ) -> None:
        self.name = name
        self._consent = ConsentReader.accepting(settings.consent_answers)
        number = name.removeprefix("nemo").removeprefix("-") or "1"
        self._tools = _tools(name, instruments)
        self._settings = read_nemo_settings(number)
        self._client = connect(name, number, self._settings)

    async def entries(self, window: Window) -> Entries:
        """Return the sessions that ended since, or go on; see the port."""
        async with self._client:
            problems: Entries = []
            tools = await self._existing_tools(problems)
            if not tools:
                return problems
            since = window.since or self._settings.since or window.until - FIRST_LOOK
            objects = await self._usage(tools, since)
            gone = await self._gone(window, objects)
            events = self._events(tools, objects, problems)
            facts = await self._facts(tools, events, since, problems)
        # in a thread: of a hundred thousand events it takes seconds, and others are to be heard
        entries = await asyncio.to_thread(lambda: [to_entry(event, facts) for event in events])
        return [*problems, *(self._named(entry) for entry in entries), *gone]

    async def changed(self) -> None:
        """Never return: NEMO cannot tell."""
        await asyncio.Event().wait()

    async def _existing_tools(self, problems: Entries) -> dict[int, InstrumentEntry]:
        """Drop unknown tools: one of them makes NEMO refuse a whole request."""
        objects = await self._client.by_ids("tools", sorted(self._tools))
        known = _ids(objects)
        problems += [
            EntryProblem(
                f"{self.name} tools/{number}",
                f"there is no such tool: correct calendar_id of instrument {instrument.pid}",
            )
            for number, instrument in self._tools.items()
            if number not in known
        ]
        return {number: one for number, one in self._tools.items() if number in known}

    async def _usage(self, tools: Mapping[int, InstrumentEntry], since: datetime) -> list[Any]:
        chosen = {"tool_id__in": _joined(tools)}
        ended = {"end__gte": self._settings.written(since)}
        return [
            *await self._client.all("usage_events", {**chosen, **ended}),
            *await self._client.all("usage_events", {**chosen, "end__isnull": "true"}),
        ]

    async def _gone(self, window: Window, objects: list[Any]) -> list[DeletedEntry]:
        """Ask for expected events by number: they were moved, then they are added, or deleted."""
        expected = {one.removeprefix(_USAGE) for one in window.expected if one.startswith(_USAGE)}
        absent = {int(one) for one in expected if one.isdecimal()} - _ids(objects)
        moved = await self._client.by_ids("usage_events", sorted(absent))
        objects += moved
        if not all(_ids([one]) for one in objects):
            return []  # one whose number cannot be read may be the one
        return [DeletedEntry(f"{_USAGE}{number}") for number in sorted(absent - _ids(moved))]

    def _events(
        self, tools: Mapping[int, InstrumentEntry], objects: Iterable[Any], problems: Entries
    ) -> list[payload.UsageEvent]:
        events = self._read(payload.UsageEvent, "usage_events", objects, problems)
        ours = (event for event in events.values() if event.tool in tools)
        return sorted(ours, key=lambda event: (self._began(event), event.id))

    async def _facts(
        self,
        tools: Mapping[int, InstrumentEntry],
        events: Sequence[payload.UsageEvent],
        since: datetime,
        problems: Entries,
    ) -> Facts:
        """Ask for what the usage events refer to, all at once."""
        if not events:
            return Facts(self._settings, self._consent, tools)
        users = {who for event in events for who in (event.user, event.operator) if who is not None}
        projects = {event.project for event in events if event.project is not None}
        ask = self._client.by_ids
        people = self._read(payload.User, "users", await ask("users", sorted(users)), problems)
        charged = self._read(
            payload.Project, "projects", await ask("projects", sorted(projects)), problems
        )
        reservations = self._read(
            payload.Reservation, "reservations", await self._reservations(events, since), problems
        )
        bookings, wrong = place(reservations.values(), self._settings, {})
        problems += [self._named(problem) for problem in wrong]
        return Facts(self._settings, self._consent, tools, people, charged, bookings)

    async def _reservations(
        self, events: Sequence[payload.UsageEvent], since: datetime
    ) -> list[Any]:
        """Ask for the bookings that may overlap one of the usage events.

        A session that somebody forgot to end is as old as may be: of then, only the bookings of
        its user are asked for, not everybody's since.
        """
        old = [event for event in events if self._began(event) < since - LONG]
        recent = [event for event in events if self._began(event) >= since - LONG]
        found: list[Any] = []
        if recent:
            found += await self._client.all("reservations", self._overlapping(recent))
        if old:
            users = {"user_id__in": _joined({event.user for event in old})}
            found += await self._client.all("reservations", {**self._overlapping(old), **users})
        return found

    def _overlapping(self, events: Sequence[payload.UsageEvent]) -> dict[str, str]:
        query = {
            "tool_id__in": _joined({event.tool for event in events}),
            "cancelled": "False",
            "end__gt": self._settings.written(min(map(self._began, events))),
        }
        ends = [self._moment(event.end) for event in events if event.end is not None]
        if len(ends) == len(events):
            query["start__lt"] = self._settings.written(max(ends) + timedelta(seconds=1))
        return query

    def _read(
        self, model: type[P], endpoint: str, objects: Iterable[Any], problems: Entries
    ) -> dict[int, P]:
        """Check what NEMO gave, by id; what is wrong with one does not concern the others."""
        found: dict[int, P] = {}
        for one in objects:
            try:
                read = model.model_validate(one)
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                where = ".".join(map(str, first["loc"])) or "object"
                number = one.get("id", "?") if isinstance(one, dict) else "?"
                problems.append(
                    EntryProblem(f"{self.name} {endpoint}/{number}", f"{where}: {first['msg']}")
                )
            else:
                found[read.id] = read
        return found

    def _named(self, entry: Any) -> Any:
        if isinstance(entry, EntryProblem):
            return EntryProblem(f"{self.name} {entry.entry}", entry.problem)
        return entry

    def _began(self, event: payload.UsageEvent) -> datetime:
        return self._moment(event.start)

    def _moment(self, text: str | None) -> datetime:
        """Read an instant to compare; an unreadable one is reported when it is mapped."""
        try:
            return self._settings.read(text or "")
        except ValueError:
            return datetime.now(UTC)


def _tools(name: str, instruments: Mapping[str, InstrumentEntry]) -> dict[int, InstrumentEntry]:
    tools: dict[int, InstrumentEntry] = {}
    for instrument in instruments.values():
        if instrument.calendar != name:
            continue
        if not instrument.calendar_id.isdecimal():
            raise SettingsError(
                f"instrument {instrument.pid}: calendar_id = {instrument.calendar_id!r} must be the"
                f" number of its tool in {name}"
            )
        tools[int(instrument.calendar_id)] = instrument
    return tools


def _ids(objects: Iterable[Any]) -> set[int]:
    ids = (one.get("id") for one in objects if isinstance(one, dict))
    return {number for number in ids if isinstance(number, int)}


def _joined(numbers: Iterable[int]) -> str:
    return ",".join(map(str, sorted(numbers)))
