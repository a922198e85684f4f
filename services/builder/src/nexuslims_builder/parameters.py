"""Parameters of datasets, and which of them belong to the whole activity."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from nexuslims_contracts.datasets import Dataset, ExtractorVersion
from nexuslims_contracts.metadata import display_name
from nexuslims_contracts.record.model import Parameter

SEPARATOR = " – "  # noqa: RUF001 - the dash of the incumbent's names
PROVENANCE = "NexusLIMS Extraction"


def parameters_of(dataset: Dataset, extractor: ExtractorVersion | None) -> list[Parameter]:
    """Return all parameters of a dataset, by name without regard to case.

    Parameters
    ----------
    dataset
        With its normalised metadata and extensions.
    extractor
        What read it, for the provenance parameters.
    """
    warned = {display_name(field) for field in dataset.warnings}
    found: dict[str, Parameter] = {}
    for name, value, unit in _all_of(dataset, extractor):
        found.setdefault(name, Parameter(name, value, unit, unreliable=name in warned))
    return in_order(found.values())


def separate(
    datasets: Sequence[Sequence[Parameter]],
) -> tuple[list[Parameter], list[list[Parameter]]]:
    """Split parameters into the setup of an activity and what is left to each dataset.

    The setup holds those that all datasets have with one value; an activity of one dataset has no
    setup of its own.

    Returns
    -------
    tuple
        The setup, and the rest of each dataset in the order given.
    """
    if len(datasets) < 2:  # noqa: PLR2004 - one dataset shares nothing
        return [], [list(parameters) for parameters in datasets]
    common = set(datasets[0]).intersection(*datasets[1:])
    rest = [[one for one in parameters if one not in common] for parameters in datasets]
    return in_order(common), rest


def in_order(
    parameters: Iterable[Parameter],
) -> list[Parameter]:
    """Sort by name without regard to case, ties by the name as it is."""
    return sorted(parameters, key=lambda one: (one.name.casefold(), one.name))


def _all_of(dataset: Dataset, extractor: ExtractorVersion | None) -> Iterator[tuple[str, str, str]]:
    yield "Creation Time", dataset.creation_time.isoformat(), ""
    yield "Data Type", dataset.data_type, ""
    for field, value in dataset.metadata.items():
        yield from _flatten(display_name(field), value)
    if dataset.shape:
        yield "Data Dimensions", str(dataset.shape), ""
    for key, value in dataset.extensions.items():
        yield from _flatten(display_name(key), value)
    if extractor is not None:
        for part, text in (
            ("Module", extractor.name),
            ("Version", extractor.version),
            ("Reader", extractor.reader),
        ):
            if text:
                yield f"{PROVENANCE}{SEPARATOR}{part}", text, ""


def _flatten(name: str, value: object) -> Iterator[tuple[str, str, str]]:
    if value is None:
        return
    if isinstance(value, Mapping):
        if value.keys() >= {"value", "unit"}:
            yield name, text_of(value["value"]), str(value["unit"])
            return
        for key, inner in value.items():
            yield from _flatten(f"{name}{SEPARATOR}{display_name(str(key))}", inner)
        return
    yield name, text_of(value), ""


def text_of(value: object) -> str:
    """Write a value: numbers without superfluous digits, lists with commas."""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(text_of(item) for item in value)
    return str(value)
