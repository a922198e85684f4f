"""Texts that people wrote, made fit for events, records and a terminal."""

import re
from collections.abc import Mapping
from typing import Any, Final

_UNFIT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def readable_text(text: str) -> str:
    """Replace control characters and halves of characters by U+FFFD, which everybody can see.

    Tabs and line breaks stay. Neither XML nor UTF-8 can hold what is replaced.
    """
    return _UNFIT.sub("\ufffd", text)


def readable(value: Any) -> Any:
    """Do the same for every text in a tree of mappings and lists, and for the names in it."""
    match value:
        case str():
            return readable_text(value)
        case Mapping():
            return {readable_text(str(key)): readable(one) for key, one in value.items()}
        case list() | tuple():
            return [readable(one) for one in value]
        case _:
            return value
