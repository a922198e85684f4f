"""The calls of CDCS's REST API that we need, as a CDCS 2.18 core answers them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx
from pydantic import TypeAdapter

from nexuslims_shared.network import Network
from nexuslims_uploader.answers import error_text
from nexuslims_uploader.cdcs.settings import CdcsSettings
from nexuslims_uploader.cdcs.shapes import (
    Blob,
    Data,
    Id,
    Page,
    Task,
    Template,
    User,
    Workspace,
)
from nexuslims_uploader.destination import UploadResult
from nexuslims_uploader.http import Api, open_client
from nexuslims_uploader.peer import Peer

_RECORDS: Final = re.compile(r"rest/(admin/)?data/(\d+/)?$")
_REFUSALS: Final = re.compile(
    r"""
      Element\ '                               # lxml about a record: its schema
    | ,\ line\ \d+(,\ column\ \d+)?(\ \(<string>,\ line\ \d+\))?$   # its syntax
    | invalid\ input\ syntax\ for\ type\ json  # PostgreSQL about its values
    | too\ long\ for\ tsvector
    | Could\ not\ derive\ file\ name           # CDCS about its title
    | PID\ already\ defined
    """,
    re.VERBOSE,
)
"""What stands in a 500 that the same record would get again; others are the server's trouble."""


_DATA = TypeAdapter(Data)
_MANY_DATA = TypeAdapter(list[Data])
_PAGE = TypeAdapter(Page)
_TASK = TypeAdapter(Task)
_WORKSPACES = TypeAdapter(list[Workspace])
_TEMPLATES = TypeAdapter(list[Template])
_USER = TypeAdapter(User)
_USERS = TypeAdapter(list[User])
_BLOB = TypeAdapter(Blob)
_BLOBS = TypeAdapter(list[Blob])


@dataclass(frozen=True, slots=True)
class Place:
    """Ids of the template's current version and of the workspace, if records go to one."""

    template: Id
    workspace: Id | None


