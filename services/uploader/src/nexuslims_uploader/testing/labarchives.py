"""A LabArchives on the loopback interface: what a destination needs of its API, and its traps.

Built from how the incumbent and public clients of LabArchives call it, and from the answers that
their tests expect; what a live server adds is not in it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, TypeAlias
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from nexuslims_uploader.labarchives.signature import sign
from nexuslims_uploader.notebook import COMMENT, KEY, key_of
from nexuslims_uploader.testing.server import Answer, FakeServer, Request

Route: TypeAlias = Callable[..., Answer]
Form: TypeAlias = Mapping[str, str]

_TOP: Final = "/api/"
_ROOT: Final = "0"
_TOLERANCE_MS: Final = 120_000


@dataclass(slots=True)
class Place:
    """A folder or a page."""

    id: str
    parent: str
    name: str
    is_page: bool


@dataclass(slots=True)
class Part:
    """An entry of a page, and its former contents."""

    id: str
    page: str
    kind: str
    content: bytes
    name: str = ""
    caption: str = ""
    versions: list[bytes] = field(default_factory=list)


class FakeLabarchives(FakeServer):
    """A LabArchives with one account and one notebook.

    Attributes
    ----------
    places, parts
        What the notebook holds, by id.
    moments
        When each call arrived, in seconds of a clock that only goes forward.
    error
        Tells of an error instead of answering, in the form and with the status that are given.
    """

    key_id, password, user, notebook = "test_akid", "test_password", "uid-1=", "nb/1=="

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[str, Place] = {}
        self.parts: dict[str, Part] = {}
        self.moments: list[float] = []
        self.error: Answer | None = None
        self._last = 0

    def put(self, parent: str, name: str, *, is_page: bool) -> str:
        """Hold a folder or a page; returns its id.

        Parameters
        ----------
        parent
            Id of the folder it is in.
        name
            Its name.
        is_page
            Whether it is a page, and not a folder.
        """
        self._last += 1
        made = Place(f"tree/{self._last}=", parent, name, is_page)
        self.places[made.id] = made
        return made.id

    def add(self, page: str, kind: str, content: bytes, name: str = "", caption: str = "") -> str:
        """Hold an entry; returns its id.

        Parameters
        ----------
        page
            Id of the page.
        kind
            ``text entry`` or ``Attachment``.
        content
            The bytes.
        name
            Its name.
        caption
            Of an attachment.
        """
        self._last += 1
        made = Part(f"eid+{self._last}=", page, kind, content, name, caption)
        self.parts[made.id] = made
        return made.id

    def path(self, place: str) -> str:
        """Return the names from the top to a folder or page."""
        found = self.places[place]
        above = "" if found.parent == _ROOT else self.path(found.parent) + "/"
        return above + found.name

    def pages(self, top: str = "NexusLIMS Records/") -> list[Place]:
        """Return the pages below a folder."""
        return [p for p in self.places.values() if p.is_page and self.path(p.id).startswith(top)]

    def on(self, page: str) -> list[Part]:
        """Return the entries of a page."""
        return [part for part in self.parts.values() if part.page == page]

    def held(self, sessions: "list[str] | tuple[str, ...]") -> dict[str, list[bytes]]:
        """Return the records on our pages, by session; a page of none counts too."""
        names = {key_of(session): session for session in sessions}
        found: dict[str, list[bytes]] = {}
        for page in self.pages():
            texts = b"".join(one.content for one in self.on(page.id) if one.kind == "text entry")
            key = texts.decode().partition(f"{KEY}: ")[2].partition("<")[0]
            files = [one.content for one in self.on(page.id) if one.caption == COMMENT]
            found.setdefault(names.get(key, page.name), []).extend(files)
        return found

    def handle(self, request: Request) -> Answer:
        """Answer as LabArchives does; see the base."""
        self.moments.append(time.monotonic())
        path = request.path.removeprefix(_TOP)
        refusal = self.error or self._refuse(path, request)
        if refusal:
            return refusal
        form = dict(request.query)
        if request.headers.get("content-type") == "application/x-www-form-urlencoded":
            form |= dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        route = self._ROUTES.get((request.method, path))
        try:
            return route(self, form, request.body) if route else complain(404, "404", "No method")
        except KeyError as error:
            return complain(404, "404", f"not found: {error.args[0]}")

    def _refuse(self, path: str, request: Request) -> Answer | None:
        """Check who calls, when, and for which notebook."""
        query, method = request.query, path.rpartition("/")[2]
        if query.get("akid") != self.key_id or query.get("uid") != self.user:
            return complain(401, "4506", "The access key id (akid) is not valid")
        expires = query.get("expires", "0")
        if abs(int(expires) - time.time() * 1000) > _TOLERANCE_MS:
            return complain(401, "4504", "The expires parameter is no longer valid")
        if query.get("sig") != sign(self.key_id, self.password, method, expires):
            return complain(401, "4520", "The supplied signature parameter was invalid")
        return None

    def _user_info(self, form: Form, body: bytes) -> Answer:
        """Answer with the account and its notebooks."""
        del form, body
        notebook = f"<notebook><name>Ours</name><id>{self.notebook}</id></notebook>"
        inside = f"<id>{self.user}</id><notebooks type='array'>{notebook}</notebooks>"
        return _xml(f"<users>{inside}</users>")

    def _level(self, form: Form, body: bytes) -> Answer:
        """Answer with what is in a folder."""
        del body
        parent = self._folder(form)
        inside = "".join(
            f"<level-node><is-page type='boolean'>{str(one.is_page).lower()}</is-page>"
            f"<tree-id>{one.id}</tree-id><display-text>{escape(one.name)}</display-text>"
            "</level-node>"
            for one in self.places.values()
            if one.parent == parent
        )
        return _xml(f"<tree-tools><level-nodes type='array'>{inside}</level-nodes></tree-tools>")

    def _insert(self, form: Form, body: bytes) -> Answer:
        """Make a folder or a page; names may repeat."""
        del body
        is_page = form["is_folder"] != "true"
        made = self.put(self._folder(form), form["display_text"], is_page=is_page)
        return _xml(f"<tree-tools><node><tree-id>{made}</tree-id></node></tree-tools>")

    def _update_node(self, form: Form, body: bytes) -> Answer:
        """Rename or move."""
        del body
        place = self.places[form["tree_id"]]
        place.name = form.get("display_text", place.name)
        if "parent_tree_id" in form:
            place.parent = self._folder(form)
        return _xml(f"<tree-tools><node><tree-id>{place.id}</tree-id></node></tree-tools>")

    def _entries(self, form: Form, body: bytes) -> Answer:
        """Answer with the entries of a page."""
        del body
        page = self.places[form["page_tree_id"]]
        inside = "".join(self._described(part) for part in self.on(page.id))
        return _xml(f"<entries>{inside}</entries>")

    def _described(self, part: Part) -> str:
        is_text = part.kind == "text entry"
        elements = {
            "eid": part.id,
            "part-type": part.kind,
            "attach-file-name": part.name,
            "caption": part.caption,
            "entry-data": part.content.decode() if is_text else part.caption,
        }
        inside = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in elements.items())
        return f"<entry>{inside}</entry>"

    def _add_entry(self, form: Form, body: bytes) -> Answer:
        """Add a text to a page."""
        del body
        page = self.places[form["pid"]].id
        return _entry(self.add(page, form["part_type"], form["entry_data"].encode()))

    def _add_attachment(self, form: Form, body: bytes) -> Answer:
        """Add a file to a page."""
        page = self.places[form["pid"]].id
        return _entry(self.add(page, "Attachment", body, form["filename"], form["caption"]))

    def _update_entry(self, form: Form, body: bytes) -> Answer:
        """Change a text; the former stays as a version."""
        del body
        return self._update(form, form["entry_data"].encode())

    def _update_attachment(self, form: Form, body: bytes) -> Answer:
        """Change a file; the former stays as a version."""
        part = self.parts[form["eid"]]
        part.name, part.caption = form["filename"], form["caption"]
        return self._update(form, body)

    def _update(self, form: Form, content: bytes) -> Answer:
        part = self.parts[form["eid"]]
        part.versions.append(part.content)
        part.content = content
        return _entry(part.id)

    def _attachment(self, form: Form, body: bytes) -> Answer:
        """Answer with the bytes of a file."""
        del body
        return Answer(200, self.parts[form["eid"]].content, "application/octet-stream")

    def _folder(self, form: Form) -> str:
        """Return the folder that is asked for, in our notebook."""
        if form["nbid"] != self.notebook:
            raise KeyError(form["nbid"])
        parent = form["parent_tree_id"]
        return parent if parent == _ROOT else self.places[parent].id

    _ROUTES: ClassVar[dict[tuple[str, str], Route]] = {
        ("GET", "users/user_info_via_id"): _user_info,
        ("GET", "tree_tools/get_tree_level"): _level,
        ("GET", "tree_tools/insert_node"): _insert,
        ("GET", "tree_tools/update_node"): _update_node,
        ("GET", "tree_tools/get_entries_for_page"): _entries,
        ("GET", "entries/entry_attachment"): _attachment,
        ("POST", "entries/add_entry"): _add_entry,
        ("POST", "entries/add_attachment"): _add_attachment,
        ("POST", "entries/update_entry"): _update_entry,
        ("POST", "entries/update_attachment"): _update_attachment,
    }


def complain(status: int, code: str, text: str) -> Answer:
    """Tell of an error as LabArchives does now.

    Parameters
    ----------
    status
        Of the answer.
    code
        Of the error.
    text
        Of the error.
    """
    inside = f"<error-code type='integer'>{code}</error-code>"
    described = f"<error-description>{escape(text)}</error-description>"
    return _xml(f"<error>{inside}{described}</error>", status)


def complain_as_before(status: int, code: str, text: str) -> Answer:
    """Tell of an error as LabArchives did.

    Parameters
    ----------
    status
        Of the answer.
    code
        Of the error.
    text
        Of the error.
    """
    inside = f"<code>{code}</code><msg>{escape(text)}</msg>"
    return _xml(f"<response><error>{inside}</error></response>", status)


def _entry(made: str) -> Answer:
    return _xml(f"<entries><entry><eid>{made}</eid></entry></entries>")


def _xml(text: Any, status: int = 200) -> Answer:
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return Answer(status, f"{head}{text}".encode(), "application/xml")
