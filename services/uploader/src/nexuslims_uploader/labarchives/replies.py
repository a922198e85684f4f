"""What LabArchives answers: XML, in which elements are looked up by their names.

Entities are not resolved and nothing is fetched. Names come with dashes, some with underscores.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nexuslims_contracts.errors import MalformedXmlError
from nexuslims_contracts.xml import parse_xml

if TYPE_CHECKING:
    from lxml.etree import _Element

_LARGEST_ERROR: Final = 20_000
"""Bytes: a longer answer is no error, and is not looked through for one."""


@dataclass(frozen=True, slots=True)
class Node:
    """A folder or a page."""

    id: str
    name: str
    is_page: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """A part of a page: a text in HTML, or a file."""

    id: str
    is_file: bool
    text: str = ""
    file_name: str = ""
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Complaint:
    """An error, as LabArchives tells it."""

    code: str
    text: str


class UnreadableReplyError(ValueError):
    """The answer is not XML."""


def parse(content: bytes) -> "_Element":
    """Read an answer.

    Raises
    ------
    UnreadableReplyError
        If it is not XML.
    """
    try:
        return parse_xml(content)
    except MalformedXmlError as error:
        raise UnreadableReplyError(str(error)) from error


def complaint(content: bytes) -> Complaint | None:
    """Return the error that an answer tells of, whatever its status; there are two forms of it."""
    if len(content) > _LARGEST_ERROR:
        return None
    try:
        root = parse(content)
    except UnreadableReplyError:
        return None
    error = root if _name(root) == "error" else next(_named(root, "error"), None)
    if error is None:
        return None
    code = _text(error, "error-code") or _text(error, "code")
    return Complaint(code, _text(error, "error-description") or _text(error, "msg") or "no reason")


def nodes(root: "_Element") -> list[Node]:
    """Return the folders and pages of a level, in their order."""
    return [
        Node(
            _text(one, "tree-id"),
            _text(one, "display-text"),
            is_page=_text(one, "is-page") in ("true", "1"),
        )
        for one in _named(root, "level-node")
    ]


def entries(root: "_Element") -> list[Entry]:
    """Return the entries of a page, in their order."""
    return [
        Entry(
            _text(one, "eid"),
            is_file="attachment" in _text(one, "part-type").lower(),
            text=_text(one, "entry-data"),
            file_name=_text(one, "attach-file-name"),
            caption=_text(one, "caption"),
        )
        for one in _named(root, "entry")
    ]


def notebooks(root: "_Element") -> dict[str, str]:
    """Return the names of an account's notebooks, by id."""
    return {_text(one, "id"): _text(one, "name") for one in _named(root, "notebook")}


def new_id(root: "_Element", name: str) -> str:
    """Return the id of what was made; empty if it is not told.

    Parameters
    ----------
    root
        The reply.
    name
        Name of the element that holds it.
    """
    return _text(root, name)


def _named(root: "_Element", name: str) -> Iterator["_Element"]:
    return (one for one in root.iterdescendants() if _name(one) == name)


def _text(element: "_Element", name: str) -> str:
    found = next(_named(element, name), None)
    return "" if found is None else "".join(map(str, found.itertext())).strip()


def _name(element: "_Element") -> str:
    return str(element.tag).replace("_", "-")
