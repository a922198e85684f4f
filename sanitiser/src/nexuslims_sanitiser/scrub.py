"""Names and paths taken out of a copy, byte for byte: the file keeps its length."""

import mmap
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nexuslims_formats.values import leaves, snake
from nexuslims_sanitiser.plan import SanitiseError

PATHS = "paths"
_PATH = re.compile(
    r"(?<![A-Za-z])[A-Za-z]:\\(?:[^\\\"'<>|;,\r\n\t]+\\)*[^\\\s\"'<>|;,]+"
    r"|\\\\[^\\\s\"'<>|;,]+\\[^\s\"'<>|;,]+"
    r"|/(?:home|Users|data|mnt|media)/[^\s\"'<>|;,]+"
)
_LONGEST_PATH = 300
_LABEL = re.compile(r"^[\w ]+=\s*")  # Zeiss: the value of SV_USER_NAME is "User Name = ..."
_SHORTEST = 3
# with the bytes before and after an ASCII letter's own
_ENCODINGS = {
    "utf-8": ("", ""), "cp1252": ("", ""), "utf-16-le": ("", r"\0"), "utf-16-be": (r"\0", ""),
}  # fmt: skip


def words_of(metadata: Mapping[str, Any], names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return what the named fields say, with what replaces it, by field.

    Parameters
    ----------
    metadata
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
        found = set(_values_of(metadata, name))
        if short := [word for word in found if len(word) < _SHORTEST]:
            raise SanitiseError(f"{name} is {short[0]!r}: too short to be told from other bytes")
        words[name] = {word: "x" * len(word) for word in found}
    return words


def _values_of(metadata: Mapping[str, Any], name: str) -> Iterator[str]:
    wanted = snake(name).replace("_", "")
    for place, value in leaves(_indexed(metadata)):
        if not isinstance(value, str):
            continue
        if wanted == PATHS:
            yield from _paths(value)
        elif _is_called(place, wanted) and (value_itself := _LABEL.sub("", value)):
            yield value_itself


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

    They are looked for in UTF-8, in a Windows code page and in UTF-16; not within packed data, and
    not within longer words.

    Parameters
    ----------
    copy
        The copy, changed in place.
    words
        Each word, with what replaces it.
    """
    count = 0
    if not words or not copy.stat().st_size:
        return count
    with copy.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        for word in _longest_first(words):
            for pattern, new in _encoded(word, words[word]):
                places = [match.start() for match in pattern.finditer(content)]
                count += len(places)
                for at in places:
                    content[at : at + len(new)] = new
    return count


def scrubbed(text: str, words: Mapping[str, str]) -> str:
    """Return a text with words replaced where :func:`scrub` replaces them.

    Parameters
    ----------
    text
        A text that may hold the words.
    words
        Each word, with what replaces it.
    """
    for word in _longest_first(words):
        text = words[word].join(re.split(_bounded(word, word), text))
    return text


def _longest_first(words: Iterable[str]) -> list[str]:
    return sorted(words, key=lambda word: (-len(word), word))


def _bounded(word: str, encoded: str, before: str = "", after: str = "") -> str:
    """Return a pattern of a word that no letter or digit makes longer.

    ``before`` and ``after`` are the other bytes of a letter, as the encoding places them.
    """
    letter = f"{before}[0-9A-Za-z]{after}"
    left = f"(?<!{letter})" if word[:1].isalnum() else ""
    right = f"(?!{letter})" if word[-1:].isalnum() else ""
    return f"{left}{re.escape(encoded)}{right}"


def _encoded(word: str, other: str) -> Iterator[tuple[re.Pattern[bytes], bytes]]:
    found = {}
    for encoding, (before, after) in _ENCODINGS.items():
        try:
            old = word.encode(encoding)
        except UnicodeEncodeError:
            continue
        new = other.encode(encoding)
        pattern = _bounded(word, old.decode("latin-1"), before, after).encode("latin-1")
        # a character of two bytes is replaced by two characters
        found[pattern] = new + new[:1] * (len(old) - len(new))
    for pattern, new in found.items():
        yield re.compile(pattern), new
