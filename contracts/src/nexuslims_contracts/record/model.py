"""What a record says, without XML: made by the builder, read by everybody else.

Texts are plain, paths are without percent-encoding, times are ISO 8601; an empty text or tuple
stands for an element that a record does not have.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Parameter:
    """A named value; ``unreliable`` where the vendor's software is known to fill it wrongly."""

    name: str
    value: str
    unit: str = ""
    unreliable: bool = False


@dataclass(frozen=True, slots=True)
class TextEntry:
    """A piece of notes: paragraphs of text."""

    paragraphs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """A piece of notes: addresses of images."""

    urls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """Head of a table's column; cells refer to its ``id``."""

    id: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell; ``column`` is the id of its column."""

    column: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table; its rows are numbered from 0 in the record."""

    title: str = ""
    columns: tuple[Column, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class TableEntry:
    """A piece of notes: tables."""

    tables: tuple[Table, ...] = ()


Entry: TypeAlias = TextEntry | ImageEntry | TableEntry


@dataclass(frozen=True, slots=True)
class Notes:
    """Remarks piece by piece; ``source`` says where they come from."""

    entries: tuple[Entry, ...] = ()
    source: str = ""

    @property
    def paragraphs(self) -> tuple[str, ...]:
        """All paragraphs of text."""
        texts = (entry for entry in self.entries if isinstance(entry, TextEntry))
        return tuple(paragraph for entry in texts for paragraph in entry.paragraphs)


@dataclass(frozen=True, slots=True)
class Curation:
    """A judgement that people made in CDCS; ``rating`` is 1 to 5, None where nobody gave one."""

    rating: int | None = None
    featured: bool | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """One signal of a file.

    ``location`` is relative to the instrument data path, ``previews`` to the data path. A
    ``curation`` is only written where people made one: archives with the older schema refuse it.
    """

    name: str
    location: str
    type: str = ""
    role: str = ""
    format: str = ""
    descriptions: tuple[str, ...] = ()
    previews: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    curation: Curation | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    """Datasets acquired together, and the parameters they share.

    ``sample`` is the id of a sample. An activity's number is its place in the record.
    """

    start: str = ""
    sample: str = ""
    setup: tuple[Parameter, ...] = ()
    notes: tuple[Notes, ...] = ()
    datasets: tuple[Dataset, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample, by name or reference; ``elements`` are chemical symbols."""

    id: str = ""
    ref: str = ""
    name: str = ""
    descriptions: tuple[str, ...] = ()
    notes: tuple[Notes, ...] = ()
    elements: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Project:
    """A project, by name or reference."""

    id: str = ""
    ref: str = ""
    name: str = ""
    division: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Experiment:
    """A whole record; ``url`` is the page of the event, ``start`` and ``end`` are the booking's."""

    title: str = ""
    id: str = ""
    pid: str = ""
    url: str = ""
    experimenters: tuple[str, ...] = ()
    collaborators: tuple[str, ...] = ()
    instrument: str = ""
    instrument_pid: str = ""
    instrument_ref: str = ""
    start: str = ""
    end: str = ""
    motivation: str = ""
    samples: tuple[Sample, ...] = ()
    projects: tuple[Project, ...] = ()
    activities: tuple[Activity, ...] = ()
    notes: tuple[Notes, ...] = ()

    def datasets(self) -> Iterator[Dataset]:
        """All datasets, in the order of the record."""
        for activity in self.activities:
            yield from activity.datasets
