"""Signals of files, with their parameters as a record names and writes them.

A session has thousands of files that differ in few parameters. What equals the parameter of the
signal before is that very object: a signal then costs a few pointers, and comparing is cheap.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from nexuslims_contracts.datasets import Dataset, ExtractorVersion
from nexuslims_contracts.events import MetadataExtracted
from nexuslims_contracts.identifiers import PERSON_PATTERN, PERSON_PREFIX
from nexuslims_contracts.metadata import (
    FIELDS,
    display_name,
    extensions_for_readers,
    fields_for_readers,
)
from nexuslims_contracts.record.model import Parameter
from nexuslims_contracts.units import known_unit, written_unit

LONGEST_VALUE: Final = 200
"""Characters of a parameter that a record shows; the metadata file has all of them."""

_DIGITS: Final = 8
_WHOLE: Final = 1e15

SEPARATOR: Final = " – "  # noqa: RUF001 - the dash of the incumbent's names
PROVENANCE: Final = "NexusLIMS Extraction"
FORGOTTEN: Final = "(forgotten)"
"""Stands for the name of a person who was forgotten."""

_PERSON: Final = re.compile(PERSON_PATTERN)
_NUMBER_WITH_UNIT: Final = re.compile(r"([-+]?\d{1,15}(?:\.\d{1,15})?) ?\[?([A-Za-zµμÅ°%/]+)\]?")
_UNITS_IN_NAMES: Final = {
    **{
        unit: unit for unit in ("eV", "keV", "kV", "nA", "pA", "um", "nm", "mm", "mrad", "ms", "us")
    },
    "Percent": "%",
}


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal of a file.

    ``preview`` is a path below the data path, empty if there is none; ``duration`` is how long
    acquiring it took, in seconds, 0 if that is not known; ``created`` is the file's own time, None
    where it has none.
    """

    index: int
    type: str
    data_type: str
    duration: float
    preview: str
    parameters: tuple[Parameter, ...]
    created: datetime | None = None


class SignalReader:
    """Makes signals of what was read from files.

    Parameters
    ----------
    vendor_trees
        Whether the tags of a vendor's software are parameters too.
    people
        Names by the ids that stand for them, without those who were forgotten; if it is not given,
        the ids stay.
    """

    def __init__(
        self, *, vendor_trees: bool = False, people: Mapping[str, str] | None = None
    ) -> None:
        self._people = people
        self._vendor_trees = vendor_trees
        self._last: dict[str, tuple[object, Parameter]] = {}
        """By name, the last value as it was read, and its parameter."""
        self._names: tuple[str, ...] = ()
        self._sorted: list[str] = []
        """The names of the last signal as they came, and in the order of a record."""

    def read(
        self, event: MetadataExtracted, extensions: Sequence[Mapping[str, object]] = ()
    ) -> tuple[Signal, ...]:
        """Return the signals of a file.

        Parameters
        ----------
        event
            What was read from it.
        extensions
            Of each dataset, where they were too long for the event.
        """
        pairs = zip(
            event.datasets,
            extensions or [dataset.extensions for dataset in event.datasets],
            strict=True,
        )
        return tuple(
            Signal(
                index=dataset.index,
                type=dataset.dataset_type,
                data_type=dataset.data_type,
                duration=_duration(dataset.metadata),
                preview=dataset.preview.path if dataset.preview else "",
                parameters=self._parameters(dataset, more, event.extractor),
                created=None if _is_time_of_file(more) else dataset.creation_time,
            )
            for dataset, more in pairs
        )

    def _parameters(
        self, dataset: Dataset, extensions: Mapping[str, object], extractor: ExtractorVersion
    ) -> tuple[Parameter, ...]:
        """Return the parameters by what they are about; of equal names the first counts."""
        warned = {display_name(field) for field in dataset.warnings}
        found: dict[str, Parameter] = {}
        metadata: Mapping[str, object] = dataset.metadata
        if not self._vendor_trees:
            extensions = extensions_for_readers(extensions, metadata)
            metadata = fields_for_readers(metadata)
        for name, value, unit in _values(dataset, metadata, extensions, extractor):
            if name not in found:
                found[name] = self._parameter(name, value, unit, unreliable=name in warned)
        names = tuple(found)
        if names != self._names:
            self._names, self._sorted = names, sorted(names, key=_place)
        return tuple(map(found.__getitem__, self._sorted))

    def _parameter(self, name: str, value: object, unit: str, *, unreliable: bool) -> Parameter:
        """Return a parameter: that of the signal before, if it says the same."""
        former, parameter = self._last.get(name, (None, None))
        same = (
            bool(value)  # 0.0 equals -0.0, and is written otherwise
            and former == value
            and type(former) is type(value)
            and not isinstance(value, list)
        )
        text = parameter.value if same and parameter else self._named(text_of(value))
        if (
            parameter is None
            or parameter.value != text
            or parameter.unit != unit
            or parameter.unreliable is not unreliable
        ):
            parameter = Parameter(name, text, unit, unreliable)
            self._last[name] = (value, parameter)
        return parameter

    def _named(self, text: str) -> str:
        """Put names in the place of the ids that stand for them."""
        people = self._people
        if people is None or PERSON_PREFIX not in text:
            return text
        return _PERSON.sub(lambda found: people.get(found[0], FORGOTTEN), text)


