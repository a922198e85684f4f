"""HTML for people: templates that escape every value, and addresses that may become links."""

from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

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
    )
