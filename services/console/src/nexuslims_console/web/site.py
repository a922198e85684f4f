"""What the pages are made from: the read model, the archive, the broker, and who is called what."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import nats.errors

from nexuslims_console.archive.search import Archive
from nexuslims_console.archive.tables import ArchiveDatabase
from nexuslims_console.database import Database
from nexuslims_console.lists import SessionLists
from nexuslims_console.probes import Readiness
from nexuslims_console.queries import ReadModel
from nexuslims_console.web.in_time import PATIENCE_S, Questions, in_time
from nexuslims_console.web.pictures import Pictures
from nexuslims_console.web.settings import ConsoleSettings
from nexuslims_shared.context import ServiceContext
from nexuslims_shared.errors import BrokerUnavailableError
from nexuslims_shared.people import People
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.session.state import SessionState

AWAY: Final = (BrokerUnavailableError, nats.errors.Error, OSError)
"""What asking a broker raises that does not answer."""

_REMEMBERED: Final = 2000
"""Files and sessions; some 20 KB each."""


class Names:
    """Names of people, kept in memory for a minute only: who is forgotten is soon forgotten here.

    Parameters
    ----------
    people
        Where names are.
    seconds
        How long one is kept.
    """

    def __init__(self, people: People, seconds: float = 60.0) -> None:
        self._people = people
        self._seconds = seconds
        self._kept: dict[str, tuple[float, str]] = {}
        self._everybody: tuple[float, dict[str, str]] = (0.0, {})

    async def of(self, ids: Iterable[str]) -> Mapping[str, str]:
        """Return names by id, without those that are not known; none if the broker is away."""
        now = time.monotonic()
        wanted = set(ids)
        asked = [one for one in wanted if self._kept.get(one, (0.0, ""))[0] < now]
        try:
            found = await in_time(asyncio.gather(*map(self._people.find, asked)))
        except AWAY:
            return {one: self._kept[one][1] for one in wanted - set(asked) if self._kept[one][1]}
        for one, person in zip(asked, found, strict=True):
            name = person.display if person else ""
            self._kept[one] = (now + self._seconds, name)
        return {one: self._kept[one][1] for one in wanted if self._kept[one][1]}

    async def search(self, text: str) -> list[str]:
        """Return the ids of people whose name has a text in it; nobody if the broker is away."""
        until, names = self._everybody
        if until < time.monotonic():
            try:
                people = await in_time(self._people.everybody())
            except AWAY:
                return []
            names = {one: person.display.casefold() for one, person in people.items() if person}
            self._everybody = (time.monotonic() + self._seconds, names)
        return [one for one, name in names.items() if text.casefold() in name]


@dataclass(frozen=True, slots=True)
class Site:
    """What all pages need.

    Parameters
    ----------
    context
        Settings, events, people, dead letters.
    settings
        The console's own.
    database, archive_database
        The tables.
    model, lists, archive
        Questions to them.
    names
        Of people.
    sessions
        States, with the datasets of files; see :meth:`open_session`.
    pictures
        Of sessions' activities.
    openings, services
        Sessions that are being opened, and services that are asked whether they are ready.
    """

    context: ServiceContext
    settings: ConsoleSettings
    database: Database
    archive_database: ArchiveDatabase
    model: ReadModel
    lists: SessionLists
    archive: Archive
    names: Names
    sessions: SessionRepository
    pictures: Pictures
    openings: Questions[SessionState] = field(default_factory=Questions)
    services: Questions[Readiness] = field(default_factory=Questions)

    async def position(self) -> int:
        """Return how far the tables are that pages are made from; it changes when they do."""
        return await asyncio.to_thread(self._position)

    async def open_session(
        self, session: str, *, through: int = 0, patience: float = PATIENCE_S
    ) -> SessionState:
        """Return the state of a session, if it is open in time; if not, it is for the next page.

        Parameters
        ----------
        session, through
            As for :meth:`~nexuslims_shared.session.repository.SessionRepository.open`.
        patience
            Seconds to wait.

        Raises
        ------
        BrokerUnavailableError
            If the broker does not answer in time.
        UndecodableError
            If an event of the session cannot be read.
        """
        opening = partial(self.sessions.open, session, through=through)
        return await self.openings.ask(session, opening, patience)

    def _position(self) -> int:
        sessions, archive = self.model.position().positions, self.archive.positions()
        return sessions.messages + archive.messages


def make_site(
    context: ServiceContext,
    settings: ConsoleSettings,
    database: Database,
    archive_database: ArchiveDatabase,
) -> Site:
    """Return what the pages are made from.

    Parameters
    ----------
    context
        Settings, events, people, dead letters.
    settings
        The console's own.
    database, archive_database
        The tables.
    """
    return Site(
        context=context,
        settings=settings,
        database=database,
        archive_database=archive_database,
        model=ReadModel(database),
        lists=SessionLists(database),
        archive=Archive(archive_database),
        names=Names(context.people),
        sessions=SessionRepository(
            context.store, datasets=True, skip_unreadable=True, capacity=_REMEMBERED
        ),
        pictures=Pictures(context.settings.records),
    )
