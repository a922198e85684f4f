"""``nexuslims extract``: the metadata of files, without any configuration."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from nexuslims_contracts.datasets import Dataset
    from nexuslims_extractor.cage.reading import Job
    from nexuslims_extractor.extraction import Extraction
    from nexuslims_formats.model import InstrumentContext

_MANY = 4
_FIELDS_LISTED = ("acceleration_voltage", "magnification", "detector_type")


def extract(
    files: Annotated[
        list[Path], typer.Argument(help="Files to read.", readable=False, show_default=False)
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    preview: Annotated[
        Path | None,
        typer.Option(
            "--preview",
            "--preview-path",
            "-p",
            metavar="DIR",
            file_okay=False,
            help="Draw previews into this folder.",
        ),
    ] = None,
    no_preview: Annotated[
        bool, typer.Option("--no-preview", help="Draw none, which is the default.")
    ] = False,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Read all files of folders too.")
    ] = False,
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
    import asyncio  # noqa: PLC0415 - the command line starts fast

    from nexuslims_extractor.cage.reading import Job  # noqa: PLC0415 - the command line starts fast

    _speak(verbose=verbose)
    if no_preview and preview:
        raise typer.BadParameter("contradicts --preview", param_hint="--no-preview")
    if recursive:
        files = [one for given in files for one in _below(given)]
    template = Job(
        path=Path(),
        instrument=_instrument(instrument) if instrument else None,
        profiles=_profiles() if instrument else None,
        artifacts_root=preview,
        previews=preview is not None,
        documents=False,
    )
    failed = asyncio.run(_run(files, template, as_json=as_json, limit=timeout))
    raise typer.Exit(1 if failed else 0)


def _below(given: Path) -> "list[Path]":
    """Return a file, or all files of a folder but hidden ones."""
    if not given.is_dir():
        return [given]
    found = (one for one in given.rglob("*") if one.is_file())
    return sorted(one for one in found if not one.name.startswith("."))


def _speak(*, verbose: bool) -> None:
    """Tell how extractors are chosen, or only what is wrong; the outcome tells of the file."""
    import logging  # noqa: PLC0415 - the command line starts fast

    handler = logging.StreamHandler()
    handler.setLevel(logging.DEBUG if verbose else logging.ERROR)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[handler])
    for package in ("nexuslims_extractor", "nexuslims_formats"):
        logging.getLogger(package).setLevel(logging.DEBUG)


async def _run(files: "Sequence[Path]", template: "Job", *, as_json: bool, limit: float) -> int:
    """Print each file's outcome in the order given; return how many failed.

    Parameters
    ----------
    files
        In which order to print.
    template
        What to do with each file.
    as_json
        Print a line of JSON for each, as soon as it is done; otherwise one table.
    limit
        Seconds that one file may take.
    """
    results: list[Extraction] = []
    with _progress(len(files)) as advance:
        async for result in _extractions(files, template, limit):
            advance()
            results.append(result)
            if as_json:
                _print_json(result, template.artifacts_root)
    if not as_json:
        _print_table(results)
    return sum(result.failed for result in results)


@contextmanager
def _progress(files: int) -> "Iterator[Callable[[], None]]":
    """Show a bar on a terminal's standard error, where there are many files."""
    import sys  # noqa: PLC0415 - the command line starts fast

    if files < _MANY or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console  # noqa: PLC0415 - tables only
    from rich.progress import Progress  # noqa: PLC0415 - tables only

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Reading", total=files)
        yield lambda: progress.advance(task)


