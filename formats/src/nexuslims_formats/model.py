"""What extractors hand over: a file opened, and the signals in it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from nexuslims_contracts.datasets import Axis, DatasetType, ExtractorVersion

if TYPE_CHECKING:
    import numpy as np

COUNTS = "Counts"
QUANTITY = "quantity"
"""Extension that says what the values of a dataset are, and their unit: ``Pressure (Torr)``."""

NOBODY = ExtractorVersion(name="none", version="")
"""Of a file that no extractor was chosen for."""

Outcome: TypeAlias = Literal["extracted", "partial", "unsupported", "failed"]
Value: TypeAlias = str | bool | int | float | tuple[float, str]
"""A core value as an extractor hands it over: a quantity is ``(number, unit)``."""


@dataclass(frozen=True, slots=True)
class InstrumentContext:
    """What is known of the microscope that wrote a file."""

    pid: str
    timezone: str
    """IANA name; local times without a zone are placed in it."""


@dataclass(frozen=True, slots=True)
class Moment:
    """An acquisition time as it stands in the file.

    ``when`` is naive where the file gives a local time without a zone, and None where there is
    none, or none that can be read; ``source`` names the tag.
    """

    when: datetime | None
    source: str
    others: tuple[datetime, ...] = ()
    """What the text may mean as well."""
    problem: str = ""
    """What of the text cannot be read, in words."""
    only_day: bool = False
    """Whether the file tells no time of day: ``when`` is at midnight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One dataset of a file, before validation.

    ``pixels`` opens the array lazily (a memory map where the format allows it), shaped as
    ``shape``; nothing but a preview calls it. ``to_display`` turns stored values into grey or RGB
    where they are neither (white is zero, a palette). ``text`` stands in for pixels in text files.
    ``problems`` tell what of it is missing (the file's outcome is ``partial``).
    """

    name: str
    dataset_type: DatasetType
    data_type: str
    shape: tuple[int, ...] = ()
    dtype: str = ""
    axes: tuple[Axis, ...] = ()
    metadata: Mapping[str, Value] = field(default_factory=dict)
    extensions: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    acquired: Moment | None = None
    pixels: "Callable[[], np.ndarray] | None" = None
    to_display: "Callable[[np.ndarray], np.ndarray] | None" = None
    text: str | None = None
    undrawn: str = ""
    """Why there are no ``pixels`` of a file that has all of them, in words."""
    problems: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    """What contradicts itself though all was read, in words: warnings of the dataset."""


def unknown_signal(path: Path) -> Signal:
    """Return what stands for a file that nobody reads: its name, and dataset type Unknown."""
    return Signal(name=path.stem, dataset_type="Unknown", data_type="Unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedFile:
    """A file opened once: its signals, and its native metadata as a JSON tree.

    ``problems`` tell what could not be read although the rest could (the outcome is ``partial``).
    """

    signals: Sequence[Signal]
    native: Mapping[str, Any] = field(default_factory=dict)
    reader: str = ""
    problems: tuple[str, ...] = ()
