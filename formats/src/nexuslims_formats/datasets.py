"""From a signal as read to a dataset as agreed: the one place that calls the contracts' schemas."""

import math
from collections.abc import Sequence

from nexuslims_contracts.datasets import Axis, Dataset
from nexuslims_contracts.metadata import partition_metadata
from nexuslims_contracts.text import clean_text
from nexuslims_formats.json_tree import json_safe
from nexuslims_formats.model import InstrumentContext, Signal
from nexuslims_formats.quantities import spelled_unit
from nexuslims_formats.times import place


def to_dataset(
    signal: Signal,
    index: int,
    *,
    instrument: InstrumentContext | None,
    mtime: float,
    file: str,
) -> tuple[Dataset, tuple[str, ...]]:
    """Validate a signal's metadata and bring it into preferred units.

    A value that the schema refuses moves to the extensions and is reported: one bad value must
    not cost the file.

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
    axes, unsound = _sound(signal.axes)
    core: dict[str, object] = dict(signal.metadata)
    if signal.shape:
        core["data_dimensions"] = str(signal.shape)
    valid, problems = partition_metadata(
        core,
        dataset_type=signal.dataset_type,
        creation_time=time.when,
        data_type=signal.data_type,
        extensions=json_safe(signal.extensions) | {"creation_time_source": time.source},
        warnings=[name for name in signal.warnings if name in signal.metadata],
        file=file,
    )
    problems = tuple(filter(None, (*problems, time.problem)))
    dataset = Dataset(
        index=index,
        name=clean_text(signal.name) or file,
        dataset_type=signal.dataset_type,
        data_type=valid.data_type,
        creation_time=time.when,
        shape=signal.shape,
        dtype=clean_text(signal.dtype),
        axes=axes,
        metadata=valid.metadata,
        extensions=valid.extensions,
        warnings=(*valid.warnings, *map(clean_text, filter(None, (*problems, time.doubt)))),
    )
    return dataset, (*problems, *unsound)


def _sound(axes: Sequence[Axis]) -> tuple[tuple[Axis, ...], tuple[str, ...]]:
    """Return axes that JSON and XML can hold; one without a finite scale counts pixels."""
    sound: list[Axis] = []
    problems: list[str] = []
    for axis in axes:
        texts = {"name": clean_text(axis.name), "unit": spelled_unit(clean_text(axis.unit))}
        if math.isfinite(axis.scale) and math.isfinite(axis.offset):
            sound.append(axis.model_copy(update=texts))
        else:
            sound.append(Axis(name=texts["name"], size=axis.size, navigate=axis.navigate))
            problems.append(f"the scale of axis {texts['name']!r} is not finite")
    return tuple(sound), tuple(problems)
