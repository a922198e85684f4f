"""HTML for people: templates that escape every value, and addresses that may become links."""

from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from nexuslims_contracts.text import page_text

if TYPE_CHECKING:
    from jinja2 import Environment

_LINKED: Final = frozenset({"http", "https"})


def is_web_address(text: str) -> bool:
    """Tell whether a text may become a link: the schemes that run code in a browser may not."""
    try:
        return urlsplit(text).scheme in _LINKED
    except ValueError:
        return False


@lru_cache(maxsize=1)
def templates() -> "Environment":
    """Return our HTML templates, in which every value is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - on first use

    return Environment(
        loader=PackageLoader("nexuslims_uploader"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )


def escaped(text: str) -> str:
    """Return a text as HTML in which nothing is obeyed or turned about."""
    return escape(page_text(text))


def _visible(value: Any) -> Any:
    return page_text(value) if type(value) is str else value  # others are HTML already
