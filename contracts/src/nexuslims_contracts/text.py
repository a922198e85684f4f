"""Texts as JSON, XML and people can take them."""

import json
import re
import unicodedata

_LINE_SEPARATORS = re.compile("\r\n|[\r\u2028\u2029]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]|[\ud800-\udfff]")

_BEYOND_ASCII = re.compile("[^\n\t -~]")
"""What a terminal might obey, or not show; most of a long text need not be looked at."""

_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that reverse the direction of the text behind them."""

_NO_UNICODE = re.compile("[\udc80-\udcff]")
"""Bytes of a file's name that are no UTF-8, as Python holds them (PEP 383)."""


def clean_text(text: str) -> str:
    """Return a text without what XML 1.0 or a text column cannot hold.

    Control characters, noncharacters and lone surrogates are removed; the line ends of every
    system, and Unicode's line and paragraph separators, become line feeds.
    """
    if text.isprintable():  # nearly all are: there is nothing to remove
        return text
    return _CONTROL.sub("", _LINE_SEPARATORS.sub("\n", text))


def terminal_text(text: str) -> str:
    """Return a text that a terminal shows and does not obey.

    Escape sequences, other control characters, what changes the direction of writing, and what is
    no Unicode are shown as escapes. Lines, tabulators and spaces of every width stay.
    """
    return _BEYOND_ASCII.sub(lambda found: _for_terminal(found[0]), text)


def terminal_json(document: str) -> str:
    """Return a JSON document in which JSON's own escapes stand for what a terminal would obey."""
    return _BEYOND_ASCII.sub(lambda found: _for_terminal_json(found[0]), document)


def page_text(text: str) -> str:
    """Return a text for a page, with characters escaped that turn about the text behind them."""
    return _UNSEEN.sub(lambda found: printable(found[0]), text)


def counted(count: int, one: str, several: str = "") -> str:
    """Return a number with what it counts: "1 file", "2 files", "0 files".

    Parameters
    ----------
    count
        How many.
    one
        What it is called if it is one, with its verb if that follows.
    several
        What it is called otherwise; by default with an ``s`` behind.
    """
    return f"{count} {one}" if count == 1 else f"{count} {several or f'{one}s'}"


def _for_terminal(letter: str) -> str:
    return letter if unicodedata.category(letter) == "Zs" else printable(letter)


def _for_terminal_json(letter: str) -> str:
    return letter if letter == _for_terminal(letter) else json.dumps(letter)[1:-1]


def printable(text: str) -> str:
    """Return a file's name for people: what is not printable, or no Unicode, is escaped."""
    unicode = _NO_UNICODE.sub(lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", text)
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in unicode
    )
