"""From a signal as read to a dataset as agreed: the one place that calls the contracts' schemas."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from nexuslims_contracts.datasets import Axis, Dataset
from nexuslims_contracts.metadata import ValidMetadata, partition_metadata
from nexuslims_contracts.text import clean_text
from nexuslims_formats.json_tree import json_safe
from nexuslims_formats.model import InstrumentContext, Signal
from nexuslims_formats.plausibility import (
    contradicting,
    implausible,
    sound_axis,
    without_number,
)
from nexuslims_formats.quantities import is_unit, spelled_unit, unit_of_length
from nexuslims_formats.times import PlacedTime, place

_KEPT_BYTES: Final = re.compile(r"(?:\\x[89a-f][0-9a-f]){2}")
"""Of a text whose encoding nobody can tell: see :mod:`nexuslims_formats.locales.encodings`."""
_PICTURES: Final = ("Image", "Diffraction")
"""Their axes measure no current: an A is an angstrom."""


def to_dataset(
    signal: Signal,
    index: int,
    *,
    instrument: InstrumentContext | None,
    mtime: float,
    file: str,
) -> tuple[Dataset, tuple[str, ...]]:
    """Validate a signal's metadata and bring it into preferred units.

    A value that the schema refuses, or that is not plausible, moves to the extensions and is
    named in the warnings: one bad value must not cost the file.

    Parameters
    ----------
    signal
        What an extractor read.
    index
        Its place in the file, from 0.
    instrument
        Its zone places local times; None for UTC.
    mtime
        Modification time of the file, seconds since 1970: where the signal has no time.
    file
        Name of the file, for messages, and for a signal without a name.

    Returns
    -------
    dataset, problems
        What was wrong, in words.
    """
    time = place(signal.acquired, instrument, mtime)
    axes, unsound, doubts = _sound(signal)
    doubts += signal.doubts
    unmeasured = dict(without_number(signal.metadata))
    doubts += unmeasured.values()
    kept = {name: value for name, value in signal.metadata.items() if name not in unmeasured}
    signal = replace(signal, metadata=kept) if unmeasured else signal
    valid, invalid = _validated(signal, time, file)
    problems = tuple(filter(None, (*invalid, time.problem, *unsound)))
    metadata, extensions = dict(valid.metadata), dict(valid.extensions)
    refused = implausible(metadata, dataset_type=signal.dataset_type, data_type=valid.data_type)
    for name, words in {**dict(contradicting(metadata, axes)), **dict(refused)}.items():
        extensions[name if name not in extensions else f"{name}_refused"] = metadata.pop(name)
        doubts.append(words)
    doubts += _unread(metadata)
    dataset = Dataset(
        index=index,
        name=clean_text(signal.name) or file,
        dataset_type=signal.dataset_type,
        data_type=valid.data_type,
        creation_time=time.when,
        shape=signal.shape,
        dtype=clean_text(signal.dtype),
        axes=axes,
        metadata=metadata,
        extensions=extensions,
        warnings=(
            *(name for name in valid.warnings if name in metadata),
            *map(clean_text, filter(None, (*problems, time.doubt, *doubts))),
        ),
    )
    return dataset, problems


def _unread(metadata: Mapping[str, Any]) -> Iterator[str]:
    """Yield in words which texts are kept as bytes."""
    for name, value in metadata.items():
        if isinstance(value, str) and _KEPT_BYTES.search(value):
            yield f"{name} is in an encoding that cannot be told: its letters are kept as bytes"


def _validated(
    signal: Signal, time: PlacedTime, file: str
) -> tuple[ValidMetadata, tuple[str, ...]]:
    """Return what the schema accepts of a signal's metadata, and what it refuses, in words."""
    core: dict[str, object] = dict(signal.metadata)
    if signal.shape:
        core["data_dimensions"] = str(signal.shape)
    return partition_metadata(
        core,
        dataset_type=signal.dataset_type,
        creation_time=time.when,
        data_type=signal.data_type,
        extensions=json_safe(signal.extensions) | {"creation_time_source": time.source},
        warnings=[name for name in signal.warnings if name in signal.metadata],
        file=file,
    )


def _sound(signal: Signal) -> tuple[tuple[Axis, ...], list[str], list[str]]:
    """Return axes that JSON and XML can hold, problems, and what is not plausible about them.

    An axis without a usable scale counts pixels.
    """
    sound: list[Axis] = []
    problems: list[str] = []
    doubts: list[str] = []
    for axis in signal.axes:
        spelled = unit_of_length if signal.dataset_type in _PICTURES else spelled_unit
        unit = spelled(clean_text(axis.unit))
        texts = {"name": clean_text(axis.name), "unit": unit}
        kept, words = sound_axis(axis.model_copy(update=texts), signal.dataset_type)
        sound.append(kept)
        if not is_unit(unit):
            doubts.append(f"{unit!r}, the unit of axis {axis.name!r}, is not known")
        if words:
            (doubts if math.isfinite(axis.scale * axis.offset) else problems).append(words)
    return tuple(sound), problems, doubts
