"""Reading a question to the archive: ``Au, above 200 kV, dwell under 5 µs``.

A question is words, and conditions on quantities in any unit. A condition names a field by words of
its name, or by one that microscopists use; without one it is about every field that its unit
measures, except where one is meant by everybody.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from nexuslims_console.archive.tables import QUANTITIES
from nexuslims_console.archive.words import folded
from nexuslims_contracts.metadata.fields import FIELDS, Field
from nexuslims_contracts.record import CHEMICAL_ELEMENTS
from nexuslims_contracts.units import (
    UnitError,
    dimension_of,
    normalise_unit,
    to_decimal,
    to_preferred,
    written_unit,
)

_SYNONYMS: Final[dict[str, tuple[str, ...]]] = {
    "beam energy": ("landing_energy", "acceleration_voltage"),
    "camera": ("camera_length",),
    "current": ("beam_current", "probe_current"),
    "energy": ("landing_energy", "energy_loss"),
    "exposure": ("exposure_time",),
    "fov": ("horizontal_field_width",),
    "field of view": ("horizontal_field_width",),
    "field width": ("horizontal_field_width",),
    "hfw": ("horizontal_field_width",),
    "ht": ("acceleration_voltage",),
    "hv": ("acceleration_voltage",),
    "kv": ("acceleration_voltage",),
    "mag": ("magnification",),
    "pixel": ("pixel_width",),
    "pixel size": ("pixel_width",),
    "spot": ("spot_size",),
    "tilt": ("stage_alpha", "stage_tilt"),
    "voltage": ("acceleration_voltage",),
    "wd": ("working_distance",),
}
"""What microscopists call fields, where the words of the name do not say it."""

_MEANT: Final[dict[str, tuple[str, ...]]] = {
    "voltage": ("acceleration_voltage",),
    "ratio": ("magnification",),
}
"""Fields that are meant where nothing but a unit is given, by what it measures."""

_LONGEST: Final = 500
_TOLERANCE: Final = 0.01
"""Relative: 300 kV also finds 299.9 kV."""

_NUMBER = r"[-+\u2212]?\d+(?:[.,]\d+)?(?:\s?[x\u00d7·]\s?10\^?[-\u2212]?\d+|e[-+]?\d+)?"
_UNIT = r"(?!(?:and|to|or)\b)[a-zA-ZµμÅΩ°%][\w/·^µμ°]*"
_ABOVE = (
    r"above|over|(?:more|greater|higher|larger|longer)\s+than|at\s+least|from|min(?:imum)?|>=|≥|>"
)
_BELOW = (
    r"below|under|(?:less|lower|smaller|shorter|fewer)\s+than|at\s+most|up\s+to|max(?:imum)?"
    r"|<=|≤|<"
)
_CONDITION = re.compile(
    rf"""(?P<between>between\s+)?(?:(?P<above>{_ABOVE})|(?P<below>{_BELOW})|=|:|\bis\b|\bof\b|about|~|≈)?
    \s*(?<![\w.])(?P<number>{_NUMBER})\s*(?P<unit>{_UNIT})?
    (?:\s*(?:-|\u2013|\.\.\.?|…|\bto\b|\band\b)\s*(?P<end>{_NUMBER})\s*(?P<end_unit>{_UNIT})?)?""",
    re.VERBOSE | re.IGNORECASE,
)
_FACET = re.compile(r"\b(element|instrument|type|technique|from|until):(\"[^\"]*\"|[^\s,;]+)")
_JOINING: Final = frozenset({"and", "with", "at", "a", "the", "of", "is", "in"})


class QuestionError(ValueError):
    """A part of a question cannot be read; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A range that one of some fields must be in; ``low`` and ``high`` are by field.

    Parameters
    ----------
    ranges
        For each field the least and the greatest number in its preferred unit; None for no limit.
    text
        The condition as it was understood, for people.
    strict
        Whether the limits themselves are out of the range.
    """

    ranges: tuple[tuple[str, float | None, float | None], ...]
    text: str
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for."""

    words: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    instrument_pid: str = ""
    dataset_type: str = ""
    data_type: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def understood(self) -> tuple[str, ...]:
        """Each part as it was understood, for people."""
        parts = [f"“{word}”" for word in self.words]
        parts += [f"element {element}" for element in self.elements]
        return (*parts, *(condition.text for condition in self.conditions))


def read_question(text: str) -> Question:
    """Read a question.

    Raises
    ------
    QuestionError
        If it is longer than questions are, a quantity has a unit that nothing is measured in, or a
        date is none.
    """
    if len(text) > _LONGEST:
        raise QuestionError(f"a question has at most {_LONGEST} characters")
    facets = {name: value.strip('"') for name, value in _FACET.findall(text)}
    words: list[str] = []
    elements = [facets["element"]] if "element" in facets else []
    if unknown := sorted(set(elements) - set(CHEMICAL_ELEMENTS)):
        raise QuestionError(f"“{unknown[0]}” is no chemical element, such as Au")
    conditions: list[Condition] = []
    for clause in re.split(r"[;\n]|,(?!\d)", _FACET.sub(" ", text)):
        for part in _parts(clause):
            if isinstance(part, Condition):
                conditions.append(part)
                continue
            words.extend(_words(part))
    return Question(
        words=tuple(dict.fromkeys(words)),
        elements=tuple(elements),
        conditions=tuple(conditions),
        instrument_pid=facets.get("instrument", ""),
        dataset_type=facets.get("type", ""),
        data_type=facets.get("technique", ""),
        since=_date(facets.get("from", "")),
        until=_date(facets.get("until", ""), after=timedelta(days=1)),
    )


