"""Texts that people wrote, made fit for events, records and a terminal."""

import re
from typing import Final

_UNFIT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def readable_text(text: str) -> str:
    """Replace control characters and halves of characters by U+FFFD, which everybody can see.

    Tabs and line breaks stay. Neither XML nor UTF-8 can hold what is replaced.
    """
    return _UNFIT.sub("\ufffd", text)
