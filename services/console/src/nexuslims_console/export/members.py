"""Which files of a session are taken home, and how they are called in the export."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Literal, TypeAlias

from nexuslims_contracts.record.model import Dataset, Experiment
from nexuslims_shared.artifacts import resolve

Kind: TypeAlias = Literal["record", "metadata", "preview", "raw"]

_PREVIEW_ENDING: Final = ".thumb.png"
_UNSAFE: Final = re.compile(r"[^\w.\-/]+")
_TYPES: Final = {
    "record": "application/xml",
    "metadata": "application/json",
    "preview": "image/png",
    "raw": "application/octet-stream",
}


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an export.

    Parameters
    ----------
    path
        Where it is in the session's folder of the export: only letters, digits, ``._-`` and ``/``.
    source
        Where its bytes are.
    kind
        What it is.
    original
        Path as the facility has it; for the record its file name.
    description
        For people.
    """

    path: str
    source: Path
    kind: Kind
    original: str
    description: str

    @property
    def media_type(self) -> str:
        """The IANA media type of its content."""
        return _TYPES[self.kind]


def members(
    record: Path, experiment: Experiment, *, data: Path, instrument_data: Path, with_raw: bool
) -> Iterator[Member]:
    """List the files of a session's export: the record first, each file once.

    Parameters
    ----------
    record
        The record's file.
    experiment
        What it says.
    data
        The data folder, where metadata and previews are.
    instrument_data
        The folder of the instruments' files.
    with_raw
        Whether the instruments' files come too.
    """
    taken: set[str] = set()

    def member(kind: Kind, root: Path, relative: str, description: str) -> Member:
        path = _free(f"{kind}/{_UNSAFE.sub('_', relative)}", taken)
        return Member(path, resolve(root, relative), kind, relative, description)

    yield member("record", record.parent, record.name, "The record, in the Nexus Experiment schema")
    datasets = list(experiment.datasets())
    for relative, of in _metadata(datasets, data):
        yield member("metadata", data, relative, f"All metadata of {of}")
    for relative, of in _once((path, one) for one in datasets for path in one.previews):
        yield member("preview", data, relative, f"Preview of {of}")
    if with_raw:
        for relative, of in _once((one.location, one) for one in datasets):
            yield member("raw", instrument_data, relative, f"The instrument's file of {of}")


def _metadata(datasets: Iterable[Dataset], data: Path) -> Iterator[tuple[str, str]]:
    """Give the metadata files: beside previews, or named after the file where there is none."""
    named = (
        (f"{path.removesuffix(_PREVIEW_ENDING)}.json", one)
        for one in datasets
        for path in (one.previews or (f"{one.location}{_PREVIEW_ENDING}",))
    )
    return ((path, of) for path, of in _once(named) if resolve(data, path).is_file())


def _once(paths: Iterable[tuple[str, Dataset]]) -> Iterator[tuple[str, str]]:
    """Give each path once, with the name of the first dataset that has it."""
    seen: set[str] = set()
    for path, dataset in paths:
        relative = path.lstrip("/")
        if relative and relative not in seen:
            seen.add(relative)
            yield relative, dataset.name


def _free(path: str, taken: set[str]) -> str:
    """Return a path that no other member has; a number keeps equal ones apart."""
    pure = PurePosixPath(path)
    free, number = path, 1
    while free.casefold() in taken:
        number += 1
        free = str(pure.with_name(f"{pure.stem}-{number}{pure.suffix}"))
    taken.add(free.casefold())
    return free
