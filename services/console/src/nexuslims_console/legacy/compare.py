"""How two records of one session differ in what they mean.

Units and spellings are no difference: 300000 V is 300 kV, ``C1 Aperture (μm)`` is ``C1 Aperture``
in micrometres. How values are spread over activities is none either, but their number is.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from math import isclose
from typing import Final, Literal, TypeAlias

from nexuslims_contracts.metadata.names import snake_case
from nexuslims_contracts.record.model import Dataset, Experiment, Parameter
from nexuslims_contracts.units import UnitError, known_unit, to_preferred

Kind: TypeAlias = Literal["missing", "extra", "changed", "renamed"]
"""Only there; only here; both with another value; the same value under another name."""

_UNIT_IN_NAME: Final = re.compile(r"^(?P<name>.+?)\s*\((?P<unit>[^()]+)\)$")
_DIGITS: Final = 1e-6
"""Records have eight digits; the incumbent's are rounded too."""
_TELLING: Final = 4
"""Characters of a value that is hardly the same by chance."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference.

    Parameters
    ----------
    where
        Location of the dataset; empty for the record as a whole.
    kind
        What is different.
    name
        Of the value.
    theirs, ours
        The values as written, with their units.
    """

    where: str
    kind: Kind
    name: str
    theirs: str = ""
    ours: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two records have in common, and what not."""

    datasets: int
    same: int
    differences: tuple[Difference, ...]

    def count(self, kind: Kind) -> int:
        """Return how many differences are of a kind."""
        return sum(one.kind == kind for one in self.differences)


def compare(theirs: Experiment, ours: Experiment) -> Comparison:
    """Compare two records of one session.

    Parameters
    ----------
    theirs
        The incumbent's.
    ours
        The one made here.
    """
    same, found = _compare_values("", _summary(theirs), _summary(ours))
    left, right = _datasets(theirs), _datasets(ours)
    for key in [*left, *(key for key in right if key not in left)]:
        where = key[0] if key[1] == 0 else f"{key[0]} ({key[1] + 1})"
        if key not in right:
            found.append(Difference(where, "missing", "the whole dataset"))
        elif key not in left:
            found.append(Difference(where, "extra", "the whole dataset"))
        else:
            more, differences = _compare_values(where, left[key], right[key])
            same += more
            found += differences
    return Comparison(len(left.keys() & right.keys()), same, tuple(found))


def _summary(record: Experiment) -> dict[str, Parameter]:
    """Return what a record says as a whole; when it was booked is the calendar's matter."""
    values = {
        "title": record.title,
        "experimenter": ", ".join(record.experimenters),
        "instrument": record.instrument_pid or record.instrument,
        "motivation": record.motivation,
        "samples": ", ".join(sorted(one.name or one.ref for one in record.samples)),
        "projects": ", ".join(sorted(one.id or one.name for one in record.projects)),
        "activities": str(len(record.activities)),
    }
    return {name: Parameter(name, value) for name, value in values.items() if value}


def _datasets(record: Experiment) -> dict[tuple[str, int], dict[str, Parameter]]:
    """Return all values of each dataset, by location and number of the signal there."""
    found: dict[tuple[str, int], dict[str, Parameter]] = {}
    numbers: dict[str, int] = {}
    for activity in record.activities:
        for dataset in activity.datasets:
            number = numbers.get(dataset.location, 0)
            numbers[dataset.location] = number + 1
            found[dataset.location, number] = _values(dataset, activity.setup)
    return found


def _values(dataset: Dataset, setup: Iterable[Parameter]) -> dict[str, Parameter]:
    own = Parameter("DatasetType", dataset.type), Parameter("Format", dataset.format)
    all_of_them = [*own, *setup, *dataset.parameters]
    placed = (_placed(one) for one in all_of_them if one.value)
    return {snake_case(one.name): one for one in placed}


def _placed(parameter: Parameter) -> Parameter:
    """Return a parameter with the unit that stands in its name, if it has none of its own."""
    named = _UNIT_IN_NAME.match(parameter.name)
    if parameter.unit or not named or known_unit(named["unit"]) is None:
        return parameter
    return Parameter(named["name"], parameter.value, named["unit"])


def _compare_values(
    where: str, theirs: Mapping[str, Parameter], ours: Mapping[str, Parameter]
) -> tuple[int, list[Difference]]:
    """Return how many values are the same, and the differences."""
    both = [name for name in theirs if name in ours]
    changed = [name for name in both if not _equal(theirs[name], ours[name])]
    found = [
        Difference(where, "changed", theirs[name].name, _text(theirs[name]), _text(ours[name]))
        for name in changed
    ]
    extra = {name: one for name, one in ours.items() if name not in theirs}
    for name, one in theirs.items():
        if name in ours:
            continue
        if (new := _same_elsewhere(one, extra)) is not None:
            renamed = f"{one.name} → {extra.pop(new).name}"
            found.append(Difference(where, "renamed", renamed, _text(one), _text(ours[new])))
        else:
            found.append(Difference(where, "missing", one.name, theirs=_text(one)))
    found += [Difference(where, "extra", one.name, ours=_text(one)) for one in extra.values()]
    return len(both) - len(changed), found


def _same_elsewhere(value: Parameter, others: Mapping[str, Parameter]) -> str | None:
    """Return under which other name a value is, if it is one that is hardly there by chance."""
    if len(value.value) < _TELLING:
        return None
    return next((name for name, one in others.items() if _equal(value, one)), None)


def _equal(one: Parameter, other: Parameter) -> bool:
    return any(equal(one, other) for equal in _EQUALITIES)


def _same_text(one: Parameter, other: Parameter) -> bool:
    units = known_unit(one.unit) or one.unit, known_unit(other.unit) or other.unit
    texts = one.value.strip().casefold(), other.value.strip().casefold()
    return texts[0] == texts[1] and units[0] == units[1]


def _same_quantity(one: Parameter, other: Parameter) -> bool:
    try:
        left, right = Decimal(one.value), Decimal(other.value)
        if one.unit and other.unit:
            right = to_preferred(right, other.unit, known_unit(one.unit) or one.unit).value
        elif one.unit or other.unit:
            return False
    except (InvalidOperation, UnitError):
        return False
    return isclose(float(left), float(right), rel_tol=_DIGITS)


def _same_moment(one: Parameter, other: Parameter) -> bool:
    try:
        left, right = datetime.fromisoformat(one.value), datetime.fromisoformat(other.value)
    except ValueError:
        return False
    if (left.tzinfo is None) != (right.tzinfo is None):
        return False
    return abs((left - right).total_seconds()) < 1


_EQUALITIES: Final[tuple[Callable[[Parameter, Parameter], bool], ...]] = (
    _same_text,
    _same_quantity,
    _same_moment,
)


def _text(parameter: Parameter) -> str:
    return f"{parameter.value} {parameter.unit}".rstrip()
