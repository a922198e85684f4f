"""The calls of LabArchives' API that we need.

References
----------
There is no public API document. Calls that write anew and read are as the incumbent makes them;
those that change an entry or move a page are as public clients of LabArchives make them
(``entries/update_entry``, ``entries/update_attachment``, ``tree_tools/update_node``).
"""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import httpx

from nexuslims_shared.network import Network
from nexuslims_uploader.answers import is_page
from nexuslims_uploader.destination import UploadResult
from nexuslims_uploader.errors import UploadError
from nexuslims_uploader.http import Api, open_client
from nexuslims_uploader.labarchives import replies
from nexuslims_uploader.labarchives.replies import Entry, Node
from nexuslims_uploader.labarchives.settings import LabarchivesSettings
from nexuslims_uploader.labarchives.signature import SignedTurns
from nexuslims_uploader.notebook import COMMENT
from nexuslims_uploader.peer import Peer

if TYPE_CHECKING:
    from lxml.etree import _Element

ROOT: Final = "0"
_NO_PERMISSION: Final = frozenset({"4501", "4502"})
_EXPIRED: Final = "4504"
_NOT_LET_IN: Final = frozenset({"4506", "4507", "4514", "4520", "4533"})
_ACCESS: Final = "NX_LABARCHIVES_ACCESS_KEY_ID, _ACCESS_PASSWORD and _USER_ID"


