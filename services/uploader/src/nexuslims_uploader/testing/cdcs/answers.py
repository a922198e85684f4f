"""Documents of a CDCS, in the shapes it gives them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from functools import lru_cache
from typing import Any, Final, TypeAlias

from nexuslims_contracts.errors import UnreadableRecordError
from nexuslims_contracts.record.model import Experiment
from nexuslims_contracts.record.provenance import session_of
from nexuslims_contracts.record.reader import read_record
from nexuslims_uploader.testing.server import Answer, Request

Document: TypeAlias = dict[str, Any]

_MOMENT: Final = "2026-11-22T07:15:53.971642Z"
_PAGE_SIZE: Final = 10


class StopError(Exception):
    """The answer is clear."""

    def __init__(self, status: int, document: Any) -> None:
        super().__init__(status)
        self.answer = Answer.json(status, document)


@lru_cache(maxsize=10_000)
def _read(xml: str) -> Experiment:
    """Read a record, once for all queries: a server has an index of them."""
    try:
        return read_record(xml.encode())
    except UnreadableRecordError:
        return Experiment()


@dataclass(slots=True)
class Record:
    """A record as the server keeps it."""

    id: int
    template: int
    workspace: int | None
    owner: int
    title: str
    xml: str

    @property
    def experiment(self) -> Experiment:
        """What it says; nothing if it is no record."""
        return _read(self.xml)

    @property
    def session(self) -> str:
        """The session that it was made of, as it says itself."""
        return session_of(self.experiment)

    def document(self, *, admin: bool = False) -> Document:
        """Return it as the API gives it."""
        dates = dict.fromkeys(
            ("creation_date", "last_modification_date", "last_change_date"), _MOMENT
        )
        return {
            "id": self.id,
            "template": self.template,
            "workspace": self.workspace,
            "user_id": str(self.owner),
            "title": self.title,
            **({} if admin else {"checksum": None}),
            **dates,
            "xml_content": self.xml,
        }


@dataclass(slots=True)
class Blob:
    """A file beside the records."""

    id: int
    owner: int
    filename: str
    content: bytes
    workspace: int | None = None
    of: set[int] = field(default_factory=set)

    def document(self, url: str) -> Document:
        """Return it as the API gives it."""
        return {
            "id": self.id,
            "user_id": str(self.owner),
            "filename": self.filename,
            "handle": f"{url}/rest/blob/download/{self.id}/",
            "blob": f"{url}/blob/{self.filename}",
            "workspace": self.workspace,
            "checksum": None,
            "upload_date": _MOMENT,
            "pid": None,
        }


def template(number: int, title: str) -> Document:
    """Return a template of one version as the API lists it.

    Parameters
    ----------
    number
        Its number.
    title
        Its title.
    """
    return {
        "id": number,
        "versions": [str(number)],
        "current": str(number),
        "disabled_versions": [],
        "title": title,
        "user": None,
        "is_disabled": False,
        "creation_date": _MOMENT,
        "display_rank": None,
    }


def workspace(number: int, title: str) -> Document:
    """Return a public workspace as the API lists it.

    Parameters
    ----------
    number
        Its number.
    title
        Its title.
    """
    return {"id": number, "title": title, "owner": None, "is_public": True}


def account(number: int, username: str) -> Document:
    """Return an account as the API lists it.

    Parameters
    ----------
    number
        Its number.
    username
        Its name.
    """
    return {"id": number, "username": username, "email": f"{username}@example.org"}


def paged(documents: list[Document]) -> Answer:
    """Answer with the first page."""
    following = "http://next" if len(documents) > _PAGE_SIZE else None
    return Answer.json(
        200,
        {
            "count": len(documents),
            "next": following,
            "previous": None,
            "results": documents[:_PAGE_SIZE],
        },
    )


def matches(record: Record, query: Document) -> bool:
    """Tell whether a record has what a query asks for beside the content.

    Parameters
    ----------
    record
        The record.
    query
        As it was posted.
    """
    title = query.get("title", record.title)
    titles = title.get("$in", []) if isinstance(title, dict) else [title]
    templates = [int(one["id"]) for one in query.get("templates", [])]
    workspaces = [int(one["id"]) for one in query.get("workspaces", [])]
    return (
        record.title in titles
        and (not query["query"] or _contains(record.experiment, query["query"]))
        and (not templates or record.template in templates)
        and (not workspaces or record.workspace in workspaces)
    )


def _contains(experiment: Experiment, query: Document) -> bool:
    """Tell whether a record contains what a query of paths asks for.

    Raises
    ------
    StopError
        If it asks with an operator, or for a path, that this server does not know.
    """
    for path, value in query.items():
        if path == "$and":
            if not all(_contains(experiment, one) for one in value):
                return False
        elif path not in _PATHS or isinstance(value, dict):
            raise StopError(500, {"message": "Unsupported operator found"})
        elif _PATHS[path](experiment) != value:
            return False
    return True


def _number(experiment: Experiment) -> int | str:
    """Return its id as CDCS stores it: a number, if it looks like one."""
    return int(experiment.id) if experiment.id.isdecimal() else experiment.id


_PATHS: Final[dict[str, Callable[[Experiment], int | str]]] = {
    "Experiment.summary.@ref": lambda experiment: experiment.url,
    "Experiment.summary.instrument.@pid": lambda experiment: experiment.instrument_pid,
    "Experiment.summary.reservationStart": lambda experiment: experiment.start,
    "Experiment.id": _number,
}


def body_of(request: Request) -> Document:
    """Read a JSON body.

    Raises
    ------
    StopError
        If it is none.
    """
    try:
        document = json.loads(request.body)
    except ValueError as error:
        raise StopError(400, {"detail": f"JSON parse error - {error}"}) from error
    return dict(document)


def uploaded_file(request: Request) -> tuple[str, bytes]:
    """Read the file of a multipart body: its name and its bytes.

    Raises
    ------
    StopError
        If there is none.
    """
    head = f"Content-Type: {request.headers.get('content-type', '')}\r\n\r\n".encode()
    for part in BytesParser(policy=HTTP).parsebytes(head + request.body).iter_parts():
        if part.get_param("name", header="content-disposition") == "blob":
            return part.get_filename() or "", bytes(part.get_content())
    raise StopError(400, {"message": {"blob": ["No file was submitted."]}})