def separate(
    signals: Sequence[Sequence[Parameter]],
) -> tuple[tuple[Parameter, ...], list[tuple[Parameter, ...]]]:
    """Split parameters into the setup of an activity and what is left to each signal.

    The setup holds those that all signals have with one value; an activity of one signal has no
    setup of its own.

    Parameters
    ----------
    signals
        The parameters of each signal, in the order of names.

    Returns
    -------
    tuple
        The setup, and the rest of each signal in the order given.
    """
    if len(signals) < 2:  # noqa: PLR2004 - one signal shares nothing
        return (), [tuple(parameters) for parameters in signals]
    common = {one.name: one for one in signals[0]}
    for parameters in signals[1:]:
        objects = set(map(id, parameters))
        others = [one for one in common.values() if id(one) not in objects]
        if others:
            there = {one.name: one for one in parameters}
            for one in others:
                if there.get(one.name) != one:
                    del common[one.name]
    rest = [tuple([one for one in parameters if one.name not in common]) for parameters in signals]
    return tuple(common.values()), rest


def _duration(metadata: Mapping[str, object]) -> float:
    """Return how long an acquisition took, by the first field that tells it."""
    whole = [_seconds(metadata.get(name)) for name in ("acquisition_time", "real_time")]
    one = [_seconds(metadata.get(name)) for name in ("frame_time", "live_time", "exposure_time")]
    frames = metadata.get("frames")
    count = frames if isinstance(frames, (int, float)) and frames > 1 else 1
    return next((time for time in [*whole, *(count * time for time in one)] if time > 0), 0.0)


def _seconds(value: object) -> float:
    if isinstance(value, Mapping) and value.get("unit") == "s":
        number = value.get("value")
        return float(number) if isinstance(number, (int, float)) else 0.0
    return 0.0


_PLACES: Final = {field.display_name: place for place, field in enumerate(FIELDS.values())}
_AFTER_ALL: Final = len(_PLACES)


@lru_cache(maxsize=8192)
def _place(name: str) -> tuple[int, str, str]:
    """Order fields by what they are about, then all else by name without regard to case."""
    return _PLACES.get(name, _AFTER_ALL), name.casefold(), name


@lru_cache(maxsize=8192)
def _name(prefix: str, key: str) -> str:
    return prefix + display_name(key)


def _values(
    dataset: Dataset,
    metadata: Mapping[str, object],
    extensions: Mapping[str, object],
    extractor: ExtractorVersion,
) -> list[tuple[str, object, str]]:
    """Return name, value and unit of each parameter."""
    found: list[tuple[str, object, str]] = [
        ("Creation Time", dataset.creation_time.isoformat(), ""),
        ("Data Type", dataset.data_type, ""),
    ]
    if dataset.shape:
        found.append(("Data Dimensions", f"({', '.join(map(str, dataset.dimensions()))})", ""))
    _flatten("", metadata, found)
    own = len(found)
    _flatten("", extensions, found)
    found[own:] = [_quantity(*one) for one in found[own:]]
    for part, text in (
        ("Module", extractor.name),
        ("Version", extractor.version),
        ("Reader", extractor.reader),
    ):
        if text:
            found.append((f"{PROVENANCE}{SEPARATOR}{part}", text, ""))
    return found


def _flatten(
    prefix: str, values: Mapping[str, object], found: list[tuple[str, object, str]]
) -> None:
    """Add the values to those that were found; values within values have all names in theirs."""
    for key, value in values.items():
        name = _name(prefix, key)
        if not isinstance(value, dict):
            if value is not None:
                found.append((name, value, ""))
        elif "value" in value and "unit" in value:
            found.append((name, value["value"], written_unit(str(value["unit"]))))
        else:
            _flatten(name + SEPARATOR, value, found)


def _quantity(name: str, value: object, unit: str) -> tuple[str, object, str]:
    """Return an extension with its unit apart, which may stand in its name or in its value.

    Parameters
    ----------
    name, value, unit
        As they were found; the unit may be empty.
    """
    if unit or isinstance(value, bool):
        return name, value, unit
    if isinstance(value, str):
        return (name, *_number_in(value))
    if isinstance(value, (int, float)):
        name, unit = _unit_in(name)
    return name, value, unit


@lru_cache(maxsize=8192)
def _unit_in(name: str) -> tuple[str, str]:
    """Return a name and its unit: ``Image Shift X um`` is an ``Image Shift X`` in µm."""
    start, _, last = name.rpartition(" ")
    unit = _UNITS_IN_NAMES.get(last, "")
    return (start, written_unit(unit)) if start and unit else (name, "")


@lru_cache(maxsize=8192)
def _number_in(text: str) -> tuple[float | str, str]:
    """Return the number and the unit of a text such as ``0.00[eV]`` or ``150 um``, or the text."""
    found = _NUMBER_WITH_UNIT.fullmatch(text)
    unit = known_unit(found[2]) if found else None
    return (float(found[1]), written_unit(unit)) if found and unit else (text, "")


def _is_time_of_file(extensions: Mapping[str, object]) -> bool:
    return extensions.get("creation_time_source") == "file modification time"


def text_of(value: object) -> str:
    """Write a value: numbers with the digits that people read, lists with commas, cut if long."""
    text = _text_of(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _text_of(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_text_of, value))
    return str(value)


def _number(value: float) -> str:
    """Write a number with eight digits, whole ones with all; zero has no sign."""
    if value.is_integer() and abs(value) < _WHOLE:
        return str(int(value))
    return f"{value:.{_DIGITS}g}"