def _parts(clause: str) -> Iterator[str | Condition]:
    """Give the words and the conditions of a clause, in their order."""
    done = 0
    for match in _CONDITION.finditer(clause):
        before = clause[done : match.start()].split()
        named, fields = _named(before, match)
        if not fields:
            continue
        if rest := before[: len(before) - named]:
            yield " ".join(rest)
        yield _condition(match, fields)
        done = match.end() if _unit(match) or not match["unit"] else match.start("unit")
    if rest_of := clause[done:].strip():
        yield rest_of


def _words(text: str) -> Iterator[str]:
    """Give what is searched for of a text; symbols of elements stay as they are written."""
    for word in text.split():
        if word in CHEMICAL_ELEMENTS and len(word) > 1:
            yield word
        elif folded(word) not in _JOINING:
            yield from folded(word).split()


def _named(words: Sequence[str], match: "re.Match[str]") -> tuple[int, list[Field]]:
    """Return how many words before a condition name its fields, and which these are.

    A number alone, in a file's name for example, is a word: nothing says what it measures.
    """
    unit = _unit(match)
    dimension = dimension_of(unit) if unit else ""
    for count in range(min(4, len(words)), 0, -1):
        name = folded(" ".join(words[len(words) - count :]))
        fields = [one for one in _fields(name) if dimension in ("", _measures(one))]
        if fields:
            return count, fields
    if unit:
        meant = _MEANT.get(dimension)
        if meant:
            return 0, [FIELDS[name] for name in meant]
        fields = [FIELDS[name] for name in QUANTITIES if FIELDS[name].dimension == dimension]
        if fields:
            return 0, fields
        raise QuestionError(f"“{match[0].strip()}”: nothing in the archive is measured in {unit}")
    return 0, []


def _fields(name: str) -> list[Field]:
    """Return the fields that some words name: by a usual name, or by words of their own."""
    usual = _SYNONYMS.get(name)
    if usual:
        return [FIELDS[field] for field in usual]
    words = set(name.split())
    found = []
    for field in map(FIELDS.__getitem__, QUANTITIES):
        own = set(folded(f"{field.name} {field.display_name}").split())
        if words and words <= own:
            found.append(field)
    return found


def _measures(field: Field) -> str:
    return field.dimension or "number"


def _unit(match: "re.Match[str]") -> str:
    """Return the canonical unit of a condition; empty if what follows the number is none."""
    text = match["unit"] or match["end_unit"]
    try:
        return normalise_unit(text) if text else ""
    except UnitError:
        return ""


def _condition(match: "re.Match[str]", fields: Sequence[Field]) -> Condition:
    first, unit = _number(match["number"]), _unit(match)
    last = _number(match["end"]) if match["end"] else None
    ranges: list[tuple[str, float | None, float | None]] = []
    for field in fields:
        low = _in_field(first, unit, field)
        if last is not None:
            high = _in_field(last, match["end_unit"] or unit, field)
            ranges.append((field.name, min(low, high), max(low, high)))
        elif match["above"]:
            ranges.append((field.name, low, None))
        elif match["below"]:
            ranges.append((field.name, None, low))
        else:
            margin = abs(low) * _TOLERANCE
            ranges.append((field.name, low - margin, low + margin))
    bound = (match["above"] or match["below"] or "").casefold()
    inclusive = bound in {"at least", "at most", "up to", "from", ">=", "<=", "≥", "≤", ""}
    strict = not inclusive and not bound.startswith(("min", "max"))
    return Condition(tuple(ranges), _told(fields, ranges[0], strict=strict), strict)


def _number(text: str) -> float:
    plain = re.sub(r"\s?[x\u00d7·]\s?10\^?", "e", text.replace("\u2212", "-").replace(",", "."))
    return float(plain)


def _in_field(number: float, unit: str, field: Field) -> float:
    """Return a number in the unit of a field; one without a unit is in it already."""
    try:
        if field.unit is None or not unit:
            return float(to_decimal(number))
        return float(to_preferred(number, unit, field.unit).value)
    except UnitError as error:
        raise QuestionError(f"“{number:g} {unit}” is no {field.display_name.lower()}") from error


def _told(
    fields: Sequence[Field], limits: tuple[str, float | None, float | None], *, strict: bool
) -> str:
    """Return a condition as it was understood; all fields are told by the first one's unit."""
    _, low, high = limits
    names = " or ".join(field.display_name.lower() for field in fields[:3])
    if len(fields) > 3:  # noqa: PLR2004 - as many as are named
        names += f" or {len(fields) - 3} more"
    unit = f" {written_unit(fields[0].unit)}" if fields[0].unit else ""
    if low is not None and high is not None:
        return f"{names} {low:g} to {high:g}{unit}"
    if low is not None:
        return f"{names} {'>' if strict else '≥'} {low:g}{unit}"
    return f"{names} {'<' if strict else '≤'} {high:g}{unit}"


def _date(text: str, after: timedelta = timedelta()) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) + after
    except (ValueError, OverflowError):
        raise QuestionError(f"“{text}” is no date such as 2026-03-02") from None
