"""From a signal as read to a dataset as agreed: the one place that calls the contracts' schemas."""

from nexuslims_contracts.datasets import Dataset
from nexuslims_contracts.metadata import partition_metadata
from nexuslims_extractor.artifacts import clean_text, json_safe
from nexuslims_extractor.model import InstrumentContext, Signal
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
    core: dict[str, object] = dict(signal.metadata)
    if signal.shape:
        core["data_dimensions"] = str(signal.shape)
    valid, problems = partition_metadata(
        core,
        dataset_type=signal.dataset_type,
        creation_time=created,
        data_type=signal.data_type,
        extensions=json_safe(signal.extensions) | {"creation_time_source": source},
        warnings=[name for name in signal.warnings if name in signal.metadata],
        file=file,
    )
    dataset = Dataset(
        index=index,
        name=clean_text(signal.name) or file,
        dataset_type=signal.dataset_type,
        data_type=valid.data_type,
        creation_time=created,
        shape=signal.shape,
        dtype=signal.dtype,
        axes=signal.axes,
        metadata=valid.metadata,
        extensions=valid.extensions,
        warnings=valid.warnings,
    )
    return dataset, problems
