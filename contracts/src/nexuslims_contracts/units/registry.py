"""Pint's registry: one per process, loaded when something is asked that the table cannot answer."""

import logging
import re
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING

from nexuslims_contracts.units.errors import UnknownUnitError, WrongDimensionError
from nexuslims_contracts.units.table import RATIO

if TYPE_CHECKING:
    import pint

_log = logging.getLogger(__name__)

# Units as Pint reads them, and nothing it would have to calculate: 9**9**9 is no unit.
_FACTOR = r"[A-Za-zΩ_]+(?:(?:\*\*|\^)?-?\d)?"
_EXPRESSION = re.compile(rf"(?:1/)?{_FACTOR}(?:[*/·.]{_FACTOR})*")
_BARE_POWER = re.compile(r"(?<=[A-Za-zΩ])(?=-?\d)")
_VECTOR = ("[substance]", "[current]", "[length]", "[luminosity]", "[mass]", "[temperature]",
           "[time]")  # fmt: skip
_PINT_NAMES = {RATIO: "dimensionless", "%": "percent", "counts": "count"}


@cache
def registry() -> "pint.UnitRegistry[Decimal]":
    """Return the registry of this process; its numbers are decimals.

    Its definitions are kept parsed in the user's cache folder (see ``platformdirs``), where that
    can be written.
    """
    import pint  # noqa: PLC0415 - seldom needed, and slow to import

    try:
        return pint.UnitRegistry(non_int_type=Decimal, cache_folder=":auto:")
    except Exception as error:  # noqa: BLE001 - see below
        # a damaged cache raises anything, and a worker that reads files may not open it
        _log.debug("unit definitions are not cached: %s", error)
        return pint.UnitRegistry(non_int_type=Decimal)


def pint_unit(symbol: str) -> "pint.Unit":
    """Return a canonical symbol's unit in Pint.

    Raises
    ------
    UnknownUnitError
        If Pint does not know it.
    """
    import pint  # noqa: PLC0415 - as above

    name = _PINT_NAMES.get(symbol, symbol)
    try:
        return registry().parse_units(name)
    except (pint.PintError, ValueError) as error:  # a factor, as in "0A0"
        raise UnknownUnitError(f"{symbol!r} is no known unit: {error}") from None


def parse(text: str) -> str:
    """Return the canonical symbol of a unit that the table does not have.

    Raises
    ------
    UnknownUnitError
        If the text is no product of powers of units.
    """
    if not _EXPRESSION.fullmatch(text):
        raise UnknownUnitError(f"{text!r} is no known unit")
    spelled = re.sub(r"[·.]", "*", _BARE_POWER.sub("^", text))
    return f"{pint_unit(spelled):~C}".replace("µ", "u")


@cache
def dimension_vector(symbol: str) -> str:
    """Return the dimension of a unit as QUDT writes it, for example ``A0E0L1I0M0H0T0D0``."""
    dimensionality = pint_unit(symbol).dimensionality
    powers = [Decimal(str(dimensionality.get(base, 0))).normalize() for base in _VECTOR]
    letters = "".join(f"{letter}{power:f}" for letter, power in zip("AELIMHT", powers, strict=True))
    return f"{letters}D{int(not any(powers))}"


def conversion(source: str, target: str) -> tuple[Decimal, Decimal]:
    """Return factor and offset that take a number from one unit to another.

    Parameters
    ----------
    source, target
        Canonical symbols.

    Raises
    ------
    WrongDimensionError
        If the units measure different things.
    """
    import pint  # noqa: PLC0415 - as above

    units = registry()
    try:
        at_zero, at_one = (
            units.Quantity(Decimal(number), pint_unit(source)).to(pint_unit(target)).magnitude
            for number in (0, 1)
        )
    except pint.DimensionalityError as error:
        raise WrongDimensionError(str(error)) from None
    return Decimal(at_one - at_zero), Decimal(at_zero)
