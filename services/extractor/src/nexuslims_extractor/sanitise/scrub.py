"""Names and paths taken out of a copy, byte for byte: the file keeps its length."""

import mmap
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nexuslims_extractor.sanitise.plan import SanitiseError
from nexuslims_extractor.values import leaves, snake

PATHS = "paths"
_PATH = re.compile(
    r"(?<![A-Za-z])[A-Za-z]:\\(?:[^\\\"'<>|;,\r\n\t]+\\)*[^\\\s\"'<>|;,]+"
    r"|\\\\[^\\\s\"'<>|;,]+\\[^\s\"'<>|;,]+"
    r"|/(?:home|Users|data|mnt|media)/[^\s\"'<>|;,]+"
)
_LONGEST_PATH = 300
_LABEL = re.compile(r"^[\w ]+=\s*")  # Zeiss: the value of SV_USER_NAME is "User Name = ..."
_SHORTEST = 3
_ENCODINGS = ("utf-8", "cp1252", "utf-16-le", "utf-16-be")


def words_of(told: Mapping[str, Any], names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return what the named fields say, with what replaces it, by field.

    Parameters
    ----------
    told
        What extraction tells of the file.
    names
        Fields of the metadata schema (``operator``), or of the vendor (``User``), in any case;
        ``paths`` stands for every path of a file in any of them. One that the file does not tell
        has no words.

    Raises
    ------
    SanitiseError
        What a field says is too short to be found among other bytes.
    """
    words: dict[str, dict[str, str]] = {}
    for name in names:
        found = set(_said(told, name))
        if short := [word for word in found if len(word) < _SHORTEST]:
            raise SanitiseError(f"{name} is {short[0]!r}: too short to be told from other bytes")
        words[name] = {word: "x" * len(word) for word in found}
    return words


def _said(told: Mapping[str, Any], name: str) -> Iterator[str]:
    wanted = snake(name).replace("_", "")
    for place, value in leaves(_indexed(told)):
        if not isinstance(value, str):
            continue
        if wanted == PATHS:
            yield from _paths(value)
        elif _is_called(place, wanted) and (said := _LABEL.sub("", value)):
            yield said


def _is_called(place: str, wanted: str) -> bool:
    """Whether a path in snake case ends with a name: ``main_user_name`` does with ``username``."""
    parts = place.split("_")
    return any("".join(parts[start:]) == wanted for start in range(len(parts)))


def _paths(text: str) -> list[str]:
    whole = _PATH.match(text) and "\n" not in text and len(text) <= _LONGEST_PATH
    return [text] if whole else _PATH.findall(text)


def _indexed(value: Any) -> Any:
    """Return a tree with lists as mappings, so that its leaves can be named."""
    if isinstance(value, Mapping):
        return {key: _indexed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return {str(index): _indexed(inner) for index, inner in enumerate(value)}
    return value


def scrub(copy: Path, words: Mapping[str, str]) -> int:
    """Replace words in a file by others of the same length; return how often.

    They are looked for in UTF-8, in a Windows code page and in UTF-16; not within packed data.
    """
    count = 0
    if not words or not copy.stat().st_size:
        return count
    with copy.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        for word in sorted(words, key=len, reverse=True):
            for old, new in _encoded(word, words[word]):
                at = content.find(old)
                while at >= 0:
                    content[at : at + len(old)] = new
                    count += 1
                    at = content.find(old, at + len(new))
    return count


def _encoded(word: str, other: str) -> set[tuple[bytes, bytes]]:
    pairs = set()
    for encoding in _ENCODINGS:
        try:
            old = word.encode(encoding)
        except UnicodeEncodeError:
            continue
        new = other.encode(encoding)
        # a character of two bytes is replaced by two characters
        pairs.add((old, new + new[:1] * (len(old) - len(new))))
    return pairs
