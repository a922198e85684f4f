"""``nexuslims extract``: the metadata of files, without any configuration."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from nexuslims_extractor.model import Extraction, InstrumentContext

_MANY = 4
_FIELDS_SHOWN = ("acceleration_voltage", "magnification", "detector_type")


def extract(
    files: Annotated[list[Path], typer.Argument(help="Files to read.", show_default=False)],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    preview: Annotated[
        Path | None,
        typer.Option(
            "--preview", metavar="DIR", file_okay=False, help="Draw previews into this folder."
        ),
    ] = None,
    instrument: Annotated[
        str | None,
        typer.Option("--instrument", metavar="PID", help="Whose zone places local times."),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds that one file may take.", min=0.1)] = 300,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Tell which extractors were considered.")
    ] = False,
) -> None:
    """Extract the metadata of files, and say what went wrong with those that cannot be read."""
    import asyncio

    if verbose:
        import logging

        logging.basicConfig(level=logging.DEBUG, format="%(message)s")
    context = _instrument(instrument) if instrument else None
    failed = asyncio.run(
        _run(files, as_json=as_json, preview=preview, context=context, timeout=timeout)
    )
    raise typer.Exit(1 if failed else 0)


async def _run(
    files: "Sequence[Path]",
    *,
    as_json: bool,
    preview: Path | None,
    context: "InstrumentContext | None",
    timeout: float,
) -> int:
    """Print each file's outcome in the order given; return how many failed."""
    from rich.console import Console
    from rich.progress import Progress

    results: list[Extraction] = []
    stderr = Console(stderr=True)
    shown = len(files) >= _MANY and stderr.is_terminal
    with Progress(console=stderr, transient=True, disable=not shown) as progress:
        task = progress.add_task("Reading", total=len(files))
        async for result in _extractions(files, preview, context, timeout):
            progress.advance(task)
            results.append(result)
            if as_json:
                _print_json(result, preview)
    if not as_json:
        _print_table(results)
    return sum(result.failed for result in results)


async def _extractions(
    files: "Sequence[Path]",
    preview: Path | None,
    context: "InstrumentContext | None",
    timeout: float,  # noqa: ASYNC109 - the limit of each worker, not of this call
) -> "AsyncIterator[Extraction]":
    """Yield the extractions in the order of the files; every file is read in a worker process."""
    import asyncio
    import os

    from nexuslims_extractor.workers import Job, Limits, WorkerPool

    workers = min(len(files), os.cpu_count() or 1)
    names = _unique_names(files)
    async with WorkerPool(workers, Limits(seconds=timeout), preload=len(files) >= _MANY) as pool:
        jobs = [
            asyncio.ensure_future(
                pool.extract(
                    Job(
                        path=file,
                        instrument=context,
                        relative_path=name,
                        artifacts_root=preview,
                        previews=preview is not None,
                        documents=False,
                    )
                )
            )
            for file, name in zip(files, names, strict=True)
        ]
        for job in jobs:
            yield await job


def _unique_names(files: "Sequence[Path]") -> list[str]:
    """Return the files' names, numbered where two folders hold the same one."""
    seen: dict[str, int] = {}
    names = []
    for file in files:
        number = seen[file.name] = seen.get(file.name, 0) + 1
        names.append(file.name if number == 1 else f"{number}-{file.name}")
    return names


def _instrument(pid: str) -> "InstrumentContext":
    """Return the instrument of a PID from the facility's instruments file."""
    import os

    from nexuslims_shared.errors import SettingsError
    from nexuslims_shared.instruments import read_instruments

    from nexuslims_extractor.model import InstrumentContext

    path = Path(os.environ.get("NX_INSTRUMENTS_FILE", "instruments.toml"))
    try:
        known = read_instruments(path)
    except SettingsError as error:
        raise typer.BadParameter(str(error), param_hint="--instrument") from None
    if pid not in known:
        message = f"{pid!r} is not in {path}; it knows {', '.join(known) or 'no instrument'}"
        raise typer.BadParameter(message, param_hint="--instrument")
    return InstrumentContext(pid=pid, timezone=known[pid].timezone)


def _print_json(result: "Extraction", folder: Path | None) -> None:
    import json
    import sys

    # ASCII only: a file name that is not UTF-8 must not break the line
    sys.stdout.write(json.dumps(as_record(result, folder)) + "\n")
    sys.stdout.flush()


def as_record(result: "Extraction", folder: Path | None = None) -> dict[str, Any]:
    """Return an extraction as the object that ``--json`` prints; previews lie in ``folder``."""
    from dataclasses import asdict

    return {
        "file": asdict(result.file),
        "outcome": result.outcome,
        "reason": result.reason,
        "extractor": result.extractor.model_dump(mode="json"),
        "datasets": [item.model_dump(mode="json", exclude={"preview"}) for item in result.datasets],
        "previews": [str((folder or Path()) / preview.path) for preview in result.previews],
    }


def _print_table(results: "Sequence[Extraction]") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(show_lines=False)
    for heading in ("File", "Outcome", "Dataset", "Type", "Shape", "Created", "Details"):
        table.add_column(heading, overflow="fold")
    colours = {"extracted": "green", "partial": "yellow"}
    for result in results:
        outcome = f"[{colours.get(result.outcome, 'red')}]{result.outcome}[/]"
        name = escape(Path(result.file.path).name)
        if not result.datasets:
            table.add_row(name, outcome, "", "", "", "", escape(result.reason or ""))
        for dataset in result.datasets:
            details = ", ".join(
                _words(dataset.metadata[field])
                for field in _FIELDS_SHOWN
                if field in dataset.metadata
            )
            table.add_row(
                name,
                outcome,
                escape(dataset.name),
                f"{dataset.dataset_type} ({dataset.data_type})",
                " x ".join(map(str, dataset.shape)),
                dataset.creation_time.isoformat(sep=" "),
                escape("; ".join(filter(None, (details, result.reason)))),
            )
            name, outcome = "", ""
    Console().print(table)


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value.get('value'):g} {value.get('unit')}"
    return f"{value:g}x" if isinstance(value, int | float) else str(value)
