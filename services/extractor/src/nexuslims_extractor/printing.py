"""What ``nexuslims extract`` prints: a table for people, JSON or CSV for programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nexuslims_contracts.datasets import Dataset
    from nexuslims_extractor.extraction import Extraction

_FIELDS_LISTED = ("acceleration_voltage", "magnification", "detector_type")
_HEADINGS = {
    "partial": "Read in part",
    "unsupported": "Read by nothing installed",
    "failed": "Not read",
}
"""What is wrong with files, by their outcome, in the order of printing."""


def print_json(result: "Extraction", folder: Path | None) -> None:
    """Print an extraction as a line of JSON.

    Parameters
    ----------
    result
        What was found out.
    folder
        Where its previews lie.
    """
    import json  # noqa: PLC0415 - the command line starts fast
    import sys  # noqa: PLC0415 - the command line starts fast

    # ASCII only: a file name that is not UTF-8 must not break the line
    sys.stdout.write(json.dumps(as_record(result, folder)) + "\n")
    sys.stdout.flush()


def as_record(result: "Extraction", folder: Path | None = None) -> dict[str, Any]:
    """Return an extraction as the object that ``--json`` prints; previews lie in ``folder``.

    Parameters
    ----------
    result
        What was found out.
    folder
        Where its previews lie.
    """
    from dataclasses import asdict  # noqa: PLC0415 - the command line starts fast

    return {
        "file": asdict(result.file),
        "outcome": result.outcome,
        "reason": result.reason,
        "extractor": result.extractor.model_dump(mode="json"),
        "datasets": [item.model_dump(mode="json", exclude={"preview"}) for item in result.datasets],
        "previews": [str((folder or Path()) / preview.path) for preview in result.previews],
    }


def print_csv(results: "Sequence[Extraction]") -> None:
    """Print a line for each dataset, and for each file without any: columns say their units."""
    import csv  # noqa: PLC0415 - the command line starts fast
    import sys  # noqa: PLC0415 - the command line starts fast

    from nexuslims_formats.rows import row_of  # noqa: PLC0415 - the command line starts fast

    rows: list[dict[str, Any]] = []
    for result in results:
        file = {"file": result.file.path, "outcome": result.outcome, "reason": result.reason}
        file["extractor"] = result.extractor.name
        rows += [{**file, **row_of(dataset)} for dataset in result.datasets] or [file]
    columns = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)


def _cell(value: Any) -> Any:
    """Return a value that a spreadsheet shows: a text that would be a formula is quoted."""
    if not isinstance(value, str):
        return value
    from nexuslims_contracts.text import terminal_text  # noqa: PLC0415 - the command line starts fast

    text = terminal_text(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def print_table(results: "Sequence[Extraction]") -> None:
    """Print the datasets in a table; then, by kind of trouble, which files had it and why."""
    from rich.console import Console  # noqa: PLC0415 - tables only
    from rich.markup import escape  # noqa: PLC0415 - tables only
    from rich.table import Table  # noqa: PLC0415 - tables only

    from nexuslims_contracts.text import terminal_text  # noqa: PLC0415 - tables only

    table = Table(show_edge=False, pad_edge=False)
    table.add_column("File", overflow="fold", ratio=3)
    table.add_column("Outcome", no_wrap=True)
    table.add_column("Dataset", ratio=4)
    table.add_column("Created", no_wrap=True)
    colours = {"extracted": "green", "partial": "yellow"}
    for result in results:
        name = escape(terminal_text(Path(result.file.path).name))
        outcome = f"[{colours.get(result.outcome, 'red')}]{result.outcome}[/]"
        for dataset in result.datasets:
            created = f"{dataset.creation_time:%Y-%m-%d %H:%M}"
            table.add_row(name, outcome, escape(terminal_text(_summary(dataset))), created)
            name, outcome = "", ""
    console = Console()
    if table.rows:
        console.print(table)
    for kind, heading in _HEADINGS.items():
        concerned = [one for one in results if one.outcome == kind]
        if concerned:
            console.print(f"\n[bold]{heading}[/] ({len(concerned)})")
        for result in concerned:
            console.print(escape(terminal_text(f"  {_reason(result)}")), highlight=False)


def _reason(result: "Extraction") -> str:
    """Return why a file was not read, or not wholly, beginning with its name."""
    name = Path(result.file.path).name
    reason = result.reason or ""
    return reason if reason.startswith(f"{name}: ") else f"{name}: {reason}"


def _summary(dataset: "Dataset") -> str:
    """Return a dataset in a line: what it is, how large, and what a microscopist asks first."""
    shape = " x ".join(map(str, dataset.shape))
    values = (dataset.metadata[field] for field in _FIELDS_LISTED if field in dataset.metadata)
    return ", ".join(filter(None, (dataset.data_type, shape, *map(_words, values))))


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value.get('value'):g} {value.get('unit')}"
    return f"{value:g}x" if isinstance(value, int | float) else str(value)
