"""What a record can hold as text, as an address and as a path.

Characters that XML cannot hold become U+FFFD. A text that reads as no finite number, like ``NaN``,
is put in brackets: CDCS makes numbers of texts, and refuses a record that holds such a one.
"""

import math
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

LONGEST_TEXT: Final = 10_000_000
"""Bytes of one text that parsers take: the limit of libxml2 (XML_MAX_TEXT_LENGTH)."""

_ACTIVE = re.compile("(javascript|vbscript|livescript|data|blob|filesystem):", re.IGNORECASE)
"""Schemes of addresses that a browser runs, or shows as a page of ours."""

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LARGE_EXPONENT = re.compile(r"e\+?\d_?\d_?\d")
_SPECIAL: Final = ("&", "<", ">", "nan", "inf")
_ORDINARY: Final = 200
"""Characters of a text that reads as a finite number if its exponent has two digits at most."""

_STRAY_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(:[0-9]{1,5})?")


def recordable(text: str) -> str:
    """Return a text as a record can hold it; see this module."""
    held = _NOT_XML.sub("\ufffd", text)  # XML 1.0, section 2.2, Char
    try:
        finite = math.isfinite(float(held))
    except ValueError:
        return held
    return held if finite else f"[{held.strip()}]"


def surely_plain(texts: Sequence[str]) -> bool:
    """Tell of many texts at once that a record holds each as it is, without a change or an escape.

    False where that is not sure. To look at each takes twenty times as long.
    """
    together = " ".join(texts)
    if not together.isprintable() or max(map(len, texts), default=0) > _ORDINARY:
        return False
    lower = together.lower()
    return not (any(map(lower.__contains__, _SPECIAL)) or _LARGE_EXPONENT.search(lower))


def inactive(text: str) -> str:
    """Return a text that a page may make a link of: one that would run code is none any more."""
    letters = "".join(letter for letter in text if letter > " ")  # browsers leave these out
    return text.replace(":", "%3A") if _ACTIVE.match(letters) else text


def as_uri(text: str) -> str:
    """Make an anyURI of a text: a web address stays one, anything else is quoted whole.

    What is percent-encoded already stays as it is.
    """
    text = recordable(text)
    try:
        parts = urlsplit(text)
    except ValueError:  # half an IPv6 address, for example
        return _quoted(text, "/")
    user, at, host = parts.netloc.rpartition("@")
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host):
        return _quoted(text, "/")
    delimiters = "!$&'()*+,;=~"  # RFC 3986, section 2.2
    return urlunsplit(
        (
            parts.scheme,
            _quoted(user, delimiters + ":") + at + _quoted(host, delimiters + ":[]"),
            _quoted(parts.path, delimiters + "/:@"),
            _quoted(parts.query, delimiters + "/:@?"),
            _quoted(parts.fragment, delimiters + "/:@?"),
        )
    )


def as_path(path: str) -> str:
    """Write a path as front-ends join it to their addresses: from the root, percent-encoded."""
    return "/" + quote(path, errors="surrogateescape")


def _quoted(part: str, safe: str) -> str:
    return quote(_STRAY_PERCENT.sub("%25", part), safe="%" + safe)
