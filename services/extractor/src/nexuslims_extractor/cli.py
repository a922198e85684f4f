"""``nexuslims extract``: the metadata of files, without any configuration."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from nexuslims_extractor import printing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from nexuslims_extractor.cage.reading import Job
    from nexuslims_extractor.extraction import Extraction
    from nexuslims_formats.model import InstrumentContext

_Form: TypeAlias = Literal["table", "json", "csv"]
_MANY = 4
_LARGE = 4 << 30
"""Bytes that take longer to read for their hash than people wait without a word."""


def extract(
    files: Annotated[
        list[Path], typer.Argument(help="Files to read.", readable=False, show_default=False)
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="A table in CSV: a line for each dataset.")
    ] = False,
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
    if as_json and as_csv:
        raise typer.BadParameter("contradicts --json", param_hint="--csv")
    if recursive:
        files = [one for given in files for one in _below(given)]
    files = [one if one.name else one.absolute() for one in files]  # "" and "." are a folder
    template = Job(
        path=Path(),
        instrument=_instrument(instrument) if instrument else None,
        profiles=_profiles() if instrument else None,
        artifacts_root=preview,
        previews=preview is not None,
        documents=False,
    )
    form: _Form = "json" if as_json else "csv" if as_csv else "table"
    failed = asyncio.run(_run(files, template, form=form, limit=timeout))
    raise typer.Exit(1 if failed else 0)


def _below(given: Path) -> "list[Path]":
    """Return a file, or all files of a folder but hidden ones; some folders are one dataset."""
    from nexuslims_formats.stores import is_store  # noqa: PLC0415 - the command line starts fast

    if not given.is_dir() or is_store(given):
        return [given]
    files = (one for one in given.rglob("*") if one.is_file())
    found = {next((one for one in file.parents if is_store(one)), file) for file in files}
    return sorted(one for one in found if not one.name.startswith("."))


def _speak(*, verbose: bool) -> None:
    """Tell how extractors are chosen, or only what is wrong; the outcome tells of the file."""
    import logging  # noqa: PLC0415 - the command line starts fast

    handler = logging.StreamHandler()
    handler.setLevel(logging.DEBUG if verbose else logging.ERROR)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[handler])
    for package in ("nexuslims_extractor", "nexuslims_formats"):
        logging.getLogger(package).setLevel(logging.DEBUG)


async def _run(files: "Sequence[Path]", template: "Job", *, form: "_Form", limit: float) -> int:
    """Print each file's outcome in the order given; return how many failed.

    Parameters
    ----------
    files
        In which order to print.
    template
        What to do with each file.
    form
        A line of JSON for each, as soon as it is done; or all in one table.
    limit
        Seconds that one file may take.
    """
    results: list[Extraction] = []
    with _progress(files) as advance:
        async for result in _extractions(files, template, limit):
            advance()
            results.append(result)
            if form == "json":
                printing.print_json(result, template.artifacts_root)
    if form == "csv":
        printing.print_csv(results)
    elif form == "table":
        printing.print_table(results)
    return sum(result.failed for result in results)


@contextmanager
def _progress(files: "Sequence[Path]") -> "Iterator[Callable[[], None]]":
    """Show a bar on a terminal's standard error, where files are many or large."""
    import sys  # noqa: PLC0415 - the command line starts fast

    large = _large(files) if sys.stderr.isatty() else ""
    if (len(files) < _MANY and not large) or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console  # noqa: PLC0415 - tables only
    from rich.progress import Progress  # noqa: PLC0415 - tables only

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"Reading{large}", total=len(files))
        yield lambda: progress.advance(task)


def _large(files: "Sequence[Path]") -> str:
    """Return in words how much there is to read; empty where it takes no time to speak of."""
    total = sum(map(_size_of, files))
    return f" {total / 2**30:,.0f} GiB, all of it for the hash" if total > _LARGE else ""


def _size_of(file: Path) -> int:
    try:
        return file.stat().st_size
    except (OSError, ValueError):  # which its reading reports
        return 0


async def _extractions(
    files: "Sequence[Path]", template: "Job", limit: float
) -> "AsyncIterator[Extraction]":
    """Yield the extractions in the order of the files; every file is read in a worker process."""
    import asyncio  # noqa: PLC0415 - the command line starts fast
    import os  # noqa: PLC0415 - the command line starts fast
    from dataclasses import replace  # noqa: PLC0415 - the command line starts fast

    # whatever is imported here is shared with the forked workers, and safe from their birth
    from nexuslims_extractor import core  # noqa: F401, PLC0415 - imported for its cost
    from nexuslims_extractor.cage.warm import load_libraries, warm  # noqa: PLC0415 - the command line starts fast
    from nexuslims_extractor.errors import WorkerError  # noqa: PLC0415 - the command line starts fast
    from nexuslims_extractor.workers import Limits, WorkerPool, not_read  # noqa: PLC0415 - the command line starts fast
    from nexuslims_formats import registry  # noqa: PLC0415 - the command line starts fast

    registry.installed()
    if template.previews or len(files) >= _MANY:
        load_libraries()
    workers = min(len(files), os.cpu_count() or 1)
    if len(files) > workers:
        warm()
    names = _unique_names(files)
    async with WorkerPool(workers, Limits(seconds=limit), start="fork") as pool:
        jobs = [
            asyncio.ensure_future(pool.extract(replace(template, path=file, relative_path=name)))
            for file, name in zip(files, names, strict=True)
        ]
        for file, job in zip(files, jobs, strict=True):
            try:
                yield await job
            except WorkerError as error:  # the other files are read all the same
                yield not_read(file, str(error))


def _unique_names(files: "Sequence[Path]") -> list[str]:
    """Return the files' names as previews have them, numbered where two folders hold the same."""
    from nexuslims_contracts.paths import readable  # noqa: PLC0415 - the command line starts fast

    taken: set[str] = set()
    names = []
    for file in files:
        plain = readable(file.name)
        name, number = plain, 1
        while name in taken:
            number += 1
            name = f"{number}-{plain}"
        taken.add(name)
        names.append(name)
    return names


def _instrument(pid: str) -> "InstrumentContext":
    """Return the instrument of a PID from the facility's instruments file."""
    from nexuslims_formats.model import InstrumentContext  # noqa: PLC0415 - the command line starts fast
    from nexuslims_shared.errors import SettingsError  # noqa: PLC0415 - the command line starts fast
    from nexuslims_shared.instruments import read_instruments  # noqa: PLC0415 - the command line starts fast
    from nexuslims_shared.settings.groups import variables  # noqa: PLC0415 - the command line starts fast

    path = Path(variables().get("NX_INSTRUMENTS_FILE", "instruments.toml"))
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
    from nexuslims_extractor.errors import ProfileError  # noqa: PLC0415 - the command line starts fast
    from nexuslims_extractor.profiles import load_profiles  # noqa: PLC0415 - the command line starts fast
    from nexuslims_shared.settings.groups import variables  # noqa: PLC0415 - the command line starts fast

    given = variables().get("NX_LOCAL_PROFILES_PATH")
    folder = Path(given) if given else None
    try:
        load_profiles(folder)
    except ProfileError as error:
        raise typer.BadParameter(str(error), param_hint="NX_LOCAL_PROFILES_PATH") from None
    return folder
