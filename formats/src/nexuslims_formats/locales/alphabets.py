"""What speaks for a code page of another alphabet than the Latin one: its words look like words.

Every byte above 127 is a letter in most of these code pages, so letters alone say nothing. What
does: vowels, capitals, letters that stand only at the end of a word, signs in their place.
"""

import re
from typing import Final

_RARE: Final = 2
"""How much more a character that speaks against an encoding counts."""
_SHORTEST: Final = 3
_WORDS: Final = {
    "cyrillic": re.compile(r"(?<![A-Za-z])[А-яЁё]+(?![A-Za-z])"),
    "greek": re.compile(r"(?<![A-Za-z])[Ά-ώ]+(?![A-Za-z])"),
    "hebrew": re.compile(r"(?<![A-Za-z])[א-ת]+(?![A-Za-z])"),
}
_OTHERS: Final = re.compile(r"[\x00-\x7f№°±µ·«»–—’“”\xa0]")
_VOWELS: Final = {
    "cyrillic": frozenset("аеёиоуыэюяАЕЁИОУЫЭЮЯ"),
    "greek": frozenset("αεηιουωάέήίόύώϊϋΐΰΑΕΗΙΟΥΩΆΈΉΊΌΎΏ"),
}
_LEAST_VOWELS: Final = {"cyrillic": 0.32, "greek": 0.4}
"""Share of vowels below which words are none; in running text it is 0.42 and 0.5."""
_ACCENTED: Final = frozenset("άέήίόύώΐΰΆΈΉΊΌΎΏ")
_ENDS: Final = {"ך": "כ", "ם": "מ", "ן": "נ", "ף": "פ", "ץ": "צ"}
"""Hebrew letters at the end of a word, and their forms before it."""


def cyrillic(text: str, raw: bytes) -> float:
    """Count the letters of words with vowels and capitals at their beginnings.

    Parameters
    ----------
    text
        The bytes read in a Cyrillic code page.
    raw
        The bytes.
    """
    del raw
    words = [word for word in _WORDS["cyrillic"].findall(text) if len(word) >= _SHORTEST]
    if not all(map(_cased, words)):
        return 0.0
    return _counted(text, words, "cyrillic")


def greek(text: str, raw: bytes) -> float:
    """Count the letters of words with vowels, accents, and each sigma in its place.

    Parameters
    ----------
    text
        The bytes read in the Greek code page.
    raw
        The bytes.
    """
    del raw
    words = [word for word in _WORDS["greek"].findall(text) if len(word) >= _SHORTEST]
    lower = [word for word in words if not word.isupper()]
    is_placed = all("ς" not in word[:-1] and not word.endswith("σ") for word in words)
    is_accented = all(sum(letter in _ACCENTED for letter in word) == 1 for word in lower)
    if not (lower and is_placed and is_accented and all(map(_cased, words))):
        return 0.0
    return _counted(text, words, "greek")


def hebrew(text: str, raw: bytes) -> float:
    """Count the letters of words in which final forms stand at the end, and nowhere else.

    Parameters
    ----------
    text
        The bytes read in the Hebrew code page.
    raw
        The bytes.
    """
    del raw
    words = [word for word in _WORDS["hebrew"].findall(text) if len(word) > 1]
    ends = frozenset(_ENDS)
    fits = all(not ends & set(word[:-1]) and word[-1] not in "כמנצ" for word in words)
    if not fits or not any(word[-1] in ends for word in words):
        return 0.0
    return _counted(text, words, "")


def _counted(text: str, words: list[str], alphabet: str) -> float:
    """Return the letters of the words, less what is neither a letter of theirs nor a sign."""
    letters = "".join(words)
    vowels = _VOWELS.get(alphabet, frozenset())
    if sum(letter in vowels for letter in letters) < int(
        _LEAST_VOWELS.get(alphabet, 0.0) * len(letters)
    ):
        return 0.0
    rest = _OTHERS.sub("", text)
    known = set("".join(pattern for pattern in words))
    return len(letters) - _RARE * sum(letter not in known for letter in rest)


def _cased(word: str) -> bool:
    return word[1:].islower() or (word.isupper() and len(word) > _SHORTEST)
