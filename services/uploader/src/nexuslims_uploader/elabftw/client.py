"""The calls of eLabFTW's API (version 2) that we need.

References
----------
OpenAPI document of eLabFTW 5.3.6. Answers differ a little between releases: metadata come as text
or as an object, and ``Location`` may name another host than ours.
"""

import json
from html import unescape
from typing import Annotated, Any, Final

import httpx
from pydantic import BaseModel, BeforeValidator, Field, TypeAdapter

from nexuslims_shared.network import Network
from nexuslims_uploader.destination import UploadResult
from nexuslims_uploader.elabftw.settings import ElabftwSettings
from nexuslims_uploader.errors import RefusedError, TransientUploadError
from nexuslims_uploader.http import Api, open_client
from nexuslims_uploader.notebook import COMMENT
from nexuslims_uploader.peer import Peer

_PAGE: Final = 50
_PAGES: Final = 200
_DELETED: Final = 3


def _object(value: Any) -> Any:
    """Read metadata, which come as text; what is none of ours is nothing to us."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


class Experiment(BaseModel):
    """An experiment as eLabFTW holds it."""

    id: int
    title: str = ""
    body: str | None = ""
    state: int = 1
    locked: bool | None = False
    metadata: Annotated[dict[str, Any], BeforeValidator(_object)] = Field(default_factory=dict)

    @property
    def is_deleted(self) -> bool:
        """Whether somebody deleted it: it is still there, out of sight."""
        return self.state == _DELETED

    @property
    def fields(self) -> dict[str, Any]:
        """Its extra fields."""
        fields = self.metadata.get("extra_fields")
        return fields if isinstance(fields, dict) else {}

    @property
    def text(self) -> str:
        """Its text, as people read it, between elements."""
        return unescape(self.body or "")

    def field(self, name: str) -> str:
        """Value of an extra field, empty if there is none."""
        field = self.fields.get(name)
        return str(field.get("value", "")) if isinstance(field, dict) else ""


class Attachment(BaseModel):
    """A file at an experiment."""

    id: int
    real_name: str
    comment: str | None = ""
    hash: str | None = ""
    hash_algorithm: str | None = ""


class Tag(BaseModel):
    """A tag at an experiment."""

    tag: str


class Key(BaseModel):
    """One of our keys."""

    id: int
    can_write: int | bool = 0


_EXPERIMENT = TypeAdapter(Experiment)
_EXPERIMENTS = TypeAdapter(list[Experiment])
_ATTACHMENTS = TypeAdapter(list[Attachment])
_TAGS = TypeAdapter(list[Tag])
_KEYS = TypeAdapter(list[Key])


class ElabftwClient:
    """A connection to one eLabFTW; methods raise as :meth:`nexuslims_uploader.http.Api.send`.

    Parameters
    ----------
    settings
        Where it is, and how to get in.
    network
        How servers are reached; read from the settings if not given.
    """

    def __init__(self, settings: ElabftwSettings, network: Network | None = None) -> None:
        key = settings.api_key.get_secret_value()
        peer = Peer("elabftw", "NX_ELABFTW_URL", "NX_ELABFTW_API_KEY", (key,))
        headers = {"Authorization": key}
        client = open_client(f"{settings.url}api/v2/", headers=headers, network=network)
        self.api = Api(client, peer)
        self._url = settings.url
        self._own = key.partition("-")[0]

    def result(self, number: int) -> UploadResult:
        """Say where an experiment is: its id, and the page for people."""
        return UploadResult(str(number), f"{self._url}experiments.php?mode=view&id={number}")

    def is_locked(self, number: int, session: str) -> RefusedError:
        """Make the error of an experiment that people have locked.

        Parameters
        ----------
        number
            Of the experiment.
        session
            Token of the session it is about; empty for none.
        """
        return self.api.peer.refused(
            f"experiment {number} is locked by a user", session, "unlock it there, then retry"
        )

    def still_there(self, number: int, session: str) -> RefusedError:
        """Make the error of an experiment that does not go away.

        Parameters
        ----------
        number
            Of the experiment.
        session
            Token of the session it is about; empty for none.
        """
        return self.api.peer.refused(
            f"experiment {number} is still shown after it was deleted",
            session,
            "delete it there by hand, then retry",
        )

    def lost(self, number: int, session: str) -> TransientUploadError:
        """Make the error of an experiment that was made, and is not there.

        Parameters
        ----------
        number
            Of the experiment.
        session
            Token of the session it is about; empty for none.
        """
        return self.api.peer.transient(f"experiment {number} was made, and is not there", session)

    async def may_write(self) -> bool:
        """Tell whether our key may write."""
        keys = await self.api.read(_KEYS, "GET", "apikeys", session="")
        return any(key.can_write for key in keys if str(key.id) == self._own)

    async def get(self, number: str, session: str) -> Experiment | None:
        """Return an experiment, None if there is none, or a deleted one.

        Parameters
        ----------
        number
            Of the experiment.
        session
            Token of the session it is about; empty for none.
        """
        found = await self._get(number, session)
        return None if found is None or found.is_deleted else found

    async def _get(self, number: str, session: str) -> Experiment | None:
        response = await self.api.send_unless_gone("GET", f"experiments/{number}", session=session)
        return None if response is None else self.api.shaped(_EXPERIMENT, response, session=session)

    async def search(self, text: str, session: str, *, deleted: bool = False) -> list[Experiment]:
        """Return the experiments, archived ones too, that hold a text, whole and by number.

        Parameters
        ----------
        text
            A word in its title or text.
        session
            Token of the session it is about; empty for none.
        deleted
            Whether to return those that were deleted, and no others.
        """
        states = "3" if deleted else "1,2"
        found: list[Experiment] = []
        for page in range(_PAGES):
            params: dict[str, str | int] = {
                "q": text, "scope": 3, "state": states, "order": "id", "sort": "asc",
                "limit": _PAGE, "offset": page * _PAGE,
            }  # fmt: skip
            some = await self.api.read(
                _EXPERIMENTS, "GET", "experiments", session=session, params=params
            )
            for one in some:
                whole = await self._get(str(one.id), session)
                if whole is not None and whole.is_deleted == deleted:
                    found.append(whole)
            if len(some) < _PAGE:
                break
        return sorted(found, key=lambda one: one.id)

    async def create(self, content: dict[str, Any], session: str) -> int:
        """Make an experiment, and return its number.

        Parameters
        ----------
        content
            Its fields.
        session
            Token of the session it is about; empty for none.
        """
        response = await self.api.send("POST", "experiments", session=session, json=content)
        return self._number(response, session)

    async def change(self, number: int, content: dict[str, Any], session: str) -> Experiment:
        """Change what is given of an experiment; returns it as it is then.

        Parameters
        ----------
        number
            Of the experiment.
        content
            Its fields.
        session
            Token of the session it is about; empty for none.
        """
        path = f"experiments/{number}"
        return await self.api.read(_EXPERIMENT, "PATCH", path, session=session, json=content)

    async def delete(self, number: int, session: str) -> None:
        """Delete an experiment; eLabFTW keeps it out of sight.

        Parameters
        ----------
        number
            Of the experiment.
        session
            Token of the session it is about; empty for none.
        """
        await self.api.send_unless_gone("DELETE", f"experiments/{number}", session=session)

    async def tags(self, number: int, session: str) -> list[str]:
        """Return an experiment's tags.

        Parameters
        ----------
        number
            Of the experiment.
        session
            Token of the session it is about; empty for none.
        """
        tags = await self.api.read(_TAGS, "GET", f"experiments/{number}/tags", session=session)
        return [one.tag for one in tags]

    async def tag(self, number: int, tag: str, session: str) -> None:
        """Add a tag; twice is once.

        Parameters
        ----------
        number
            Of the experiment.
        tag
            The tag.
        session
            Token of the session it is about; empty for none.
        """
        await self.api.send(
            "POST",
            f"experiments/{number}/tags",
            session=session,
            repeatable=True,
            json={"tag": tag},
        )

    async def attachments(
        self, number: int, session: str, *, replaced: bool = False, ours: bool = True
    ) -> list[Attachment]:
        """Return our attachments of an experiment, oldest first; replaced ones if asked for.

        Parameters
        ----------
        number
            Of the experiment.
        session
            Token of the session it is about; empty for none.
        replaced
            Whether to list those that were replaced, too.
        ours
            Return ours; otherwise those that people attached.
        """
        path, states = f"experiments/{number}/uploads", "1,2" if replaced else "1"
        found = await self.api.read(
            _ATTACHMENTS, "GET", path, session=session, params={"state": states}
        )
        wanted = (one for one in found if (one.comment == COMMENT) is ours)
        return sorted(wanted, key=lambda one: one.id)

    async def content(self, number: int, attachment: int, session: str) -> bytes:
        """Return the bytes of an attachment.

        Parameters
        ----------
        number
            Of the experiment.
        attachment
            Number of the attachment.
        session
            Token of the session it is about; empty for none.
        """
        path = f"experiments/{number}/uploads/{attachment}"
        response = await self.api.send("GET", path, session=session, params={"format": "binary"})
        return response.content

    async def attach(
        self,
        number: int,
        name: str,
        content: bytes,
        session: str,
        *,
        instead_of: int | None = None,
        comment: str = COMMENT,
    ) -> None:
        """Attach a file, in the place of another one if there is one.

        Parameters
        ----------
        number
            Of the experiment.
        name
            Name of the file.
        content
            Its fields.
        session
            Token of the session it is about; empty for none.
        instead_of
            Number of the attachment that it replaces; None for none.
        comment
            What the attachment says of itself; ours is known by it.
        """
        path = f"experiments/{number}/uploads" + (f"/{instead_of}" if instead_of else "")
        await self.api.send(
            "POST",
            path,
            session=session,
            files={"file": (name, content, "application/octet-stream"), "comment": (None, comment)},
        )

    async def detach(self, number: int, attachment: int, session: str) -> None:
        """Delete an attachment.

        Parameters
        ----------
        number
            Of the experiment.
        attachment
            Number of the attachment.
        session
            Token of the session it is about; empty for none.
        """
        path = f"experiments/{number}/uploads/{attachment}"
        await self.api.send_unless_gone("DELETE", path, session=session)

    def _number(self, response: httpx.Response, session: str) -> int:
        last = response.headers.get("location", "").rstrip("/").rpartition("/")[2]
        if not last.isdecimal():
            raise self.api.peer.transient(
                "the answer does not say which experiment was made", session
            )
        return int(last)
