"""Texts in UTF-8, UTF-16, code pages, Shift-JIS, GBK or EUC-KR, decided by evidence.

A file of a microscope seldom says how it is encoded. An encoding counts as likely by the letters
that it makes: those of everyday words speak for it, rare signs and private characters against it.
Where none is likely, the bytes are kept, escaped.
"""

import re
from collections.abc import Callable
from typing import Final

from nexuslims_formats.locales.alphabets import cyrillic, greek, hebrew

_BOMS: Final = {
    b"\xff\xfe\0\0": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
    b"\xef\xbb\xbf": "utf-8-sig",
}
_LATIN: Final = frozenset(
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜàáâãäåæçèéêëìíîïñòóôõöøùúûüÿßœŒµ°±²³·×®©™€§«»–—‘’“”•…º¹\xa0"
)
_WESTERN: Final = tuple(map(frozenset, (
    "äöüß", "àâæçéèêëîïôœùûüÿ", "áéíñóúü", "áâãàçéêíóôõúü", "àèéìíîòóùú", "æøåéèêóôü", "åäöéüà",
    "áèéêëíïóöúü", "áðéíóúýþæö", "äöõüšž", "àçèéíïòóúü",
)))  # fmt: skip
"""Letters of German, French, Spanish, Portuguese, Italian, Danish, Swedish, Dutch, Icelandic,
Estonian and Catalan."""
_CENTRAL: Final = tuple(map(frozenset, (
    "áčďéěíňóřšťúůýž", "ąćęłńóśźż", "áéíóöőúüű", "áäčďéíĺľňóôŕšťúýž", "čćđšž", "ăâîșțşţ",
)))  # fmt: skip
"""Letters of Czech, Polish, Hungarian, Slovak, Croatian and Romanian."""
_TELLING: Final = 3
"""Different letters that must fit a language before it counts for another code page."""
_RARE: Final = 2
"""How much more a character that speaks against an encoding counts."""
_DISTINCTIVE: Final = 10
_ESCAPED: Final = "iso2022_jp"
_KANJI_IN: Final = re.compile(rb"\x1b\$[@B]")
_RUN: Final = re.compile(rb"[\x80-\xff]+")
_SIGN_WITHIN_WORD: Final = re.compile(r"(?<=[^\W\d_])[„“”‘•…«»©®™](?=[^\W\d_])")
_BETWEEN_LATIN: Final = re.compile(r"(?<=[A-Za-z])[^\x00-\x7f](?=[A-Za-z])")


def decode(raw: bytes, *, cut: bool = False) -> tuple[str, str]:
    r"""Return a text and the encoding that it was read in.

    Parameters
    ----------
    raw
        The bytes of a text.
    cut
        Whether it may end within a character.

    Returns
    -------
    text, encoding
        The encoding is ``ascii`` where bytes are kept as ``\xe9``.
    """
    marked = _by_mark(raw)
    if marked:
        return raw.decode(marked, "replace" if marked != _ESCAPED else "strict"), marked
    try:
        return raw.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        if cut and error.start >= len(raw) - 4:
            return raw[: error.start].decode("utf-8"), "utf-8"
    likely = _likely(raw) or (_likely(raw[:-1]) if cut else "")
    if likely:
        return raw.decode(likely, "ignore" if cut else "strict"), likely
    return raw.decode("ascii", "backslashreplace"), "ascii"


def is_marked(head: bytes) -> bool:
    """Tell whether a file begins with a byte order mark."""
    return head.startswith(tuple(_BOMS))


def _by_mark(raw: bytes) -> str:
    """Return what a byte order mark, or zeros in every other place, tell; empty without them."""
    for mark, encoding in _BOMS.items():
        if raw.startswith(mark):
            return encoding
    kept = raw.rstrip(b"\0")
    for place, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        starts = len(raw) > 1 and raw[place] == 0 and raw[1 - place] != 0
        zeros, others = kept[place::2].count(0), kept[1 - place :: 2].count(0)
        if starts or (not others and zeros > 1 and 4 * zeros >= len(kept)):
            return encoding
    return _ESCAPED if _KANJI_IN.search(raw) and _is(raw, _ESCAPED) else ""


