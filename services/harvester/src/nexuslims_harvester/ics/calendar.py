"""The iCalendar as a calendar of the facility."""

import asyncio
from collections.abc import Mapping
from typing import Final

import httpx

from nexuslims_harvester.calendar import Entries, EntryProblem, Window
from nexuslims_harvester.consent import ConsentReader
from nexuslims_harvester.errors import CalendarUnavailableError
from nexuslims_harvester.ics.entries import Places, Wanted, parse_ics
from nexuslims_harvester.ics.settings import IcsSettings, read_ics_settings
from nexuslims_harvester.watch import WatchedFile
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.instruments import InstrumentEntry
from nexuslims_shared.network import Network, tls_context
from nexuslims_shared.settings import Settings, read

LONGEST: Final = 64 * 2**20
"""Bytes of an iCalendar; ten busy years of a facility have a tenth of that."""
_TIMEOUT: Final = httpx.Timeout(30.0, connect=10.0)


class IcsCalendar:
    """Sessions in an ``.ics`` file, read when it changes, or at an address, asked every time.

    Times without a zone, and whole days, are in the instrument's zone.

    Parameters
    ----------
    name
        ``ics-1`` has the settings ``NX_ICS_..._1``.
    settings
        What is consent.
    instruments
        All of the facility, by pid; entries are about those that name this calendar.
    transport
        Another way to its server, for tests.

    Raises
    ------
    SettingsError
        If a setting is missing or wrong.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        instruments: Mapping[str, InstrumentEntry],
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.name = name
        self._consent = ConsentReader.accepting(settings.consent_answers)
        self._number = name.rpartition("-")[2] if "-" in name else "1"
        self._settings: IcsSettings = read_ics_settings(self._number)
        self._places = Places([one for one in instruments.values() if one.calendar == name])
        self._transport = transport
        self._trust = tls_context(read(Network))
        file = self._settings.file
        self._file = WatchedFile(file) if file is not None else None

    async def entries(self, window: Window) -> Entries:
        """Return the sessions of a window; see the port."""
        content = await self._content()
        first = None if window.oldest else window.since
        since = max(filter(None, (first, self._settings.since)), default=None)
        wanted = Wanted(
            self._places,
            Window(since, window.until),
            self._consent,
            everybody_consents=self._settings.consent == "all",
        )
        try:
            return await asyncio.to_thread(parse_ics, content, wanted)
        except ValueError as error:
            reason = str(error).splitlines()[0][:200]
            return [EntryProblem("the whole calendar", f"is no iCalendar: {reason}: correct it")]

    async def changed(self) -> None:
        """Return when the file has changed; never, if the calendar is at an address."""
        await (asyncio.Event().wait() if self._file is None else self._file.changed())

    async def _content(self) -> bytes:
        if self._file is None:
            return await self._download()
        try:
            return await asyncio.to_thread(self._file.read)
        except OSError as error:
            raise self._away(f"{self._file.path}: {error.strerror}") from error

    async def _download(self) -> bytes:
        """Fetch the calendar; its address is in no message, because it may hold a key."""
        address = self._read_address_again()
        try:
            async with (
                httpx.AsyncClient(
                    timeout=_TIMEOUT, transport=self._transport, verify=self._trust
                ) as client,
                client.stream("GET", address, follow_redirects=True) as answer,
            ):
                if not answer.is_success:
                    raise self._away(f"the server answers {answer.status_code}")
                content = bytearray()
                async for chunk in answer.aiter_bytes():
                    content += chunk
                    if len(content) > LONGEST:
                        raise self._away(f"it is longer than {LONGEST} bytes")
                return bytes(content)
        except httpx.HTTPError as error:
            raise self._away(f"the server does not answer ({type(error).__name__})") from None

    def _read_address_again(self) -> str:
        """Take an address whose key was rotated in its file or in ``.env``."""
        try:
            return read_ics_settings(self._number).address.get_secret_value()
        except SettingsError as error:
            raise self._away(str(error)) from error

    def _away(self, reason: str) -> CalendarUnavailableError:
        return CalendarUnavailableError(
            f"calendar {self.name}: {reason}: check NX_ICS_ADDRESS_{self._number}"
        )