class LabarchivesClient:
    """A connection to one LabArchives; methods raise as :meth:`nexuslims_uploader.http.Api.send`.

    Calls are made one after the other, with a pause between them.

    Parameters
    ----------
    settings
        Where it is, and how to get in.
    network
        How servers are reached; read from the settings if not given.
    now
        The time, in seconds since 1970.
    """

    def __init__(
        self,
        settings: LabarchivesSettings,
        network: Network | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        secrets = (settings.access_password, settings.access_key_id, settings.user_id)
        peer = Peer(
            "labarchives",
            "NX_LABARCHIVES_URL",
            _ACCESS,
            tuple(one.get_secret_value() for one in secrets),
        )
        self._turns = SignedTurns(settings, now)
        client = open_client(settings.url, network=network, auth=self._turns)
        self.api = Api(client, peer, complaint=self._complaint)
        self._notebook = settings.notebook_id.get_secret_value()
        self._pages = settings.pages_url

    def result(self, page: str) -> UploadResult:
        """Say where a page is: its id, and its address for people."""
        return UploadResult(page, f"{self._pages}#/{self._notebook}/{page}")

    async def rest(self) -> None:
        """Wait until the next call may be made, by whomever."""
        await self._turns.rest()

    async def notebooks(self) -> dict[str, str]:
        """Return the names of the account's notebooks, by id."""
        return replies.notebooks(await self._read("GET", "users/user_info_via_id", session=""))

    async def level(self, parent: str, session: str) -> list[Node]:
        """Return what is in a folder.

        Parameters
        ----------
        parent
            Id of the folder.
        session
            Token of the session it is about; empty for none.
        """
        params = {"nbid": self._notebook, "parent_tree_id": parent}
        return replies.nodes(
            await self._read("GET", "tree_tools/get_tree_level", session=session, params=params)
        )

    async def insert(self, parent: str, name: str, session: str, *, folder: bool) -> str:
        """Make a folder or a page, and return its id. Twice is two.

        Parameters
        ----------
        parent
            Id of the folder.
        name
            The name.
        session
            Token of the session it is about; empty for none.
        folder
            Whether to make a folder, and not a page.
        """
        params = {
            "nbid": self._notebook,
            "parent_tree_id": parent,
            "display_text": name,
            "is_folder": "true" if folder else "false",
        }
        return await self._make(
            "tree-id", "GET", "tree_tools/insert_node", session=session, params=params
        )

    async def rename(self, page: str, name: str, session: str) -> None:
        """Give a page another name.

        Parameters
        ----------
        page
            Id of the page.
        name
            The name.
        session
            Token of the session it is about; empty for none.
        """
        await self._update_node(page, session, display_text=name)

    async def move(self, page: str, parent: str, session: str) -> None:
        """Move a page to another folder.

        Parameters
        ----------
        page
            Id of the page.
        parent
            Id of the folder.
        session
            Token of the session it is about; empty for none.
        """
        await self._update_node(page, session, parent_tree_id=parent)

    async def entries(self, page: str, session: str) -> list[Entry]:
        """Return what is on a page, with its texts.

        Parameters
        ----------
        page
            Id of the page.
        session
            Token of the session it is about; empty for none.
        """
        params = {"nbid": self._notebook, "page_tree_id": page, "entry_data": "true"}
        return replies.entries(
            await self._read(
                "GET", "tree_tools/get_entries_for_page", session=session, params=params
            )
        )

    async def write(self, page: str, html: str, session: str) -> str:
        """Add a text to a page, and return its id. Twice is two.

        Parameters
        ----------
        page
            Id of the page.
        html
            The text.
        session
            Token of the session it is about; empty for none.
        """
        form = {
            "nbid": self._notebook,
            "pid": page,
            "part_type": "text entry",
            "entry_data": html,
        }
        return await self._make("eid", "POST", "entries/add_entry", session=session, data=form)

    async def rewrite(self, entry: str, html: str, session: str) -> None:
        """Put another text in the place of one; LabArchives keeps the former as a version.

        Parameters
        ----------
        entry
            Id of the entry.
        html
            The text.
        session
            Token of the session it is about; empty for none.
        """
        await self._read(
            "POST",
            "entries/update_entry",
            session=session,
            repeatable=True,
            params={"eid": entry},
            data={"entry_data": html},
        )

    async def attach(self, page: str, name: str, content: bytes, session: str) -> str:
        """Attach a file to a page, and return its id. Twice is two.

        Parameters
        ----------
        page
            Id of the page.
        name
            The name.
        content
            The bytes.
        session
            Token of the session it is about; empty for none.
        """
        params = {"nbid": self._notebook, "pid": page, **_file(name)}
        return await self._make(
            "eid",
            "POST",
            "entries/add_attachment",
            session=session,
            params=params,
            content=content,
            headers=_BYTES,
        )

    async def replace(self, entry: str, name: str, content: bytes, session: str) -> None:
        """Put another file in the place of one; LabArchives keeps the former as a version.

        Parameters
        ----------
        entry
            Id of the entry.
        name
            The name.
        content
            The bytes.
        session
            Token of the session it is about; empty for none.
        """
        await self._read(
            "POST",
            "entries/update_attachment",
            session=session,
            repeatable=True,
            params={"eid": entry, **_file(name)},
            content=content,
            headers=_BYTES,
        )

    async def content(self, entry: str, session: str) -> bytes:
        """Return the bytes of a file.

        Parameters
        ----------
        entry
            Id of the entry.
        session
            Token of the session it is about; empty for none.
        """
        response = await self.api.send(
            "GET", "entries/entry_attachment", session=session, params={"eid": entry}
        )
        return response.content

    def still_there(self, page: str, session: str) -> UploadError:
        """Make the error of a page that was moved and is not.

        Parameters
        ----------
        page
            Id of the page.
        session
            Token of the session it is about; empty for none.
        """
        address = self.result(page).url
        return self.api.peer.refused(
            f"page {page} is where it was, after it was moved", session, f"move {address} by hand"
        )

    async def _update_node(self, page: str, session: str, **changes: str) -> None:
        params = {"nbid": self._notebook, "tree_id": page, **changes}
        await self._read("GET", "tree_tools/update_node", session=session, params=params)

    async def _make(
        self, element: str, method: str, path: str, session: str, **content: Any
    ) -> str:
        """Make something: never repeated blindly, also where LabArchives wants it by GET."""
        root = await self._read(method, path, session=session, repeatable=False, **content)
        made = replies.new_id(root, element)
        if not made:
            raise self.api.peer.transient(
                f"the answer to {path} does not say what was made", session
            )
        return made

    async def _read(self, method: str, path: str, *, session: str, **content: Any) -> "_Element":
        response = await self.api.send(method, path, session=session, **content)
        try:
            return await asyncio.to_thread(replies.parse, response.content)
        except replies.UnreadableReplyError as error:
            if is_page(response):
                raise self.api.peer.misconfigured(
                    f"a web page instead of XML answers {method} {path}",
                    session,
                    "NX_LABARCHIVES_URL must be the address of the API, with /api",
                ) from error
            raise self.api.peer.transient(
                f"the answer to {method} {path} is damaged XML ({error})", session
            ) from error

    def _complaint(self, response: httpx.Response, session: str) -> UploadError | None:
        """Read an error out of an answer of any status."""
        error = replies.complaint(response.content)
        if error is None:
            return None
        asked = f"{response.request.method} {response.request.url.path}"
        answer = f"{asked} was answered with error {error.code}: {error.text}"
        if error.code == _EXPIRED:
            remedy = "set this machine's clock: LabArchives takes signatures of this minute only"
            return self.api.peer.transient(answer, session, remedy)
        if error.code in _NO_PERMISSION:
            remedy = "let NX_LABARCHIVES_USER_ID write in NX_LABARCHIVES_NOTEBOOK_ID, then retry"
            return self.api.peer.misconfigured(answer, session, remedy)
        if error.code in _NOT_LET_IN:
            return self.api.peer.misconfigured(answer, session, f"correct {_ACCESS}, then retry")
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            return self.api.peer.transient(answer, session)
        remedy = "see whether NX_LABARCHIVES_URL is right, with /api, and what it names; then retry"
        return self.api.peer.refused(answer, session, remedy)


_BYTES: Final = {"Content-Type": "application/octet-stream"}


def _file(name: str) -> dict[str, str]:
    return {"filename": name, "caption": COMMENT, "change_description": "Written by NexusLIMS"}
