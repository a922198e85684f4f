"""Which texts are metadata: those that can be parsed as a vendor writes them, and no others.

That bytes can be printed proves nothing: grey levels from 32 to 126 can. A text is metadata if all
of it is lines of names with values, well-formed XML or JSON, none of its values is long enough to
hold an image, and all of them together have little that is no words (see :mod:`.opaque`).
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Any

from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.locales.encodings import decode
from nexuslims_formats.trees import parse_xml
from nexuslims_sanitiser.opaque import is_opaque, is_written

LONGEST_VALUE = 500
"""Characters of one value: 22 x 22 pixels at the most."""
MOST_NUMBERS = 64
"""Numbers in one list of a JSON document."""
_DEPTH = 3
_VALUE = rf"[^\r\n]{{0,{LONGEST_VALUE}}}"
_LINE = re.compile(
    r"\s*|\[[\w .:#/-]{1,60}\]\s*"
    r"|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*"
    r"|\d{4}:\d\d:\d\d \d\d:\d\d:\d\d"
    r"|[A-Z]{2,3}_[A-Z0-9_]{1,60}\s*"  # the names that SmartSEM writes above its lines
    rf"|\$+[A-Z][\w%]{{1,60}}(?:[ \t=]{_VALUE})?"  # JEOL
    rf"|\d?[^\W\d_][\w .:%()#/^°µ-]{{0,80}}?\s*[=:]{_VALUE}"
)
_NAMED = re.compile(r"[\]=:_]|\$")
_BREAK = re.compile(r"\r\n?|\n|\0")
_BASE64 = re.compile(rb"[A-Za-z0-9+/\s]+={0,2}\s*")
_LONG_BASE64 = re.compile(r"[A-Za-z0-9+/]{100,}(?:\r?\n[A-Za-z0-9+/]+)*={0,2}")
_BLANKED = re.compile(r"A{8,}")


def is_metadata(raw: bytes, depth: int = _DEPTH) -> bool:
    """Whether all of a text can be parsed; zeros behind it do not count.

    Parameters
    ----------
    raw
        The text as bytes.
    depth
        How many texts within texts are parsed as well.
    """
    raw = raw.rstrip(b"\0 \r\n\t")
    if not raw:
        return True
    text = decode(raw)[0].lstrip("\ufeff").strip("\0 \r\n\t")
    if not is_written(text):
        return False
    plain = _LONG_BASE64.sub(lambda run: _decoded_away(run, depth), _BLANKED.sub("", text))
    return not is_opaque(plain) and _is_parsed(text, raw, depth)


def _decoded_away(run: re.Match[str], depth: int) -> str:
    """Return nothing for base64 of metadata, which is looked at itself; anything else as it is."""
    return "" if _is_encoded(run[0].encode(), depth) else run[0]


def _is_parsed(text: str, raw: bytes, depth: int) -> bool:
    if text.startswith("<"):
        return _is_xml(text, depth)
    if text.startswith(("{", "[{")):
        return _is_json(text, depth)
    return _is_lines(text) or _is_encoded(raw, depth)


def _is_lines(text: str) -> bool:
    lines = _BREAK.split(text.replace("\t", "\n") if text.startswith("$") else text)
    return bool(_NAMED.search(text)) and all(_LINE.fullmatch(line) for line in lines)


def _is_xml(text: str, depth: int) -> bool:
    try:
        root = parse_xml(text.encode())
    except UnreadableFileError:
        return False
    return all(_is_short(value, depth) for node in root.iter() for value in _texts(node))


def _texts(node: Any) -> Iterator[str]:
    yield from (node.text or "", node.tail or "", *node.attrib.values())
    yield str(node.tag)


def _is_json(text: str, depth: int) -> bool:
    try:
        return _is_short_tree(json.loads(text), depth)
    except (ValueError, RecursionError):
        return False


def _is_short_tree(value: Any, depth: int) -> bool:
    if isinstance(value, dict):
        return all(len(k) <= LONGEST_VALUE and _is_short_tree(v, depth) for k, v in value.items())
    if isinstance(value, list):
        numbers = sum(not isinstance(inner, dict | list | str) for inner in value)
        return numbers <= MOST_NUMBERS and all(_is_short_tree(inner, depth) for inner in value)
    return not isinstance(value, str) or _is_short(value, depth)


def _is_short(value: str, depth: int) -> bool:
    """Whether a value is too short for an image, or a text that is metadata itself."""
    left = _BLANKED.sub("", value.strip())
    return len(left) <= LONGEST_VALUE or (depth > 0 and is_metadata(left.encode(), depth - 1))


def _is_encoded(raw: bytes, depth: int) -> bool:
    """Whether a text is base64 of XML, as some programs of FEI write."""
    if depth <= 0 or not _BASE64.fullmatch(raw):
        return False
    try:
        inner = base64.b64decode(b"".join(raw.split()), validate=True)
    except binascii.Error:
        return False
    return inner.lstrip(b"\xef\xbb\xbf\xff\xfe").startswith(b"<") and is_metadata(inner, depth - 1)
