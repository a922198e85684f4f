"""A CDCS on the loopback interface: what a destination needs of its REST API, and its traps."""

import re
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from nexuslims_uploader.testing.cdcs.answers import (
    Blob,
    Document,
    Record,
    StopError,
    account,
    body_of,
    matches,
    paged,
    template,
    uploaded_file,
    workspace,
)
from nexuslims_uploader.testing.cdcs.rules import nexus_schema, title_problem, xml_problem
from nexuslims_uploader.testing.server import Answer, FakeServer, Request

if TYPE_CHECKING:
    from lxml.etree import XMLSchema

Route: TypeAlias = Callable[..., Answer]

_PAGE: Final = b'<!doctype html>\n<html lang="en"><head><title>Not Found</title></head></html>'


_ID: Final = r"(\d+)"


class FakeCdcs(FakeServer):
    """A CDCS with a template, a workspace and three accounts.

    Attributes
    ----------
    tokens
        Whose token which is; user 1 is the superuser.
    templates, workspaces
        As the API lists them.
    users
        Usernames by id.
    records, blobs
        What it holds, by id.
    assign_ends_in_slash
        Whether the path that assigns a workspace is a later release's.
    tasks, task_states
        States of the tasks that move records to another template, and those that a new one will
        go through.
    refusing_templates
        Numbers of the versions that no record is valid under.
    """

    ADMIN: Final = 1

    def __init__(self) -> None:
        super().__init__()
        self.tokens = {"admin-token": 1, "user-token": 2}
        self.users = {1: "admin", 2: "user", 3: "jdoe"}
        self.templates: list[Document] = [template(1, "Nexus Experiment Schema")]
        self.workspaces: list[Document] = [workspace(1, "Global Public Workspace")]
        self.records: dict[int, Record] = {}
        self.blobs: dict[int, Blob] = {}
        self.assign_ends_in_slash = False
        self.tasks: dict[str, list[str]] = {}
        self.task_states: list[str] = []
        self.refusing_templates: set[int] = set()
        self._last = 0

    def put(self, title: str, xml: str, *, workspace: int | None = 1, id: int = 0) -> int:  # noqa: A002 - CDCS's word
        """Hold a record that somebody else made; returns its id.

        Parameters
        ----------
        title
            Its title.
        xml
            Its content.
        workspace
            Number of its workspace; None for none.
        id
            Its number; the next one if not given.
        """
        number = id or self._next()
        self._last = max(self._last, number)
        self.records[number] = Record(number, 1, workspace, self.ADMIN, title, xml)
        return number

    def put_blob(self, filename: str, content: bytes) -> int:
        """Hold a file that somebody else made; returns its id.

        Parameters
        ----------
        filename
            Its name.
        content
            The bytes.
        """
        number = max(self.blobs, default=0) + 1
        self.blobs[number] = Blob(number, self.ADMIN, filename, content)
        return number

    def held(self) -> dict[str, list[bytes]]:
        """Return the bytes of all records: by session if they name one, others by title."""
        found: dict[str, list[bytes]] = {}
        for record in self.records.values():
            found.setdefault(record.session or record.title, []).append(record.xml.encode())
        return found

    def handle(self, request: Request) -> Answer:
        """Answer as CDCS does; see the base."""
        path = request.path.lstrip("/")
        if self.assign_ends_in_slash and "/assign/" in path:
            path = path.removesuffix("/") if path.endswith("/") else f"{path}/"
        for pattern, routes in self._ROUTES.items():
            match = re.fullmatch(pattern, path)
            if match:
                parts = [int(part) if part.isdecimal() else part for part in match.groups()]
                return self._routed(routes, request, parts)
        if re.fullmatch(r"rest/(data|user|blob)", path):
            return Answer(301, headers={"Location": f"/{path}/"})
        return Answer(404, _PAGE, "text/html; charset=utf-8")

    def _routed(self, routes: dict[str, Route], request: Request, ids: list[int | str]) -> Answer:
        if request.method not in routes:
            return Answer.json(405, {"detail": f'Method "{request.method}" not allowed.'})
        try:
            return routes[request.method](self, request, self._user(request), *ids)
        except StopError as stop:
            return stop.answer

    def _user(self, request: Request) -> int:
        given = request.headers.get("authorization", "")
        kind, _, token = given.partition(" ")
        if kind != "Token":
            raise StopError(403, {"detail": "Authentication credentials were not provided."})
        if token not in self.tokens:
            raise StopError(403, {"detail": "Invalid token."})
        return self.tokens[token]

    # --- templates, workspaces, accounts ---

    def _list_templates(self, request: Request, user: int) -> Answer:
        """Answer with the global templates."""
        del user
        title = request.query.get("title")
        return Answer.json(200, [one for one in self.templates if title in (None, one["title"])])

    def _list_workspaces(self, request: Request, user: int) -> Answer:
        """Answer with the workspaces, in no order."""
        del request, user
        return Answer.json(200, self.workspaces)

    def _list_users(self, request: Request, user: int) -> Answer:
        """Answer with all accounts."""
        del request
        self._superuser(user)
        return Answer.json(200, [account(number, name) for number, name in self.users.items()])

    def _make_user(self, request: Request, user: int) -> Answer:
        """Make an account."""
        self._superuser(user)
        username = body_of(request).get("username", "")
        if username in self.users.values():
            problem = "A user with that username already exists."
            raise StopError(400, {"username": [problem]})
        number = max(self.users) + 1
        self.users[number] = username
        return Answer.json(201, account(number, username))

    def _settings(self, request: Request, user: int) -> Answer:
        """Answer with versions."""
        del request, user
        database = {"engine": "PostgreSQL", "version": 150018}
        index = {"data_indexing": False, "version": None}
        return Answer.json(200, {"core_version": "2.18.0", "database": database, "mongodb": index})

    # --- records ---

    def _make(self, request: Request, user: int) -> Answer:
        """Make a record; titles may repeat."""
        return Answer.json(201, self._made(body_of(request), user).document())

    def _make_owned(self, request: Request, user: int) -> Answer:
        """Make a record of another user."""
        self._superuser(user)
        document = body_of(request)
        made = self._made(document, int(document.get("user_id", user)))
        return Answer.json(201, made.document(admin=True))

    def _made(self, document: Document, owner: int) -> Record:
        template = self._key(
            document, "template", [int(v) for one in self.templates for v in one["versions"]]
        )
        workspace = None
        if document.get("workspace") is not None:
            workspace = self._key(document, "workspace", [one["id"] for one in self.workspaces])
        if "xml_content" not in document:
            raise StopError(400, {"message": {"xml_content": ["This field is required."]}})
        self._check(document)
        number = self._next()
        record = Record(
            number, template, workspace, owner, document["title"], document["xml_content"]
        )
        self.records[number] = record
        return record

    def _list_own(self, request: Request, user: int) -> Answer:
        """Answer with the records of the token's owner."""
        title = request.query.get("title")
        own = [one for one in self.records.values() if one.owner == user]
        return paged([one.document() for one in own if title in (None, one.title)])

    def _get(self, request: Request, user: int, record: int) -> Answer:
        """Answer with a record."""
        del request, user
        return Answer.json(200, self._record(record).document())

    def _change(self, request: Request, user: int, record: int) -> Answer:
        """Change title and content; anything else is ignored."""
        held = self._writable(record, user)
        document = {"title": held.title, "xml_content": held.xml, **body_of(request)}
        self._check(document)
        held.title, held.xml = document["title"], document["xml_content"]
        return Answer.json(200, held.document())

    def _delete(self, request: Request, user: int, record: int) -> Answer:
        """Remove a record."""
        del request
        self._writable(record, user)
        del self.records[record]
        return Answer(204)

    def _download(self, request: Request, user: int, record: int) -> Answer:
        """Answer with the XML, of no said encoding."""
        del request, user
        return Answer(200, self._record(record).xml.encode(), "text/xml")

    def _assign(self, request: Request, user: int, record: int, workspace: int) -> Answer:
        """Put a record into a workspace."""
        del request
        if record not in self.records or workspace not in [one["id"] for one in self.workspaces]:
            raise StopError(404, {"message": "Data or workspace not found."})
        if user not in (self.ADMIN, self.records[record].owner):
            raise StopError(403, {"message": "The user does not have the permission."})
        self.records[record].workspace = workspace
        return Answer.json(200, {})

    def _change_owner(self, request: Request, user: int, record: int, owner: int) -> Answer:
        """Give a record to another user."""
        del request
        self._superuser(user)
        self._record(record).owner = owner
        return Answer.json(200, {})

    def _query(self, request: Request, user: int) -> Answer:
        """Answer with the records of a title, a workspace, a template, or with some content."""
        del user
        document = body_of(request)
        if "query" not in document:
            raise StopError(400, {"message": "Expected parameters not provided."})
        found = [one.document() for one in self.records.values() if matches(one, document)]
        return Answer.json(200, found) if document.get("all") else paged(found)

    def _migrate(self, request: Request, user: int, template: int) -> Answer:
        """Put records under a version of the template that they are valid under; 3.18 as run."""
        self._superuser(user)
        task = f"task-{len(self.tasks) + 1}"
        for number in body_of(request)["data"]:
            record = self._record(int(number))
            if template not in self.refusing_templates:
                record.template = template
        self.tasks[task] = self.task_states or ["SUCCESS"]
        return Answer.json(200, task)

    def _task_progress(self, request: Request, user: int, task: str) -> Answer:
        """Answer with the state of a task, the next one with each question."""
        del request
        self._superuser(user)
        states = self.tasks.get(task, ["PENDING"])
        state = states.pop(0) if len(states) > 1 else states[0]
        return Answer.json(200, {"state": state, "details": None})

    # --- files ---

    def _make_blob(self, request: Request, user: int) -> Answer:
        """Keep a file."""
        filename, content = uploaded_file(request)
        blob = self.blobs[self.put_blob(filename, content)]
        blob.owner = user
        return Answer.json(201, blob.document(self.url))

    def _list_blobs(self, request: Request, user: int) -> Answer:
        """Answer with the files of the token's owner."""
        name = request.query.get("filename")
        own = [one for one in self.blobs.values() if one.owner == user]
        return Answer.json(
            200, [one.document(self.url) for one in own if name in (None, one.filename)]
        )

    def _blob_content(self, request: Request, user: int, blob: int) -> Answer:
        """Answer with a file."""
        del request, user
        return Answer(200, self.blobs[blob].content, "image/png")

    def _delete_blob(self, request: Request, user: int, blob: int) -> Answer:
        """Remove a file."""
        del request, user
        if self.blobs.pop(blob, None) is None:
            raise StopError(404, {"message": "Blob not found."})
        return Answer(204)

    def _assign_blob(self, request: Request, user: int, blob: int, workspace: int) -> Answer:
        """Put a file into a workspace."""
        del request, user
        self.blobs[blob].workspace = workspace
        return Answer.json(200, {})

    def _link_blob(self, request: Request, user: int, blob: int, record: int) -> Answer:
        """Note which record a file belongs to."""
        del request, user
        self.blobs[blob].of.add(record)
        return Answer(200)

    # --- rules ---

    @cached_property
    def _schema(self) -> "XMLSchema":
        return nexus_schema()

    def _next(self) -> int:
        self._last += 1
        return self._last

    def _superuser(self, user: int) -> None:
        if user != self.ADMIN:
            raise StopError(403, {"detail": "You do not have permission to perform this action."})

    def _record(self, record: int) -> Record:
        if record not in self.records:
            raise StopError(404, {"message": "Data not found."})
        return self.records[record]

    def _writable(self, record: int, user: int) -> Record:
        held = self._record(record)
        if user not in (self.ADMIN, held.owner):
            message = "The user does not have the permission to write into this workspace."
            raise StopError(403, {"message": message})
        return held

    def _key(self, document: Document, name: str, known: list[int]) -> int:
        if name not in document:
            raise StopError(400, {"message": {name: ["This field is required."]}})
        if int(document[name]) not in known:
            problem = f'Invalid pk "{document[name]}" - object does not exist.'
            raise StopError(400, {"message": {name: [problem]}})
        return int(document[name])

    def _check(self, document: Document) -> None:
        title = document.get("title")
        problem = title_problem(title)
        if problem:
            raise StopError(400, {"message": {"title": [problem]}})
        if str(title) == ".." or str(title).endswith("/"):
            raise StopError(500, {"message": f"Could not derive file name from '{title}'"})
        refusal = xml_problem(document["xml_content"], self._schema)
        if refusal:
            raise StopError(500, {"message": refusal})

    _ROUTES: ClassVar[dict[str, dict[str, Route]]] = {
        r"rest/core-settings/": {"GET": _settings},
        r"rest/template-version-manager/global/": {"GET": _list_templates},
        r"rest/workspace/read_access/?": {"GET": _list_workspaces},
        r"rest/user/": {"GET": _list_users, "POST": _make_user},
        r"rest/data/": {"GET": _list_own, "POST": _make},
        r"rest/admin/data/": {"POST": _make_owned},
        r"rest/data/query/": {"POST": _query},
        rf"rest/data/{_ID}/": {
            "GET": _get,
            "PATCH": _change,
            "DELETE": _delete,
        },
        rf"rest/data/template/{_ID}/migrate/": {"POST": _migrate},
        r"rest/data/migration/task/([\w-]+)/progress/": {"GET": _task_progress},
        rf"rest/data/download/{_ID}/": {"GET": _download},
        rf"rest/data/{_ID}/assign/{_ID}": {"PATCH": _assign},
        rf"rest/data/{_ID}/change-owner/{_ID}": {"PATCH": _change_owner},
        r"rest/blob/": {"GET": _list_blobs, "POST": _make_blob},
        rf"rest/blob/download/{_ID}/": {"GET": _blob_content},
        rf"rest/blob/{_ID}/": {"DELETE": _delete_blob},
        rf"rest/blob/{_ID}/assign/{_ID}": {"PATCH": _assign_blob},
        rf"rest/blob/{_ID}/metadata/{_ID}/": {"POST": _link_blob},
    }
