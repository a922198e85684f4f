"""From what vendors write to numbers with units: the one way that every reader takes.

The units are those of :mod:`nexuslims_contracts.units`. A unit that is not known stays as the
vendor wrote it: validation then refuses the value and reports it, with its unit, in words.
"""

import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeAlias

from nexuslims_contracts.units import (
    UnitError,
    dimension_of,
    known_unit,
    normalise_unit,
    to_preferred,
)
from nexuslims_formats.locales.numbers import has_decimal_commas, split_number
from nexuslims_formats.model import Value

Quantity: TypeAlias = tuple[float, str]
"""A number and its unit."""
Row: TypeAlias = tuple[str, str, str]
"""Core field, the vendor's name or path, and the unit of a value that comes without one."""

TEXT: Final = "text"
"""In the place of a unit: the words as they are."""
NUMBER: Final = "number"
"""In the place of a unit: a plain number."""
OWN_UNIT: Final = "own unit"
"""In the place of a unit: a value counts only where it comes with its unit."""

_ANGSTROM: Final = re.compile(r"((?:1\s*/\s*)?)A((?:\s*(?:\^|\*\*)?\s*-1)?)")
_COUNTED: Final = frozenset(
    ("a.u", "arb", "arb. units", "arb.u", "arbitrary units", "channel", "channels", "counts",
     "frame", "frames", "image", "index", "m/z", "none", "page", "pages", "pattern", "pix", "pixel",
     "pixels", "point", "points", "px", "scan", "slice", "slices", "spectrum", "unitless")
)  # fmt: skip
_DIGIT = re.compile(r"\d")
_MAGNIFIED: Final = re.compile(
    r"\s*[x\u00d7]?\s*(\d[^\sa-z\u00d7]*)\s*([km]?)\s*[x\u00d7]?\s*", re.IGNORECASE
)
_MAGNIFIED_BY: Final = {"": " x", "k": " kx", "m": "e6 x"}
_NOT_FINITE: Final = re.compile(r"[-+]?(?:nan|inf)(?:inity|\(\w+\))?\b.*", re.IGNORECASE)
_LENGTHS = ("mm", "um", "nm")


def number(value: Any) -> float | None:
    """Return the finite number that a vendor's value starts with, or None."""
    found = quantity(value)
    return found[0] if found else None


