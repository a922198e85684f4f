"""Numbers with decimal points or commas, with or without separators of thousands."""

import math
import re
from collections.abc import Iterable
from typing import Final

_PLAIN: Final = str.maketrans(
    {"\u2212": "-", "\u2013": "-", "\ufe63": "-", "\uff0d": "-", "\uff0b": "+", "\uff0e": ".",
     "\uff0c": ",", "\u066b": ",", "\u066c": "'"}
    | {chr(0xFF10 + digit): str(digit) for digit in range(10)}
)  # fmt: skip
"""Signs and digits of Asian keyboards, typographers' minus signs and Arabic marks, as ASCII."""
_POWERS: Final = re.compile("10([⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_RAISED: Final = str.maketrans("⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "+-0123456789")
_GROUP: Final = "'\u2019\u00a0\u202f\u2009"
"""Separators of thousands that are nothing else; a plain space may separate two numbers."""
_HEAD: Final = re.compile(
    rf"\s*(?P<mantissa>[-+]?(?:\d[\d.,{_GROUP}]*|[.,]\d+))"
    r"(?:[eE](?P<exponent>[-+]?\d+)|\s*[x×*·]\s*10(?:\^|\*\*|(?=[-+]))(?P<power>[-+]?\d+))?"
)
_NO_NUMBER: Final = "#"
"""What Microsoft's C library writes for infinity and NaN: ``1.#INF``, ``-1.#IND``, ``1.#QNAN``."""
_GROUPS: Final = {
    mark: re.compile(rf"\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+") for mark in (",", ".", *_GROUP)
}
_THOUSANDS: Final = 3


def split_number(text: str, *, comma: bool | None = None) -> tuple[float, str] | None:
    """Return the number that a text starts with, and what follows it.

    Parameters
    ----------
    text
        For example ``15,5 kV``, ``1.234,5``, ``12'000`` or ``3e-05 s``.
    comma
        Whether the commas beside it are decimal ones; None where that is not known.

    Returns
    -------
    number, rest
        None where the text starts with no finite number, or with one that has two readings:
        ``1,234`` is 1.234 or 1234, unless ``comma`` settles it.
    """
    text = _written_out(text)
    match = _HEAD.match(text)
    if match is None or text.startswith(_NO_NUMBER, match.end()):
        return None
    mantissa = match["mantissa"].rstrip(f".,{_GROUP}")
    exponent = match["exponent"] or match["power"]
    # before an exponent nobody groups digits: 3,000E+04 has a decimal comma
    plain = _plain(mantissa, comma=True if exponent and "." not in mantissa else comma)
    if plain is None:
        return None
    number = float(f"{plain}e{exponent}" if exponent else plain)
    # a mark behind the digits is no part of the number, unless an exponent follows: "1.e5"
    end = match.end() if exponent else match.start("mantissa") + len(mantissa)
    return (number, text[end:].strip(" \t\r\n\0.,;")) if math.isfinite(number) else None


def _written_out(text: str) -> str:
    """Return a text with signs and digits in ASCII, and powers of ten in one line."""
    raised = _POWERS.sub(lambda found: f"10^{found[1].translate(_RAISED)}", text)
    return raised.translate(_PLAIN)


def _plain(mantissa: str, *, comma: bool | None) -> str | None:
    """Return digits with a decimal point, as Python reads them; None where they have no reading."""
    sign = mantissa[0] if mantissa[0] in "+-" else ""
    digits = mantissa.removeprefix(sign)
    for mark in _GROUP:
        if mark in digits:
            whole, _, fraction = digits.replace(",", ".").partition(".")
            if not _GROUPS[mark].fullmatch(whole) or not (fraction or "0").isdecimal():
                return None
            return sign + whole.replace(mark, "") + (f".{fraction}" if fraction else "")
    if "," in digits and "." in digits:
        decimal = max(",.", key=digits.rfind)
        group = "." if decimal == "," else ","
        whole, _, fraction = digits.rpartition(decimal)
        if not _GROUPS[group].fullmatch(whole) or not fraction.isdecimal():
            return None
        return f"{sign}{whole.replace(group, '')}.{fraction}"
    if "," in digits:
        return _one_mark(sign, digits, ",", decimal=comma)
    if "." in digits:
        return _one_mark(sign, digits, ".", decimal=not comma)
    return sign + digits


def _one_mark(sign: str, digits: str, mark: str, *, decimal: bool | None) -> str | None:
    """Return digits with one kind of mark in them, which separates decimals or thousands."""
    whole, _, rest = digits.partition(mark)
    may_group = bool(_GROUPS[mark].fullmatch(digits)) and not whole.startswith("0")
    if mark in rest:
        return sign + digits.replace(mark, "") if may_group else None
    if may_group and decimal is None:
        return None
    if may_group and not decimal:
        return sign + digits.replace(mark, "")
    return f"{sign}{whole or '0'}.{rest}"


def has_decimal_commas(texts: Iterable[str]) -> bool | None:
    """Tell from numbers that have one reading only how the others beside them are written.

    Parameters
    ----------
    texts
        Values of one file, numbers or not.

    Returns
    -------
    bool or None
        True for decimal commas, False for decimal points, None where nothing tells.
    """
    votes = {vote for text in texts if (vote := _vote(text)) is not None}
    return votes.pop() if len(votes) == 1 else None


def _vote(text: str) -> bool | None:
    match = _HEAD.match(_written_out(text))
    if match is None:
        return None
    digits = match["mantissa"].lstrip("+-").rstrip(".,")
    if (match["exponent"] or match["power"]) and digits.count(",") == 1 and "." not in digits:
        return True
    if "," in digits and "." in digits:
        return digits.rfind(",") > digits.rfind(".")
    for mark, vote in ((",", True), (".", False)):
        whole, _, rest = digits.partition(mark)
        if rest and mark not in rest and (len(rest) != _THOUSANDS or whole in ("", "0")):
            return vote
    return None
