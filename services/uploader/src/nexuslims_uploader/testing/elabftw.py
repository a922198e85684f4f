"""An eLabFTW on the loopback interface: what a destination needs of its API, and its traps.

Built from the OpenAPI document of eLabFTW 5.3.6; what a live server adds is not in it.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any, ClassVar, Final, TypeAlias

from nexuslims_uploader.testing.server import Answer, FakeServer, Request

Route: TypeAlias = Callable[..., Answer]

_DELETED: Final = 3
_TOP: Final = "/api/v2/"


@dataclass(slots=True)
class Stored:
    """A file at an experiment; 1 is shown, 2 archived."""

    id: int
    name: str
    comment: str
    content: bytes
    state: int = 1


@dataclass(slots=True)
class Entry:
    """An experiment."""

    id: int
    content: dict[str, Any]
    state: int = 1
    tags: list[str] = field(default_factory=list)
    uploads: list[Stored] = field(default_factory=list)


_ONE: Final = r"experiments/(\d+)"


class FakeElabftw(FakeServer):
    """An eLabFTW with one key that may write, and one that may not.

    Attributes
    ----------
    keys
        Whether a key may write.
    experiments
        What it holds, by number.
    tells_hash
        Whether it says the digest of a file; older ones use other algorithms.
    new_tags
        Whether one may make a new tag.
    deletes
        Whether what it says it deleted is deleted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.keys = {"1-abc": True, "2-def": False}
        self.experiments: dict[int, Entry] = {}
        self.tells_hash = True
        self.new_tags = True
        self.deletes = True
        self._last = 0

    def put(self, **content: Any) -> int:
        """Hold an experiment that somebody else made; returns its number."""
        self._last += 1
        self.experiments[self._last] = Entry(self._last, content)
        return self._last

    def visible(self) -> list[Entry]:
        """Return the experiments that are not deleted."""
        return [one for one in self.experiments.values() if one.state != _DELETED]

    def handle(self, request: Request) -> Answer:
        """Answer as eLabFTW does; see the base."""
        key = request.headers.get("authorization", "")
        if key not in self.keys:
            return Answer.json(401, {"code": 401, "message": "Unauthorized", "description": "No"})
        if request.method != "GET" and not self.keys[key]:
            return Answer.json(403, {"code": 403, "message": "Forbidden", "description": "Read"})
        for (method, pattern), route in self._ROUTES.items():
            match = re.fullmatch(pattern, request.path.removeprefix(_TOP))
            if match and method == request.method:
                numbers = [int(part) for part in match.groups()]
                if numbers and numbers[0] not in self.experiments:
                    return Answer.json(404, {"code": 404, "message": "Not found"})
                return route(self, request, *numbers)
        return Answer.json(404, {"code": 404, "message": "Not found"})

    def _list_keys(self, request: Request) -> Answer:
        """Answer with the keys."""
        del request
        rows = [{"id": int(k.partition("-")[0]), "can_write": int(v)} for k, v in self.keys.items()]
        return Answer.json(200, rows)

    def _search(self, request: Request) -> Answer:
        """Answer with the experiments whose title or text holds a word."""
        states = {int(one) for one in request.query.get("state", "1").split(",")}
        text = request.query.get("q", "")
        found = [
            one
            for one in self.experiments.values()
            if one.state in states
            and text in f"{one.content.get('title')}{one.content.get('body')}"
        ]
        start, size = int(request.query.get("offset", 0)), int(request.query.get("limit", 15))
        some = found[start : start + size]
        return Answer.json(200, [{"id": one.id, "title": one.content["title"]} for one in some])

    def _create(self, request: Request) -> Answer:
        """Make an experiment."""
        number = self.put(**request.json())
        return _made(f"http://elsewhere.example.org{_TOP}experiments/{number}")

    def _get(self, request: Request, number: int) -> Answer:
        """Answer with an experiment, a deleted one too; metadata are text."""
        del request
        entry = self.experiments[number]
        metadata = json.dumps(entry.content.get("metadata"))
        content = {**entry.content, "metadata": metadata, "tags": "|".join(entry.tags)}
        return Answer.json(200, {"id": number, "state": entry.state, **content})

    def _change(self, request: Request, number: int) -> Answer:
        """Change the fields that are given, unless a user has locked it."""
        if self.experiments[number].content.get("locked"):
            return Answer.json(403, {"code": 403, "message": "This entry is locked"})
        self.experiments[number].content |= request.json()
        return self._get(request, number)

    def _delete(self, request: Request, number: int) -> Answer:
        """Put an experiment out of sight."""
        del request
        if self.deletes:
            self.experiments[number].state = _DELETED
        return Answer(204)

    def _list_tags(self, request: Request, number: int) -> Answer:
        """Answer with the tags of an experiment."""
        del request
        tags = self.experiments[number].tags
        return Answer.json(200, [{"id": i, "tag": tag} for i, tag in enumerate(tags)])

    def _add_tag(self, request: Request, number: int) -> Answer:
        """Add a tag."""
        if not self.new_tags:
            return Answer.json(400, {"code": 400, "message": "Only admins create tags"})
        tag = request.json()["tag"]
        if tag not in self.experiments[number].tags:
            self.experiments[number].tags.append(tag)
        return Answer(201)

    def _list_uploads(self, request: Request, number: int) -> Answer:
        """Answer with the files of an experiment that are shown, or replaced if asked for."""
        states = {int(one) for one in request.query.get("state", "1").split(",")}
        visible = [one for one in self.experiments[number].uploads if one.state in states]
        return Answer.json(200, [self._described(one) for one in visible])

    def _described(self, one: Stored) -> dict[str, Any]:
        digest = hashlib.sha256(one.content).hexdigest() if self.tells_hash else "5d41"
        algorithm = "sha256" if self.tells_hash else "md5"
        return {
            "id": one.id, "real_name": one.name, "comment": one.comment, "state": one.state,
            "hash": digest, "hash_algorithm": algorithm, "filesize": len(one.content),
        }  # fmt: skip

    def _add_upload(self, request: Request, number: int) -> Answer:
        """Take a file in."""
        name, comment, content = _file(request)
        self._last += 1
        self.experiments[number].uploads.append(Stored(self._last, name, comment, content))
        return _made(f"{_TOP}experiments/{number}/uploads/{self._last}")

    def _replace_upload(self, request: Request, number: int, upload: int) -> Answer:
        """Take a file in, and archive the one it replaces."""
        for one in self.experiments[number].uploads:
            if one.id == upload:
                one.state = 2
        return self._add_upload(request, number)

    def _get_upload(self, request: Request, number: int, upload: int) -> Answer:
        """Answer with the bytes of a file."""
        del request
        (one,) = (one for one in self.experiments[number].uploads if one.id == upload)
        return Answer(200, one.content, "application/octet-stream")

    def _delete_upload(self, request: Request, number: int, upload: int) -> Answer:
        """Delete a file."""
        del request
        entry = self.experiments[number]
        entry.uploads = [one for one in entry.uploads if one.id != upload]
        return Answer(204)

    _ROUTES: ClassVar[dict[tuple[str, str], Route]] = {
        ("GET", "apikeys"): _list_keys,
        ("GET", "experiments"): _search,
        ("POST", "experiments"): _create,
        ("GET", _ONE): _get,
        ("PATCH", _ONE): _change,
        ("DELETE", _ONE): _delete,
        ("GET", rf"{_ONE}/tags"): _list_tags,
        ("POST", rf"{_ONE}/tags"): _add_tag,
        ("GET", rf"{_ONE}/uploads"): _list_uploads,
        ("POST", rf"{_ONE}/uploads"): _add_upload,
        ("GET", rf"{_ONE}/uploads/(\d+)"): _get_upload,
        ("POST", rf"{_ONE}/uploads/(\d+)"): _replace_upload,
        ("DELETE", rf"{_ONE}/uploads/(\d+)"): _delete_upload,
    }


def _made(place: str) -> Answer:
    return Answer(201, headers={"Location": place})


def _file(request: Request) -> tuple[str, str, bytes]:
    """Read a form: the name of its file, the comment, and the bytes."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    form = BytesParser(policy=HTTP).parsebytes(head + request.body)
    name, comment, content = "", "", b""
    for part in form.iter_parts():
        payload = part.get_payload(decode=True)
        value = payload if isinstance(payload, bytes) else b""
        if part.get_filename():
            name, content = str(part.get_filename()), value
        else:
            comment = value.decode()
    return name, comment, content
