"""The NEMO calendar: sessions are usage events of the tools that are instruments."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from nexuslims_harvester.calendar import (
    CalendarEntry,
    DeletedEntry,
    Entries,
    EntryProblem,
    Window,
)
from nexuslims_harvester.consent import ConsentReader
from nexuslims_harvester.errors import CalendarUnavailableError, RequestRefusedError
from nexuslims_harvester.nemo import payload
from nexuslims_harvester.nemo.client import NemoClient
from nexuslims_harvester.nemo.directory import Directory, Tools, read_objects
from nexuslims_harvester.nemo.mapping import Facts, place, to_entry
from nexuslims_harvester.nemo.settings import NemoSettings, read_nemo_settings
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.instruments import InstrumentEntry
from nexuslims_shared.settings import Settings

_USAGE: Final = "usage-"
_MOVED: Final = "it was moved to a tool that is no instrument"
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
        self._number = number
        self._settings = read_nemo_settings(number)
        self._client = connect(name, number, self._settings)
        self._directory = Directory(name, _tools(name, instruments))
        self._unusable: set[int] = set()
        """Usage events that could not be used: they are asked for until they can be."""

    async def entries(self, window: Window) -> Entries:
        """Return the sessions of a window; see the port."""
        self._read_settings_again()
        if window.sweep and window.oldest:
            self._directory.forget()
        tools_are_old = self._directory.knows_tools
        async with self._client:
            try:
                return await self._entries(window)
            except RequestRefusedError:
                if not tools_are_old:
                    raise
                self._directory.forget_tools()  # one that vanished makes NEMO refuse all
                return await self._entries(window)

    async def changed(self) -> None:
        """Never return: NEMO cannot tell."""
        await asyncio.Event().wait()

    def _read_settings_again(self) -> None:
        """Take a token that was rotated in its file or in ``.env``."""
        try:
            self._settings = read_nemo_settings(self._number)
        except SettingsError as error:
            raise CalendarUnavailableError(str(error)) from error
        self._client.use(self._settings)

    async def _entries(self, window: Window) -> Entries:
        problems: Entries = []
        tools = await self._directory.tools(self._client, problems)
        if not tools.instruments:
            return problems
        since = self._since(window)
        objects = await self._usage(tools, window, since)
        deleted = await self._missing(tools, window, objects)
        events = self._events(tools, objects, problems)
        facts = await self._facts(tools, events, since, problems)
        # in a thread: of a hundred thousand events it takes seconds, and others are to be heard
        entries = await asyncio.to_thread(lambda: [to_entry(event, facts) for event in events])
        self._note_unusable(tools, objects, entries)
        return [*problems, *(self._named(entry) for entry in entries), *deleted]

    def _since(self, window: Window) -> datetime:
        first = self._settings.since
        if window.since is None:
            return first or window.until - FIRST_LOOK
        return min(first, window.since) if first and window.oldest else window.since

    async def _usage(self, tools: Tools, window: Window, since: datetime) -> list[Any]:
        begun = {
            "tool_id__in": _joined(tools.instruments),
            "start__lt": self._settings.written(window.until),
        }
        ended = {"end__gte": self._settings.written(since)}
        objects = await self._client.all("usage_events", {**begun, **ended})
        if not window.sweep:
            objects += await self._client.all("usage_events", {**begun, "end__isnull": "true"})
        return objects

    async def _missing(
        self, tools: Tools, window: Window, objects: list[Any]
    ) -> list[DeletedEntry]:
        """Ask by number for expected events that are missing; add those that were only moved.

        Those of an instrument that is none any more, or whose tool vanished, are left alone.
        """
        ours = {one.pid for one in tools.instruments.values()}
        expected = {
            int(number)
            for one, pid in window.expected.items()
            if pid in ours and (number := one.removeprefix(_USAGE)).isdecimal()
        }
        absent = expected - _ids(objects)
        found = await self._client.by_ids("usage_events", sorted(absent | self._unusable))
        known = _ids(objects)
        objects += [one for one in found if _ids([one]) - known]
        if not all(_ids([one]) for one in objects):
            return []  # one whose number cannot be read may be the one
        moved = absent & _ids(one for one in found if not _may_be_of(one, tools))
        return [
            *(DeletedEntry(f"{_USAGE}{number}") for number in sorted(absent - _ids(found))),
            *(DeletedEntry(f"{_USAGE}{number}", _MOVED) for number in sorted(moved)),
        ]

    def _note_unusable(
        self, tools: Tools, objects: Iterable[Any], entries: Iterable[CalendarEntry | EntryProblem]
    ) -> None:
        """Keep in mind which events of our tools could not be used."""
        usable = {one.id for one in entries if isinstance(one, CalendarEntry)}
        self._unusable = {
            number
            for number in _ids(one for one in objects if _may_be_of(one, tools))
            if f"{_USAGE}{number}" not in usable
        }

    def _events(
        self, tools: Tools, objects: Iterable[Any], problems: Entries
    ) -> list[payload.UsageEvent]:
        events = read_objects(self.name, payload.UsageEvent, "usage_events", objects, problems)
        ours = (event for event in events.values() if event.tool in tools.instruments)
        return sorted(ours, key=lambda event: (self._began(event), event.id))

    async def _facts(
        self,
        tools: Tools,
        events: Sequence[payload.UsageEvent],
        since: datetime,
        problems: Entries,
    ) -> Facts:
        """Ask for what the usage events refer to, all at once, as far as it is not known."""
        if not events:
            return Facts(self._settings, self._consent, tools.instruments)
        users = {who for event in events for who in (event.user, event.operator) if who is not None}
        projects = {event.project for event in events if event.project is not None}
        known_users = await self._directory.users.among(self._client, users, problems)
        known_projects = await self._directory.projects.among(self._client, projects, problems)
        objects = await self._reservations(tools, events, since)
        reservations = read_objects(
            self.name, payload.Reservation, "reservations", objects, problems
        )
        bookings, wrong = place(reservations.values(), self._settings, tools.families)
        problems += [self._named(problem) for problem in wrong]
        return Facts(
            self._settings,
            self._consent,
            tools.instruments,
            known_users,
            known_projects,
            bookings,
            tools.families,
        )

    async def _reservations(
        self, tools: Tools, events: Sequence[payload.UsageEvent], since: datetime
    ) -> list[Any]:
        """Ask for the bookings that may overlap one of the usage events.

        A session that somebody forgot to end is as old as may be: of then, only the bookings of
        its user are asked for, not everybody's since.
        """
        old = [event for event in events if self._began(event) < since - LONG]
        recent = [event for event in events if self._began(event) >= since - LONG]
        found: list[Any] = []
        if recent:
            found += await self._client.all("reservations", self._overlapping(tools, recent))
        if old:
            users = {"user_id__in": _joined({event.user for event in old})}
            query = {**self._overlapping(tools, old), **users}
            found += await self._client.all("reservations", query)
        return found

    def _overlapping(self, tools: Tools, events: Sequence[payload.UsageEvent]) -> dict[str, str]:
        query = {
            "tool_id__in": _joined(tools.relatives(event.tool for event in events)),
            "cancelled": "False",
            "end__gt": self._settings.written(min(map(self._began, events))),
        }
        ends = [self._moment(event.end) for event in events if event.end is not None]
        if len(ends) == len(events):
            query["start__lt"] = self._settings.written(max(ends) + timedelta(seconds=1))
        return query

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


def _may_be_of(one: Any, tools: Tools) -> bool:
    """Tell whether a usage event is of one of our tools, or its tool cannot be read."""
    tool = one.get("tool") if isinstance(one, dict) else None
    return not isinstance(tool, int) or tool in tools.instruments


def _joined(numbers: Iterable[int]) -> str:
    return ",".join(map(str, sorted(numbers)))
