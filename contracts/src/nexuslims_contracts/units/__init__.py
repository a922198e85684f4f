"""Quantities: decimal numbers with a canonical unit.

The units that microscopes write are answered by :mod:`~nexuslims_contracts.units.table`; whatever
else comes along, and arithmetic, by Pint. Importing Pint takes longer than reading most files
(0.7 to 1.1 CPU s where numpy and dask are installed), so it is loaded when first needed.
"""

import math
import re
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from functools import lru_cache
from numbers import Real
from typing import TYPE_CHECKING

from nexuslims_contracts.units import registry as _pint
from nexuslims_contracts.units.errors import (
    NotANumberError,
    UnitError,
    UnknownUnitError,
    WrongDimensionError,
)
from nexuslims_contracts.units.table import DIMENSIONS, FOLDED, SPELLINGS, UNITS, WRITTEN

if TYPE_CHECKING:
    import pint

__all__ = [
    "NotANumberError", "Quantity", "UnitError", "UnknownUnitError", "WrongDimensionError",
    "dimension_of", "known_unit", "normalise_unit", "qudt_uri", "to_decimal", "to_preferred",
    "written_unit",
]  # fmt: skip

# micro sign, Greek mu; the ångström sign; minus sign and hyphens that are no ASCII
_ASCII = str.maketrans({"µ": "u", "μ": "u", "\u212b": "Å", "\u2212": "-", "\u2010": "-", "º": "°"})
_PER_SAMPLE = re.compile(r"/(?:ch|[Cc]hannel|px|[Pp]ixel)$")
# What a double can tell: beyond it, a division that does not come out even shows noise.
_DOUBLE = Context(prec=15)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number and its unit, exactly as told."""

    value: Decimal
    unit: str
    """Canonical symbol, see :func:`normalise_unit`."""

    def to(self, unit: str) -> "Quantity":
        """Return the same quantity in another unit; see :func:`to_preferred`."""
        return to_preferred(self.value, self.unit, unit)

    def json(self) -> dict[str, float | str]:
        """Return the form of JSON documents: ``{"value": 300.0, "unit": "kV"}``."""
        return {"value": float(self.value), "unit": self.unit}

    def pint(self) -> "pint.Quantity[Decimal]":
        """Return the quantity for calculations, in the registry of this process."""
        return _pint.registry().Quantity(self.value, _pint.pint_unit(self.unit))


@lru_cache(maxsize=4096)
def normalise_unit(text: str) -> str:
    """Return the canonical symbol of a unit as a vendor writes it.

    Canonical symbols are ASCII. What is counted per channel or per pixel loses that: ``eV/ch`` is
    ``eV``. A pure ratio is ``x``. Names are taken in any case (``Microns``), symbols are not: a mV
    is no MV.

    Parameters
    ----------
    text
        For example ``µm``, ``Ang``, ``°``, ``eV/ch``, ``Volts``, ``K X`` or ``1/nm``.

    Raises
    ------
    UnknownUnitError
        If it names no unit.
    """
    return known_unit(text) or _pint.parse(_compact(text))


@lru_cache(maxsize=4096)
def known_unit(text: str) -> str | None:
    """Return the canonical symbol of a unit that the table has; None for all others.

    Unlike :func:`normalise_unit` it never loads Pint: for texts that are often no units at all,
    such as those of axes.
    """
    compact = _compact(text)
    return SPELLINGS.get(compact) or FOLDED.get(compact.lower())


def _compact(text: str) -> str:
    return _PER_SAMPLE.sub("", "".join(text.split()).translate(_ASCII))


def written_unit(symbol: str) -> str:
    """Return a canonical symbol as people write it: ``µm`` for ``um``, ``°`` for ``degree``."""
    return WRITTEN.get(symbol, symbol)


def qudt_uri(unit: str) -> str | None:
    """Return the URI of a canonical symbol in QUDT, or None where the vocabulary has none."""
    found = UNITS.get(unit)
    return found.uri if found else None


def dimension_of(unit: str) -> str:
    """Return what a canonical symbol measures: ``"voltage"``, or QUDT's vector where unnamed."""
    if unit in UNITS:
        return UNITS[unit].dimension
    vector = _pint.dimension_vector(unit)
    named = [name for name, known in DIMENSIONS.items() if known == vector]
    return named[0] if len(named) == 1 else vector


def to_decimal(value: object) -> Decimal:
    """Return a finite number exactly as it is written.

    Parameters
    ----------
    value
        A number (numpy's included), or its text. A binary float counts as its shortest decimal
        form: 0.1 is a tenth.

    Raises
    ------
    NotANumberError
        If it is anything else, a truth value, or not finite as a double.
    """
    if isinstance(value, bool) or not isinstance(value, Real | Decimal | str):
        raise NotANumberError(f"{value!r} is no number")
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise NotANumberError(f"{value!r} is no number") from None
    if not number.is_finite() or not math.isfinite(float(number)):
        raise NotANumberError(f"{value!r} is not finite")
    return number


def to_preferred(value: object, unit: str, preferred: str) -> Quantity:
    """Return a value in a preferred unit, without binary rounding: 0.1 nA is 100 pA.

    Where the factor between the units is no finite decimal (degrees to radians, torr to pascal)
    the result is rounded to 15 significant digits.

    Parameters
    ----------
    value
        See :func:`to_decimal`.
    unit
        As the vendor writes it.
    preferred
        As we want it.

    Raises
    ------
    NotANumberError, UnknownUnitError, WrongDimensionError
        If value and unit make no quantity of the preferred kind.
    """
    number, source, target = to_decimal(value), normalise_unit(unit), normalise_unit(preferred)
    if source == target:
        return Quantity(number, target)
    factor, offset, exact = _conversion(source, target)
    converted = number * factor + offset
    if not math.isfinite(float(converted)):
        raise NotANumberError(f"{value!r} {unit} is not finite in {target}")
    return Quantity(converted if exact else _DOUBLE.plus(converted), target)


@lru_cache(maxsize=4096)
def _conversion(source: str, target: str) -> tuple[Decimal, Decimal, bool]:
    given, wanted = dimension_of(source), dimension_of(target)
    if given != wanted:
        raise WrongDimensionError(f"{source} measures {given}, {target} measures {wanted}")
    if source in UNITS and target in UNITS:
        old, new = UNITS[source], UNITS[target]
        factor, offset = old.size / new.size, (old.offset - new.offset) / new.size
        return factor, offset, old.exact and new.exact
    return *_pint.conversion(source, target), False
