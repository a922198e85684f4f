"""What is secret, and keeping it out of everything that is printed or written.

A setting is secret by its type (``SecretStr``) or, for plugins that declare plain text, by its
name. An address is not, but the credentials and the query in it are. The reader of settings calls
:func:`remember` with every secret that it meets, so that :func:`hide` also finds it in what others
say: in the message of an exception of a library, for example. Logs, error messages, health pages
and ``nexuslims doctor`` pass through :func:`hide`; ``nexuslims config`` uses :func:`hide_in`.
"""

import json
import re
from typing import Any, Final, get_args
from urllib.parse import unquote

from pydantic import SecretBytes, SecretStr
from pydantic.fields import FieldInfo

HIDDEN: Final = "(hidden)"

_SHORTEST: Final = 6
"""Characters of the shortest secret looked for in texts: shorter ones occur in common words."""

_SECRET_NAME: Final = re.compile(r"token|password|secret|(?:^|_)key(?:_|$)", re.IGNORECASE)
_CREDENTIALS: Final = re.compile(r"(?<=://)[^\s\"'<>]*@")
_QUERY: Final = re.compile(r"(?<=[?#])[^\s\"'<>]+")
_SECRET_PARAMETER: Final = re.compile(
    r"(?<=[?&])([^=&\s\"']*(?:token|password|secret|key|sig)[^=&\s\"']*)=[^&\s\"'<>]+",
    re.IGNORECASE,
)

_known: dict[str, None] = {}
"""Secrets that this process has read, the longest first."""


def is_secret(name: str, field: FieldInfo) -> bool:
    """Tell whether a setting holds a secret.

    Parameters
    ----------
    name
        Of the field of the model, such as ``token``.
    field
        Its declaration.
    """
    return _holds_secret(field.annotation) or _SECRET_NAME.search(name) is not None


def remember(secret: str) -> None:
    """Have :func:`hide` look for a secret in every form in which it may be quoted."""
    text = secret.strip()
    for form in (text, unquote(text), json.dumps(text)[1:-1], repr(text)[1:-1]):
        if len(form) >= _SHORTEST:
            _known[form] = None
    ordered = sorted(_known, key=len, reverse=True)
    _known.clear()
    _known.update(dict.fromkeys(ordered))


def remember_credentials(text: str) -> None:
    """Have :func:`hide` look for the password, or the only token, of each address in a text."""
    for address in text.split(","):
        if parts := _credentials(address):
            remember(parts[-1])


def hide(text: str) -> str:
    """Return a message without secrets: those known, and what credentials addresses hold."""
    for secret in _known:
        text = text.replace(secret, HIDDEN)
    text = _CREDENTIALS.sub(f"{HIDDEN}@", text)
    return _SECRET_PARAMETER.sub(rf"\1={HIDDEN}", text)


def hide_in(value: Any, *, secret: bool) -> str:
    """Return the value of a setting as anybody may read it; empty if it is not set.

    Parameters
    ----------
    value
        As the model has it, or as it was given.
    secret
        What :func:`is_secret` says of the setting.
    """
    if value is None or value == "":
        return ""
    if secret:
        return HIDDEN
    text = ",".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
    if "://" in text:
        text = _QUERY.sub(HIDDEN, _CREDENTIALS.sub(f"{HIDDEN}@", text))
    return text


def _holds_secret(annotation: Any) -> bool:
    """Look for the types of secrets in an annotation, such as ``SecretStr | None``."""
    if annotation in (SecretStr, SecretBytes):
        return True
    return any(_holds_secret(part) for part in get_args(annotation))


def _credentials(address: str) -> list[str]:
    """Return user and password of an address, as far as it has them."""
    before, at, _ = address.partition("://")[2].rpartition("@")
    return before.split(":", 1) if at else []
