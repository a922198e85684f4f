"""The metadata that some Helios programs write in place of section text: base64 of XML.

References
----------
tifffile, issue 141: after a byte order mark an XML ``MementoItemCollection``. Its items have a name
and hold a value with a unit (``MementoItemUnitPascal``), or a section of further items.
"""

import base64
import binascii
import re
from typing import Any

from nexuslims_formats.locales.encodings import decode

_BASE64 = re.compile(r"[A-Za-z0-9+/\s]+={0,2}\s*")
_UNIT = "MementoItemUnit"
MEMENTO_ROOT = "MementoItemCollection"


def unpacked(text: str) -> str:
    """Return the text that base64 stands for; another text as it is."""
    if not _BASE64.fullmatch(text):
        return text
    try:
        raw = base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error:
        return text
    return decode(raw)[0].strip("\ufeff\0 \r\n\t")


def memento_sections(root: Any) -> dict[str, dict[str, str]]:
    """Return the sections below the element of such a collection, each value with its unit."""
    if root.tag != MEMENTO_ROOT:
        return {}
    sections: dict[str, dict[str, str]] = {}
    for path, value in _values(root, ()):
        *above, name = path
        sections.setdefault("/".join(above), {})[name] = value
    return sections


def _values(items: Any, above: tuple[str, ...]) -> list[tuple[tuple[str, ...], str]]:
    found: list[tuple[tuple[str, ...], str]] = []
    for item in items.iterfind("item"):
        memento = item.find("value/MementoItem")
        if memento is None:
            continue
        path = (*above, memento.findtext("Name") or item.findtext("key/string") or "")
        section = memento.find("MementoItemSection")
        if section is not None:
            found += _values(section, path)
        elif value := (memento.findtext("anyType") or "").strip():
            unit = (memento.findtext(_UNIT) or "").removeprefix(_UNIT)
            found.append((path, f"{value} {unit}".strip()))
    return found