async def _extractions(
    files: "Sequence[Path]", template: "Job", limit: float
) -> "AsyncIterator[Extraction]":
    """Yield the extractions in the order of the files; every file is read in a worker process."""
    import asyncio  # noqa: PLC0415 - the command line starts fast
    import os  # noqa: PLC0415 - the command line starts fast
    from dataclasses import replace  # noqa: PLC0415 - the command line starts fast

    # whatever is imported here is shared with the forked workers, and safe from their birth
    from nexuslims_extractor import core  # noqa: F401, PLC0415 - imported for its cost
    from nexuslims_extractor.cage.warm import warm  # noqa: PLC0415 - the command line starts fast
    from nexuslims_extractor.workers import Limits, WorkerPool  # noqa: PLC0415 - the command line starts fast
    from nexuslims_formats import registry  # noqa: PLC0415 - the command line starts fast

    registry.installed()
    if template.previews or len(files) >= _MANY:
        from nexuslims_extractor import preload  # noqa: F401, PLC0415 - imported for its cost
    workers = min(len(files), os.cpu_count() or 1)
    if len(files) > workers:
        warm()
    names = _unique_names(files)
    async with WorkerPool(workers, Limits(seconds=limit), start="fork") as pool:
        jobs = [
            asyncio.ensure_future(pool.extract(replace(template, path=file, relative_path=name)))
            for file, name in zip(files, names, strict=True)
        ]
        for job in jobs:
            yield await job


def _unique_names(files: "Sequence[Path]") -> list[str]:
    """Return the files' names, numbered where two folders hold the same one."""
    taken: set[str] = set()
    names = []
    for file in files:
        name, number = file.name, 1
        while name in taken:
            number += 1
            name = f"{number}-{file.name}"
        taken.add(name)
        names.append(name)
    return names


def _instrument(pid: str) -> "InstrumentContext":
    """Return the instrument of a PID from the facility's instruments file."""
    import os  # noqa: PLC0415 - the command line starts fast

    from nexuslims_formats.model import InstrumentContext  # noqa: PLC0415 - the command line starts fast
    from nexuslims_shared.errors import SettingsError  # noqa: PLC0415 - the command line starts fast
    from nexuslims_shared.instruments import read_instruments  # noqa: PLC0415 - the command line starts fast

    path = Path(os.environ.get("NX_INSTRUMENTS_FILE", "instruments.toml"))
    try:
        known = read_instruments(path)
    except SettingsError as error:
        raise typer.BadParameter(str(error), param_hint="--instrument") from None
    if pid not in known:
        message = f"{pid!r} is not in {path}; it knows {', '.join(known) or 'no instrument'}"
        raise typer.BadParameter(message, param_hint="--instrument")
    return InstrumentContext(pid, known[pid].timezone)


def _profiles() -> Path | None:
    """Return the folder of the facility's profiles, having made sure that they can be used."""
    import os  # noqa: PLC0415 - the command line starts fast

    from nexuslims_extractor.errors import ProfileError  # noqa: PLC0415 - the command line starts fast
    from nexuslims_extractor.profiles import load_profiles  # noqa: PLC0415 - the command line starts fast

    given = os.environ.get("NX_LOCAL_PROFILES_PATH")
    folder = Path(given) if given else None
    try:
        load_profiles(folder)
    except ProfileError as error:
        raise typer.BadParameter(str(error), param_hint="NX_LOCAL_PROFILES_PATH") from None
    return folder


def _print_json(result: "Extraction", folder: Path | None) -> None:
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


def _print_table(results: "Sequence[Extraction]") -> None:
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
        if result.reason:
            reason = result.reason.removeprefix(f"{Path(result.file.path).name}: ")
            table.add_row(name, outcome, f"[italic]{escape(terminal_text(reason))}[/]", "")
    Console().print(table)


def _summary(dataset: "Dataset") -> str:
    """Return a dataset in a line: what it is, how large, and what a microscopist asks first."""
    shape = " x ".join(map(str, dataset.shape))
    values = (dataset.metadata[field] for field in _FIELDS_LISTED if field in dataset.metadata)
    return ", ".join(filter(None, (dataset.data_type, shape, *map(_words, values))))


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value.get('value'):g} {value.get('unit')}"
    return f"{value:g}x" if isinstance(value, int | float) else str(value)
