"""Reading answers: what a server says of an error, and whether it was the service at all."""

import json
import re
from typing import Final

import httpx

_LONGEST: Final = 400
"""Characters quoted of what a server says."""


def error_text(response: httpx.Response) -> str:
    """Return what a server says about an error: its JSON, or its text, in one short line."""
    if is_page(response):
        return "a web page"
    try:
        document = response.json()
    except ValueError:
        document = response.text
    if isinstance(document, dict):
        keys = ("message", "detail", "description", "error")
        document = next((document[key] for key in keys if document.get(key)), document)
    text = document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]} ..."


def asked_for(response: httpx.Response) -> str:
    """Return what was asked for, without the query, which may hold a signature."""
    return f"{response.request.method} {response.request.url.path}"


def quoted(text: str) -> str:
    """Return what a server says, to be put behind what it was asked."""
    return f": {text}" if text else ""


def is_page(response: httpx.Response) -> bool:
    """Tell whether a web page answered, as of a proxy or a login."""
    kind = response.headers.get("content-type", "")
    return (
        "html" in kind
        or re.match(rb"\s*<(!doctype|html)", response.content[:200], re.IGNORECASE) is not None
    )
