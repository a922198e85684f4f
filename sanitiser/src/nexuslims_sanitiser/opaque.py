"""How much of a text is no words: numbers in rows, hexadecimal, base64, letters at random.

A text that can be parsed may still hold an image, in lines of ``Row1=12 57 41`` or in many short
pieces of base64. Metadata has little of that kind.
"""

import re
from collections import Counter
from html import unescape
from typing import Final
from urllib.parse import unquote

MOST: Final = 1024
"""Bytes of a text that may be no words: 32 x 32 pixels."""
_NUMBER: Final = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_ROW: Final = re.compile(rf"{_NUMBER}(?:[\s,;\[\]]{{1,8}}{_NUMBER}){{15,}}")
_PACKED: Final = re.compile(r"[A-Za-z0-9+/]{40,}")
_HEXADECIMAL: Final = re.compile(r"[0-9A-Fa-f]+")
_TAG: Final = re.compile(r"</?[A-Za-z][^<>\n]{0,300}>|<!\[CDATA\[|\]\]>")
_STRING: Final = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_BREAK: Final = re.compile(r"[\r\n\0]+")
_NUMBERED: Final = re.compile(r"([A-Za-z][A-Za-z_.-]{0,30})\d{0,9}\W{1,4}[-+.]?\d")
_MOST_NUMBERED: Final = 2048
"""Numbers under one name: a series of tilts has fewer sections."""
_STRANGE: Final = re.compile(r"[^\w\s.,:/\\()%=+\"-]")
_LINE, _STRANGE_PART = 40, 0.15
_UNBROKEN: Final = re.compile(r"[^\s\0]{250,}")


def is_opaque(text: str) -> bool:
    """Tell whether a text holds more of what is no words than metadata does."""
    text = unescape(text)  # XML within XML
    return opaque_bytes(text) > MOST or _is_numbered(text)


def is_written(text: str) -> bool:
    """Tell whether all of a text are letters, marks and breaks of lines, and no control codes."""
    return all(letter.isprintable() or letter in "\t\r\n\0" for letter in text)


def opaque_bytes(text: str) -> int:
    """Return about how many bytes of an image the parts of a text may be that are no words.

    Numbers in rows count a byte each, hexadecimal half of its letters, base64 three quarters, and
    lines all of them that have a strange share of punctuation, or 250 letters without a space.
    Equal parts count once.
    """
    rows = sum(len(re.findall(_NUMBER, row)) for row in {found[0] for found in _ROW.finditer(text)})
    packed = sum(map(_packed_bytes, set(_PACKED.findall(text))))
    is_json = text.lstrip().startswith(("{", "[{"))
    values = [
        line for part in (_STRING.findall(text) if is_json else [text]) for line in _lines(part)
    ]
    return rows + packed + sum(len(line) for line in set(values) if _is_strange(line))


def _lines(text: str) -> list[str]:
    return _BREAK.split(_TAG.sub("\n", unquote(text)))  # Velox writes its log as part of an address


def _packed_bytes(run: str) -> int:
    if _HEXADECIMAL.fullmatch(run):
        return len(run) // 2
    kinds = (str.isdigit, str.isupper, str.islower)
    mixed = all(sum(map(kind, run)) >= len(run) // 20 for kind in kinds)
    return len(run) * 3 // 4 if mixed else 0


def _is_strange(line: str) -> bool:
    if _UNBROKEN.search(line):
        return True
    return len(line) >= _LINE and len(_STRANGE.findall(line)) > _STRANGE_PART * len(line)


def _is_numbered(text: str) -> bool:
    """Tell whether one name, numbered or not, has more numbers than a series of images."""
    names = Counter(found[1] for found in _NUMBERED.finditer(text))
    return any(count > _MOST_NUMBERED for count in names.values())