def quantity(value: Any, unit: str = "", *, comma: bool | None = None) -> Quantity | None:
    """Return number and unit of ``5`` or ``"15000 Volt"``; None where there is no finite number.

    Parameters
    ----------
    value
        A number, or a text that starts with one; what follows it is taken as its unit.
    unit
        Of a value that comes without one.
    comma
        Whether commas are decimal ones; None where that is not known.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return (float(value), unit) if abs(value) <= sys.float_info.max else None
    found = split_number(str(value), comma=comma)
    return (found[0], spelled_unit(found[1]) or unit) if found else None


def is_not_finite(text: str) -> bool:
    """Tell how programs write what is no number, or infinite: ``NaN``, ``-nan(ind)``, ``Inf``."""
    return _NOT_FINITE.fullmatch(text.strip()) is not None


def converted(value: object, unit: str) -> float | None:
    """Return the number of a quantity in another unit; None where it cannot be that.

    Parameters
    ----------
    value
        ``(number, unit)``; anything else gives None.
    unit
        The unit wanted, for example ``m``.
    """
    if not (isinstance(value, tuple) and len(value) == 2):  # noqa: PLR2004 - a pair
        return None
    given, of = value
    try:
        return float(to_preferred(given, of, unit).value)
    except UnitError:
        return None


def pixel_size(height: object, width: object) -> tuple[float, float] | None:
    """Return the size of a pixel in metres; None unless both lengths are known and positive.

    Parameters
    ----------
    height, width
        Each ``(number, unit)``, or None.
    """
    down, across = converted(height, "m"), converted(width, "m")
    return (down, across) if down and across and min(down, across) > 0 else None


def spelled_unit(text: object) -> str:
    """Return a unit in its canonical spelling; an unknown one as it is written."""
    words = str(text or "").strip()
    return known_unit(words) or known_unit(_mended(words)) or words


def _mended(words: str) -> str:
    """Return a unit without brackets, and without what reading UTF-8 as CP1252 makes of letters."""
    bare = words[1:-1] if words[:1] + words[-1:] == "[]" else words
    try:
        return bare if bare.isascii() else bare.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return bare


def unit_of_length(text: object) -> str:
    """Return the unit of a place or a frequency in it: there ``A`` is the angstrom."""
    words = str(text or "").strip()
    match = _ANGSTROM.fullmatch(words)
    return spelled_unit(f"{match[1]}Å{match[2]}" if match else words)


def counts(unit: str) -> bool:
    """Tell a word for what is only counted, such as pixels; no unit at all is one, too."""
    return not unit or unit.casefold().strip("()[]. ") in _COUNTED


def is_unit(text: str) -> bool:
    """Tell a unit, or a word for what is only counted, from a text that is neither.

    Pint, which is slow to load, is asked for what neither the table nor the words have.
    """
    if counts(text) or known_unit(text):
        return True
    try:
        normalise_unit(text)
    except UnitError:
        return False
    return True


def measures(unit: str) -> str:
    """Return what a unit measures, for example ``length``; empty for what is no known unit."""
    symbol = known_unit(unit)
    return dimension_of(symbol) if symbol else ""


def readable_length(metres: float) -> tuple[float, str]:
    """Return a length in nm, um or mm, whichever reads best; what is not finite is in mm."""
    if not math.isfinite(metres):
        return metres, "mm"
    shortest = float(to_preferred(metres, "m", "nm").value), "nm"
    lengths = ((float(to_preferred(metres, "m", unit).value), unit) for unit in _LENGTHS)
    return next((found for found in lengths if abs(found[0]) >= 1), shortest)


def mapped(look_up: Callable[[str], Any], rows: Iterable[Row]) -> Iterator[tuple[str, Value]]:
    """Yield the core fields of a table; of several rows for a field, the first with a value counts.

    Parameters
    ----------
    look_up
        Returns the vendor's value of a name or path; None where there is none.
    rows
        The table. In the place of a unit may stand :data:`TEXT`, :data:`NUMBER` or
        :data:`OWN_UNIT`.
    """
    values = [(field, look_up(name), unit) for field, name, unit in rows]
    comma = has_decimal_commas(
        raw for _, raw, unit in values if unit != TEXT and isinstance(raw, str)
    )
    done: set[str] = set()
    for field, raw, unit in values:
        if field in done:
            continue
        value = stated(raw, unit, comma=comma)
        if value is not None:
            done.add(field)
            yield field, value


def stated(raw: Any, unit: str, *, comma: bool | None) -> Value | None:
    """Return a core value as a vendor states it; what is no number of one reading as its text.

    Parameters
    ----------
    raw
        The vendor's value; None where there is none.
    unit
        Of a value that comes without one; or :data:`TEXT`, :data:`NUMBER` or :data:`OWN_UNIT`.
    comma
        Whether commas are decimal ones; None where that is not known.
    """
    if unit == TEXT:
        return str(raw or "").strip() or None
    if unit == "x" and isinstance(raw, str) and (times := _MAGNIFIED.fullmatch(raw)):
        raw = f"{times[1]}{_MAGNIFIED_BY[times[2].lower()]}"  # such as x50k, 50 K or 1.00 M X
    found = quantity(raw, "" if unit in (NUMBER, OWN_UNIT) else unit, comma=comma)
    if found is None:
        # no number of one reading, or none that is finite: what is done with it is reported
        text = str(raw) if isinstance(raw, float) else raw
        is_reported = isinstance(text, str) and (_DIGIT.search(text) or is_not_finite(text))
        return text if is_reported else None
    if unit == NUMBER:
        return found[0]
    return found if found[1] else None
