"""Where in a CDCS records go: the template, the workspace and the owner, found by their names."""

import asyncio
import re
import secrets
import time
from typing import Final

from nexuslims_uploader.cdcs.client import CdcsClient, Place
from nexuslims_uploader.cdcs.settings import CdcsSettings
from nexuslims_uploader.cdcs.shapes import Id
from nexuslims_uploader.errors import MisconfiguredError, RefusedError

_FRESH_S: Final = 300.0
"""How long ids are used before they are asked for again: administrators change them rarely."""


class Places:
    """Finds ids by names, and remembers them for a while."""

    def __init__(self, client: CdcsClient, settings: CdcsSettings) -> None:
        self._client = client
        self._settings = settings
        self._place: Place | None = None
        self._until = 0.0
        self._asking = asyncio.Lock()
        self._users: dict[str, Id] = {}
        self._superuser: bool | None = None

    async def place(self, session: str, *, anew: bool = False) -> Place:
        """Return where records go.

        Parameters
        ----------
        session
            Whose record asks.
        anew
            Ask again: what was remembered is no longer there.

        Raises
        ------
        MisconfiguredError
            If the template or the workspace is not there, or there are several.
        """
        async with self._asking:
            if self._place is None or anew or time.monotonic() > self._until:
                self._place = Place(await self._template(session), await self._workspace(session))
                self._until = time.monotonic() + _FRESH_S
                self._superuser = None
            return self._place

    async def is_superuser(self, session: str) -> bool:
        """Tell whether the token is a superuser's, who may do more with records.

        Parameters
        ----------
        session
            Whose record asks; empty for none.
        """
        if self._superuser is None:
            try:
                await self._learn_users(session)
            except MisconfiguredError:
                self._superuser = False
            else:
                self._superuser = True
        return self._superuser

    async def account(self, experimenters: tuple[str, ...], session: str) -> Id | None:
        """Return the account that a record is to belong to; None if there is none yet.

        Parameters
        ----------
        experimenters
            As the record names them.
        session
            Token of the session it is about; empty for none.
        """
        username = self._username(experimenters)
        if username and username not in self._users:
            await self._learn_users(session)
        return self._users.get(username)

    async def owner(self, experimenters: tuple[str, ...], session: str) -> Id | None:
        """Return the account of a record's first experimenter; None for the token's own.

        The account is made if there is none, as the incumbent does; nobody knows its password.

        Parameters
        ----------
        experimenters
            As the record names them.
        session
            Token of the session it is about; empty for none.
        """
        there = await self.account(experimenters, session)
        username = self._username(experimenters)
        if there is None and username:
            await self._make_user(username, session)
        return self._users.get(username)

    def _username(self, experimenters: tuple[str, ...]) -> str:
        """Return whose a record is to be; empty if it is to be the token's."""
        is_theirs = self._settings.user_owned_records and bool(experimenters)
        return username_of(experimenters[0]) if is_theirs else ""

    async def _template(self, session: str) -> Id:
        title = self._settings.template
        found = [one.current for one in await self._client.templates(title, session)]
        return self._only(found, f"NX_CDCS_TEMPLATE='{title}'", "template", session)

    async def _workspace(self, session: str) -> Id | None:
        if not self._settings.assign_to_public_workspace:
            return None
        title = self._settings.workspace
        workspaces = await self._client.workspaces(session)
        found = [one.id for one in workspaces if one.title == title]
        return self._only(found, f"NX_CDCS_WORKSPACE='{title}'", "workspace", session)

    def _only(self, found: list[Id], setting: str, kind: str, session: str) -> Id:
        if len(found) == 1:
            return found[0]
        raise self._client.api.peer.misconfigured(
            f"{len(found) or 'no'} {kind}{'s' if found else ''} of this title there: {setting}",
            session,
            f"give the title of one global {kind} that the token's owner may use, then retry",
        )

    async def _learn_users(self, session: str) -> None:
        self._users = {user.username: user.id for user in await self._client.users(session)}

    async def _make_user(self, username: str, session: str) -> None:
        try:
            user = await self._client.add_user(username, secrets.token_urlsafe(32), session)
        except RefusedError:
            await self._learn_users(session)  # another uploader may have made it meanwhile
            if username not in self._users:
                raise
        else:
            self._users[username] = user.id


def username_of(experimenter: str) -> str:
    """Return the username in a record's ``First Last (username)``, which may be all there is."""
    found = re.search(r"\(([^()]+)\)$", experimenter)
    return found[1] if found else experimenter