class CdcsClient:
    """A connection to one CDCS; every method raises as :meth:`nexuslims_uploader.http.Api.send`.

    Parameters
    ----------
    settings
        Where it is, and how to get in.
    network
        How servers are reached; read from the settings if not given.
    """

    def __init__(self, settings: CdcsSettings, network: Network | None = None) -> None:
        token = settings.token.get_secret_value()
        headers = {"Authorization": f"Token {token}"}
        peer = Peer("cdcs", "NX_CDCS_URL", "NX_CDCS_TOKEN", (token,))
        client = open_client(settings.url, headers=headers, network=network)
        self.api = Api(client, peer, refusal=_refusal)
        self._url = settings.url

    def result(self, record: Id) -> UploadResult:
        """Say where a record is: its id, and the page for people."""
        return UploadResult(str(record), f"{self._url}data?id={record}")

    async def templates(self, title: str, session: str) -> list[Template]:
        """Return the templates with a title that may be used.

        Parameters
        ----------
        title
            Of the template.
        session
            Token of the session it is about; empty for none.
        """
        path = "rest/template-version-manager/global/"
        found = await self.api.read(
            _TEMPLATES, "GET", path, session=session, params={"title": title}
        )
        return [one for one in found if one.title == title and not one.is_disabled]

    async def workspaces(self, session: str) -> list[Workspace]:
        """Return the workspaces that we see."""
        return await self.api.read(
            _WORKSPACES, "GET", "rest/workspace/read_access/", session=session
        )

    async def find(self, titles: Sequence[str], session: str) -> list[Data]:
        """Return the records with one of these titles, oldest first; titles are not unique.

        Parameters
        ----------
        titles
            Any of these.
        session
            Token of the session it is about; empty for none.
        """
        return await self._query({"query": {}, "title": {"$in": list(titles)}}, session)

    async def find_content(self, content: Mapping[str, Any], session: str) -> list[Data]:
        """Return the records that contain something, oldest first.

        Parameters
        ----------
        content
            A query of paths like ``Experiment.summary.@ref`` and their values, in MongoDB's
            language. CDCS has made numbers of the texts that look like one.
        session
            Token of the session it is about; empty for none.
        """
        return await self._query({"query": dict(content)}, session)

    async def _query(self, query: dict[str, Any], session: str) -> list[Data]:
        found = await self.api.read(
            _MANY_DATA,
            "POST",
            "rest/data/query/",
            session=session,
            repeatable=True,
            json={**query, "all": "true"},
        )
        return sorted(found, key=lambda data: (len(str(data.id)), str(data.id)))

    async def get(self, record: str, session: str) -> Data | None:
        """Return a record by its id, None if it is gone.

        Parameters
        ----------
        record
            Number of the record.
        session
            Token of the session it is about; empty for none.
        """
        path = f"rest/data/{record}/"
        response = await self.api.send_unless_gone("GET", path, session=session)
        return None if response is None else self.api.shaped(_DATA, response, session=session)

    async def create(
        self, title: str, xml: str, place: Place, owner: Id | None, session: str
    ) -> Data:
        """Make a record, at once in its workspace and with its owner (None: the token's).

        Parameters
        ----------
        title
            Of the record.
        xml
            The content.
        place
            Template and workspace.
        owner
            Number of the account it will belong to; the token's own if not given.
        session
            Token of the session it is about.
        """
        document = {"template": place.template, "title": title, "xml_content": xml}
        if place.workspace is not None:
            document["workspace"] = place.workspace
        path = "rest/data/"
        if owner is not None:
            path, document["user_id"] = "rest/admin/data/", str(owner)
        return await self.api.read(_DATA, "POST", path, session=session, json=document)

    async def change(self, record: Id, title: str, xml: str, session: str) -> None:
        """Give a record its title and another content.

        Parameters
        ----------
        record
            Number of the record.
        title
            Of the record.
        xml
            The content.
        session
            Token of the session it is about.
        """
        document = {"title": title, "xml_content": xml}
        await self.api.send("PATCH", f"rest/data/{record}/", session=session, json=document)

    async def owned(self, title: str, session: str) -> list[Data]:
        """Return the records with a title that belong to the token's own account.

        Parameters
        ----------
        title
            Of the records.
        session
            Token of the session it is about.
        """
        found = await self.api.read(
            _PAGE, "GET", "rest/data/", session=session, params={"title": title}
        )
        return found.results

    async def change_owner(self, record: Id, owner: Id, session: str) -> None:
        """Give a record to another account; wants a superuser's token.

        Parameters
        ----------
        record
            Number of the record.
        owner
            Number of the account.
        session
            Token of the session it is about.
        """
        await self.api.send("PATCH", f"rest/data/{record}/change-owner/{owner}", session=session)

    async def begin_migration(self, record: Id, template: Id, session: str) -> str:
        """Have CDCS put a record under another version of its template; wants a superuser's token.

        Returns the number of the task that does it, after CDCS has found the record to be valid.

        Parameters
        ----------
        record
            Number of the record.
        template
            Number of the template's version.
        session
            Token of the session it is about.
        """
        path = f"rest/data/template/{template}/migrate/"
        return str(await self.api.json("POST", path, session=session, json={"data": [str(record)]}))

    async def migration(self, task: str, session: str) -> str:
        """Return the state of such a task, in Celery's words, such as ``PENDING``.

        Parameters
        ----------
        task
            Its number.
        session
            Token of the session it is about.
        """
        path = f"rest/data/migration/task/{task}/progress/"
        return (await self.api.read(_TASK, "GET", path, session=session)).state

    async def assign(self, kind: str, record: Id, workspace: Id, session: str) -> None:
        """Put a record (``data``) or a file (``blob``) into a workspace.

        The path has no final slash in core 2.18, where one is not found; later cores want it.

        Parameters
        ----------
        kind
            ``data`` for a record, ``blob`` for a file.
        record
            Number of the record.
        workspace
            Number of the workspace.
        session
            Token of the session it is about; empty for none.
        """
        path = f"rest/{kind}/{record}/assign/{workspace}"
        response = await self.api.send("PATCH", path, session=session, expected=(301, 404))
        if not response.is_success:
            await self.api.send("PATCH", f"{path}/", session=session)

    async def delete(self, kind: str, record: Id, session: str) -> None:
        """Remove a record or a file; one that is gone already is well.

        Parameters
        ----------
        kind
            ``data`` for a record, ``blob`` for a file.
        record
            Number of the record.
        session
            Token of the session it is about; empty for none.
        """
        await self.api.send_unless_gone("DELETE", f"rest/{kind}/{record}/", session=session)

    async def users(self, session: str) -> list[User]:
        """Return all accounts; wants a superuser's token."""
        return await self.api.read(_USERS, "GET", "rest/user/", session=session)

    async def add_user(self, username: str, password: str, session: str) -> User:
        """Make an account.

        Parameters
        ----------
        username
            Name of the account.
        password
            Its password.
        session
            Token of the session it is about; empty for none.
        """
        names = {"username": username, "email": "", "first_name": "", "last_name": ""}
        return await self.api.read(
            _USER, "POST", "rest/user/", session=session, json={**names, "password": password}
        )

    async def blobs(self, filename: str, session: str) -> list[Blob]:
        """Return our files with a name.

        Parameters
        ----------
        filename
            Name of the file.
        session
            Token of the session it is about; empty for none.
        """
        found = await self._blobs(session, {"filename": filename})
        return [one for one in found if one.filename == filename]

    async def blobs_below(self, prefix: str, session: str) -> list[Blob]:
        """Return our files whose names begin so; asks for the list of all.

        Parameters
        ----------
        prefix
            Beginning of the file's name.
        session
            Token of the session it is about; empty for none.
        """
        found = await self._blobs(session, {})
        return [one for one in found if one.filename.startswith(prefix)]

    async def _blobs(self, session: str, params: dict[str, str]) -> list[Blob]:
        return await self.api.read(_BLOBS, "GET", "rest/blob/", session=session, params=params)

    async def blob_content(self, blob: Id, session: str) -> bytes:
        """Return the bytes of a file.

        Parameters
        ----------
        blob
            Number of the file.
        session
            Token of the session it is about; empty for none.
        """
        path = f"rest/blob/download/{blob}/"
        return (await self.api.send("GET", path, session=session)).content

    async def add_blob(self, filename: str, content: bytes, session: str) -> Blob:
        """Make a file.

        Parameters
        ----------
        filename
            Name of the file.
        content
            The bytes.
        session
            Token of the session it is about; empty for none.
        """
        files = {"blob": (filename, content)}
        return await self.api.read(_BLOB, "POST", "rest/blob/", session=session, files=files)

    async def link_blob(self, blob: Id, record: Id, session: str) -> None:
        """Say which record a file belongs to.

        Parameters
        ----------
        blob
            Number of the file.
        record
            Number of the record.
        session
            Token of the session it is about; empty for none.
        """
        await self.api.send("POST", f"rest/blob/{blob}/metadata/{record}/", session=session)


def _refusal(response: httpx.Response) -> str:
    text = error_text(response)
    writes = response.request.method in ("POST", "PATCH")
    about_a_record = writes and _RECORDS.search(response.request.url.path)
    return text if about_a_record and _REFUSALS.search(text) else ""
