"""Profiles written for NexusLIMS 2.x, run as they are where they use its documented interface.

Such a file imports ``InstrumentProfile`` and ``get_profile_registry`` and registers its profiles.
Its functions take a dictionary whose ``nx_meta`` has the fields by their displayed names. What they
change there is changed in the signal. They import nothing else of NexusLIMS; one that does is not
used, and the message names what it would need.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, get_args

from nexuslims_contracts.datasets import DatasetType
from nexuslims_contracts.identifiers import digest
from nexuslims_contracts.metadata import FIELDS
from nexuslims_extractor.errors import ProfileError
from nexuslims_extractor.profiles.profile import Parser, Profile
from nexuslims_formats.incumbent import META, NAME, ExtractionContext, displayed, field_of, offering
from nexuslims_formats.model import Signal

_KEPT: Final = {"DatasetType", "Data Type", "warnings", "extensions"}
"""Entries of ``nx_meta`` that are no fields."""


@dataclass
class InstrumentProfile:
    """What a file of the incumbent registers; its names and defaults.

    Parameters
    ----------
    instrument_id
        The instrument's name there, its PID here.
    parsers
        Functions of the metadata and their context, by any name.
    transformations
        Functions of one part of the metadata, by its key.
    extension_fields
        Further fields, in every dataset.
    """

    instrument_id: str
    parsers: dict[str, Callable[..., Any]] = field(default_factory=dict)
    transformations: dict[str, Callable[..., Any]] = field(default_factory=dict)
    extension_fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NamedInstrument:
    """The instrument, as far as a function of the incumbent's learns of it here."""

    name: str


class _Registry:
    """Takes what a file registers."""

    def __init__(self) -> None:
        self.registered: list[InstrumentProfile] = []

    def register(self, profile: InstrumentProfile) -> None:
        self.registered.append(profile)


@contextmanager
def registering() -> Iterator[list[InstrumentProfile]]:
    """Let a file that is executed meanwhile import the interface; give what it registers."""
    registry = _Registry()
    offered: Mapping[str, Mapping[str, Any]] = {
        NAME: {},
        f"{NAME}.extractors": {},
        f"{NAME}.extractors.base": {
            "InstrumentProfile": InstrumentProfile,
            "ExtractionContext": ExtractionContext,
        },
        f"{NAME}.extractors.profiles": {"get_profile_registry": lambda: registry},
    }
    with offering(offered):
        yield registry.registered


def adapted(theirs: InstrumentProfile, path: Path) -> Profile:
    """Return a registered profile as one of ours.

    Parameters
    ----------
    theirs
        As it was registered.
    path
        Its file; the version is made of its content, so that a change is one.

    Raises
    ------
    ProfileError
        It changes what the file's own metadata say, which are kept as they are.
    """
    if others := sorted(theirs.transformations.keys() - {META}):
        raise ProfileError(
            f"{path} transforms {', '.join(others)}, which stays as the file has it: have it"
            f" transform {META}, or make it a nexuslims_extractor Profile"
        )
    parsers = [_parser(one, theirs.instrument_id) for one in theirs.parsers.values()]
    transform = theirs.transformations.get(META)
    if transform:
        parsers.append(_parser(_whole(transform), theirs.instrument_id))
    return Profile(
        instrument=theirs.instrument_id,
        version=f"2.x-{digest([path.read_text(encoding='utf-8')])[:8]}",
        parsers=tuple(parsers),
        extensions=theirs.extension_fields,
    )


def _whole(transform: Callable[..., Any]) -> Callable[..., Any]:
    """Return a transformation of ``nx_meta`` as a parser."""

    def parse(metadata: dict[str, Any], context: ExtractionContext) -> dict[str, Any]:
        del context
        return {**metadata, META: transform(metadata[META])}

    parse.__name__ = getattr(transform, "__name__", META)
    return parse


def _parser(function: Callable[..., Any], pid: str) -> Parser:
    """Return a parser of theirs as one of ours.

    Parameters
    ----------
    function
        Theirs.
    pid
        Of the instrument.
    """

    def parse(signal: Signal, native: Mapping[str, Any], path: Path) -> Signal:
        before = _meta_of(signal)
        metadata = {**deepcopy(dict(native)), META: deepcopy(before)}
        after = function(metadata, ExtractionContext(path, NamedInstrument(pid)))
        if not isinstance(after, dict) or not isinstance(after.get(META), dict):
            raise TypeError(f"it returned no metadata with {META}")
        return _changed(signal, before, after[META])

    parse.__name__ = getattr(function, "__name__", "parser")
    return parse


def _meta_of(signal: Signal) -> dict[str, Any]:
    """Return a signal as the incumbent's ``nx_meta``; a quantity is a number with its unit."""
    return {
        **{displayed(name): value for name, value in signal.metadata.items()},
        "DatasetType": signal.dataset_type,
        "Data Type": signal.data_type,
        "warnings": [[displayed(name)] for name in signal.warnings],
        "extensions": dict(signal.extensions),
    }


def _changed(signal: Signal, before: Mapping[str, Any], after: Mapping[str, Any]) -> Signal:
    """Return a signal with what was changed in its ``nx_meta``.

    Parameters
    ----------
    signal
        As it was.
    before, after
        Its ``nx_meta``.

    Raises
    ------
    ValueError
        It is to be of a dataset type that there is not.
    """
    if after.get("DatasetType") not in get_args(DatasetType):
        raise ValueError(f"there is no DatasetType {after.get('DatasetType')!r}")
    metadata = dict(signal.metadata)
    extensions = dict(after.get("extensions", {}))
    for name in before.keys() - after.keys() - _KEPT:
        del metadata[field_of(name)]
    for name, value in after.items():
        if name in _KEPT or before.get(name) == value:
            continue
        target = metadata if field_of(name) in FIELDS else extensions
        target[field_of(name)] = value
    warnings = [one if isinstance(one, str) else one[-1] for one in after.get("warnings", [])]
    return replace(
        signal,
        dataset_type=after["DatasetType"],
        data_type=str(after.get("Data Type", signal.data_type)),
        metadata=metadata,
        extensions=extensions,
        warnings=tuple(dict.fromkeys(map(field_of, warnings))),
    )