def _is(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _likely(raw: bytes) -> str:
    """Return the encoding for which the letters speak; empty where they speak for none, or two."""
    scores: dict[str, float] = {}
    for encoding, judge in _JUDGES.items():
        try:
            scores[encoding] = judge(raw.decode(encoding), raw)
        except UnicodeDecodeError:
            continue
    best = max(scores, key=lambda encoding: scores[encoding], default="")
    if not best or scores[best] <= 0 or list(scores.values()).count(scores[best]) > 1:
        return ""
    return best


def _latin(text: str, raw: bytes) -> float:
    """Count accented letters and signs; words of them alone are words of another alphabet."""
    good = float(sum(letter in _LATIN for letter in text))
    strange = sum(letter not in _LATIN for letter in text if ord(letter) > 127)  # noqa: PLR2004
    together = sum(
        len(run) for run in _RUN.findall(raw.replace(b"\xa0", b"")) if len(run) > 1 and _wide(run)
    )
    if not _of_one_language(text, _WESTERN):
        good /= 2
    strange += len(_SIGN_WITHIN_WORD.findall(text))
    return good - _RARE * strange - 0.75 * together


def _of_one_language(text: str, alphabets: tuple[frozenset[str], ...]) -> bool:
    letters = {one for one in text.lower() if one > "\x7f" and one.isalpha() and one not in "µªº"}
    return any(letters <= alphabet for alphabet in alphabets)


def _central(text: str, raw: bytes) -> float:
    """Count the letters of a language of Central Europe, if there are several and of one."""
    del raw
    letters = [one for one in text.lower() if one > "\x7f" and one.isalpha() and one != "µ"]
    fits = len(set(letters)) >= _TELLING and _of_one_language(text, _CENTRAL)
    return len(letters) if fits else 0.0


def _wide(run: bytes) -> bool:
    """Tell bytes that follow one another without being quotation marks or dashes."""
    return any(byte >= 0xC0 for byte in run)  # noqa: PLR2004 - where letters begin


def _of_dos(text: str, raw: bytes) -> float:
    """Count as for Western Europe, a little less: where both are likely it is Windows'."""
    blanks = text.count("\xa0")  # the last byte of all, which is more often a mark than a blank
    return _latin(text, raw) - 0.5 - 2 * _RARE * blanks


def _turkish(text: str, raw: bytes) -> float:
    """Count as for Western Europe; the letters that Turkish has in place of Icelandic's."""
    own = sum(letter in "ĞğİıŞş" for letter in text)
    return (
        _latin("".join(" " if letter in "ĞğİıŞş" else letter for letter in text), raw) + own - 0.5
    )


def _japanese(text: str, raw: bytes) -> float:
    """Count kana and everyday kanji (JIS level 1, whose first byte is below 0x98)."""
    del raw
    good = narrow = 0
    against = len(_BETWEEN_LATIN.findall(text))  # no word has one kanji between letters
    for letter in text:
        if ord(letter) < 128:  # noqa: PLR2004 - ASCII
            continue
        code = letter.encode("cp932")
        everyday = len(code) > 1 and 0x81 <= code[0] <= 0x98  # noqa: PLR2004 - as above
        narrow += len(code) == 1
        good += 2 * everyday
        against += len(code) > 1 and not everyday
    # katakana of half a width: of one byte each, as the letters of other code pages
    return good - _RARE * (against if good else against + narrow)


def _unix_japanese(text: str, raw: bytes) -> float:
    """Count kana and kanji, if there are kana: without them the same bytes are hanzi or Hangul."""
    del raw
    wide = [letter for letter in text if ord(letter) > 127]  # noqa: PLR2004 - ASCII
    if not any("ぁ" <= letter <= "ヶ" for letter in wide):
        return 0.0
    leads = [letter.encode("euc_jp")[0] for letter in wide]
    everyday = sum(0xA1 <= lead <= 0xCF for lead in leads)  # noqa: PLR2004 - kana and JIS level 1
    return 2 * everyday - _RARE * (len(wide) - everyday) + 1


def _in_range(
    first: tuple[int, int], encoding: str, *, distinctive: bool = False
) -> Callable[[str, bytes], float]:
    """Count the characters whose two bytes lie in the everyday part of a character set.

    The Hangul of EUC-KR lies where half of the hanzi of GBK do: several characters that all lie
    there are more likely Hangul, few may be either.
    """

    def judge(text: str, raw: bytes) -> float:
        del raw
        good, against = 0, 2 * len(_BETWEEN_LATIN.findall(text))
        for letter in text:
            if ord(letter) < 128:  # noqa: PLR2004 - ASCII
                continue
            code = letter.encode(encoding)
            everyday = (
                len(code) > 1 and first[0] <= code[0] <= first[1] and code[1] >= 0xA1  # noqa: PLR2004
            )
            good += 2 * everyday
            against += not everyday
        score = good - _RARE * against
        return score + 1 if distinctive and score >= _DISTINCTIVE else score

    return judge


def _traditional(text: str, raw: bytes) -> float:
    """Count everyday hanzi of Big5, of which some have a second byte that GBK's have not.

    One that stands alone may be ``µm``, whose bytes it has.
    """
    del raw
    runs = [run.encode("big5") for run in re.findall(r"[^\x00-\x7f]+", text)]
    is_big5 = any(second < 0x7F for run in runs for second in run[1::2])  # noqa: PLR2004 - as above
    hanzi = [first for run in runs for first in run[::2] if len(run) > 2]  # noqa: PLR2004 - bytes
    everyday = sum(0xA4 <= first <= 0xC6 for first in hanzi)  # noqa: PLR2004 - level 1
    against = sum(map(len, runs)) // 2 - everyday
    return 2.0 * everyday - _RARE * against if is_big5 else 0.0


_JUDGES: Final[dict[str, Callable[[str, bytes], float]]] = {
    "cp1252": _latin,
    "cp1250": _central,
    "cp1254": _turkish,
    "cp932": _japanese,
    "euc_jp": _unix_japanese,
    "gb18030": _in_range((0xB0, 0xD7), "gb18030"),
    "cp949": _in_range((0xB0, 0xC8), "cp949", distinctive=True),
    "cp1251": cyrillic,
    "koi8_r": cyrillic,
    "cp866": cyrillic,
    "cp1253": greek,
    "cp1255": hebrew,
    "cp850": _of_dos,
    "big5": _traditional,
}
ENCODINGS: Final = ("ascii", "utf-16-le", "utf-16-be", "utf-32", *_JUDGES)
"""What texts may be in besides UTF-8: Python loads each when it is first used."""
