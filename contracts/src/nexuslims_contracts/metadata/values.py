"""From a value as an extractor hands it over to its normalised form, or to a ValueError.

Its message completes a sentence that begins with the field's name.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, TypeAlias

from pydantic import JsonValue

from nexuslims_contracts.metadata.fields import Field
from nexuslims_contracts.metadata.names import snake_case
from nexuslims_contracts.text import clean_text
from nexuslims_contracts.units import (
    NotANumberError,
    Quantity,
    UnitError,
    UnknownUnitError,
    normalise_unit,
    to_decimal,
    to_preferred,
)
from nexuslims_contracts.units.table import RATIO

Normaliser: TypeAlias = Callable[[object], Any]

_FLAGS = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}
_QUANTITY_KEYS = ({"value", "unit"}, {"value", "unit", "qudt:unit"})


def is_quantity(value: object) -> bool:
    """Tell whether a value is written as a quantity: a mapping, or a pair of number and text."""
    if isinstance(value, Mapping):
        return value.keys() in _QUANTITY_KEYS
    pair = isinstance(value, tuple) and len(value) == 2  # noqa: PLR2004 - a pair
    return pair and _is_number(value[0]) and isinstance(value[1], str)  # type: ignore[index]


def normaliser(field: Field) -> Normaliser:
    """Return the function that brings values of a field into their normalised form."""
    return _quantity(field) if field.kind == "quantity" else _NORMALISERS[field.kind]


def _quantity(field: Field) -> Normaliser:
    unit, dimension = str(field.unit), field.dimension
    wanted = f"must be a {dimension} in {unit}"

    def normalise(value: object) -> Quantity:
        number, given = _number_and_unit(value)
        if not given and unit == RATIO:
            given = RATIO
        if not given:
            raise ValueError(f"{wanted}, with a unit")
        try:
            return to_preferred(number, given, unit)
        except NotANumberError:
            raise ValueError(f"{wanted} and finite") from None
        except UnitError as error:
            raise ValueError(f"{wanted} ({error})") from None

    return normalise


def _number_and_unit(value: object) -> tuple[object, str]:
    if isinstance(value, Quantity):
        return value.value, value.unit
    if isinstance(value, Mapping) and is_quantity(value):
        return value["value"], str(value["unit"] or "")
    if isinstance(value, tuple | list) and len(value) == 2:  # noqa: PLR2004 - a pair
        return value[0], str(value[1] or "")
    return value, ""


def _number(value: object) -> int | float:
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    try:
        number = float(to_decimal(value))
    except NotANumberError:
        raise ValueError("must be a finite number") from None
    return int(number) if number.is_integer() else number


def _text(value: object) -> str:
    if isinstance(value, str):
        return clean_text(value).strip()
    if _is_number(value):
        return str(value)
    if isinstance(value, Sequence) and all(isinstance(length, Integral) for length in value):
        return str(tuple(int(length) for length in value))
    raise ValueError("must be a text")


def _flag(value: object) -> bool:
    flag = _FLAGS.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(flag, bool):
        raise ValueError("must be yes or no")  # noqa: TRY004 - pydantic collects value errors
    return flag


_NORMALISERS: dict[str, Normaliser] = {"text": _text, "number": _number, "flag": _flag}


def normalise_extensions(tree: object) -> dict[str, JsonValue]:
    """Return vendor fields as JSON: snake_case names, quantities with canonical units.

    Raises
    ------
    ValueError
        If something is not finite, or is no JSON at all; the message names it.
    """
    if not isinstance(tree, Mapping):
        raise ValueError("must be a mapping")  # noqa: TRY004 - pydantic collects value errors
    return _branch(tree, "")


def _branch(tree: Mapping[Any, object], path: str) -> dict[str, JsonValue]:
    branch: dict[str, JsonValue] = {}
    for key, value in tree.items():
        stem = snake_case(str(key))
        name, number = stem, 2
        while name in branch:
            name, number = f"{stem}_{number}", number + 1
        branch[name] = _leaf(value, f"{path}.{name}" if path else name)
    return branch


def _leaf(value: object, path: str) -> JsonValue:
    if isinstance(value, str):
        return clean_text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Real):
        return _vendor_number(value, path)
    if isinstance(value, Quantity) or is_quantity(value):
        return _vendor_quantity(value, path)
    if isinstance(value, Mapping):
        return _branch(value, path)
    if isinstance(value, list | tuple):
        return [_leaf(item, f"{path}.{index}") for index, item in enumerate(value)]
    if isinstance(value, date | datetime):
        return value.isoformat()
    raise ValueError(f"must be JSON, and {path} is a {type(value).__name__}")


def _vendor_number(value: Real, path: str) -> int | float:
    if isinstance(value, Integral):
        return int(value)
    if not math.isfinite(value):
        raise ValueError(f"must be finite, and {path} is {value}")
    return float(value)


def _vendor_quantity(value: object, path: str) -> JsonValue:
    """Return a vendor's quantity in its own unit, canonically spelled where the unit is known."""
    number, unit = _number_and_unit(value)
    try:
        unit = normalise_unit(unit)
    except UnknownUnitError:
        unit = clean_text(unit).strip()
    number = float(number) if isinstance(number, Decimal) else number
    return {"value": _leaf(number, path), "unit": unit}


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
