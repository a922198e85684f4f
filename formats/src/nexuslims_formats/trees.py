"""Vendors' texts as nested dicts: ini sections, XML, and look-ups by path."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from nexuslims_contracts import xml
from nexuslims_contracts.errors import MalformedXmlError
from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.values import lines_of

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_ENCODING = re.compile(rb"\sencoding=[\"'][^\"']*[\"']")


def ini_sections(text: str) -> dict[str, dict[str, str]]:
    """Return the sections of a vendor's ini text; what comes before the first is under ``""``.

    Vendors repeat section names (``[MultiGISGas1]`` once per unit): a repeated one is numbered.
    """
    sections: dict[str, dict[str, str]] = {}
    current: dict[str, str] = sections.setdefault("", {})
    names = _Names()
    for line in lines_of(text):
        entry = line.strip().strip("\0")
        if entry.startswith("[") and entry.endswith("]"):
            current = sections.setdefault(names.unused(entry[1:-1]), {})
        elif "=" in entry:
            key, _, value = entry.partition("=")
            current[key.strip()] = value.strip()
    return {name: section for name, section in sections.items() if section}


def parse_xml(data: bytes) -> Any:
    """Return the root of foreign XML, read without entities, network or size limits lifted.

    Raises
    ------
    UnreadableFileError
        It is not well-formed.
    """
    if data.startswith(_UTF_16):
        text = data.decode("utf-16", "replace").strip("\0 \r\n\t\ufffd")
        data = _ENCODING.sub(b"", text.encode("utf-8"), count=1)
    try:
        return xml.parse_xml(data.strip(b"\0 \r\n\t"))
    except MalformedXmlError as error:
        raise UnreadableFileError(f"the XML metadata is damaged: {error}") from None


def readable_tree(data: bytes) -> tuple[dict[str, Any], str]:
    """Return foreign XML as nested dicts, and why it cannot be read, in words: the rest can be.

    Parameters
    ----------
    data
        The XML, in its own encoding.
    """
    try:
        tree = xml_tree(parse_xml(data))
    except UnreadableFileError as error:
        return {}, str(error)
    return (tree, "") if isinstance(tree, dict) else ({}, "the XML metadata is empty")


def xml_tree(element: Any) -> Any:
    """Return an element as nested dicts; repeated children are numbered ``name#2``."""
    children = [child for child in element if isinstance(child.tag, str)]
    if not children:
        return (element.text or "").strip()
    names = _Names()
    return {
        names.unused(child.get("name") or child.tag.rpartition("}")[2]): xml_tree(child)
        for child in children
    }


class _Names:
    """Numbers the names that repeat: ``name``, ``name#2``, ..."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._last: dict[str, int] = {}

    def unused(self, name: str) -> str:
        """Return the name, or the next number of it."""
        found = name
        while found in self._taken:
            self._last[name] = self._last.get(name, 1) + 1
            found = f"{name}#{self._last[name]}"
        self._taken.add(found)
        return found


def nested(tree: Mapping[str, Any], *, whole: bool = False) -> Callable[[str], Any]:
    """Return a function that looks slash-separated paths up in nested dicts.

    Parameters
    ----------
    tree
        The nested dicts.
    whole
        Whether a path may lead to a dict; otherwise only to what stands in one.
    """

    def look_up(path: str) -> Any:
        node: Any = tree
        for part in path.split("/"):
            node = node.get(part) if isinstance(node, Mapping) else None
        return None if isinstance(node, Mapping) and not whole else node

    return look_up
