"""A dataset as a row of a table: columns with units in their names, and plain values."""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, Final

from nexuslims_contracts.datasets import Dataset
from nexuslims_formats.errors import MissingLibraryError

_QUANTITY: Final = {"value", "unit"}


def row_of(dataset: Dataset) -> dict[str, Any]:
    """Return what is known of a dataset, by column, such as ``acceleration_voltage (kV)``.

    A group of values becomes columns ``group.name``; a list is one text.
    """
    return {
        "dataset": dataset.index,
        "name": dataset.name,
        "dataset_type": dataset.dataset_type,
        "data_type": dataset.data_type,
        "creation_time": dataset.creation_time.isoformat(),
        "shape": " x ".join(map(str, dataset.dimensions())),
        "dtype": dataset.dtype,
        **dict(columns_of(dataset.metadata)),
        **dict(columns_of(dataset.extensions)),
    }


def data_frame(datasets: Sequence[Dataset]) -> Any:
    """Return a ``pandas.DataFrame`` of datasets, a row each.

    Raises
    ------
    MissingLibraryError
        pandas is not installed.
    """
    try:
        pandas = import_module("pandas")
    except ImportError as error:
        raise MissingLibraryError(
            "a table needs pandas, which is an extra: pip install 'nexuslims-formats[pandas]'"
        ) from error
    return pandas.DataFrame([row_of(dataset) for dataset in datasets])


def columns_of(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Give names with units, and values, of a group of metadata.

    Parameters
    ----------
    values
        By name: texts, numbers, quantities ``{"value", "unit"}``, lists, groups.
    prefix
        Goes before each name.
    """
    for name, value in values.items():
        if isinstance(value, Mapping) and value.keys() == _QUANTITY:
            yield f"{prefix}{name} ({value['unit']})", value["value"]
        elif isinstance(value, Mapping):
            yield from columns_of(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            yield f"{prefix}{name}", "; ".join(map(_item, value))
        else:
            yield f"{prefix}{name}", value


def _item(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {part}" for name, part in columns_of(value))
    return str(value)
