"""The builder's commands: ``activities`` and ``validate``."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def activities(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder whose files are clustered, with its subfolders.")
    ] = None,
    mtimes: Annotated[
        str | None,
        typer.Option(help="File of modification times, one a line, POSIX seconds; - for input."),
    ] = None,
    sensitivity: Annotated[
        float, typer.Option(min=0.0, help="Higher: more activities; 0: one.")
    ] = 1.0,
    method: Annotated[
        str, typer.Option(help="gaps: by clear pauses; kde: as the incumbent does.")
    ] = "gaps",
    as_json: Json = False,
) -> None:
    """Show how files would be clustered into acquisition activities."""
    from nexuslims_builder.clustering import cluster  # noqa: PLC0415 - numpy

    if (folder is None) == (mtimes is None):
        raise typer.BadParameter("give either a folder or --mtimes")
    named = _of_folder(folder) if folder is not None else _of_times(mtimes or "-")
    clusters = cluster([time for time, _ in named], sensitivity=sensitivity, method=method)
    if as_json:
        document = {"activities": clusters.activities, "boundaries": clusters.boundaries}
        typer.echo(json.dumps(document))
        return
    _show(named, clusters.activities)


def validate(
    records: Annotated[list[Path], typer.Argument(help="Records to validate.")],
    as_json: Json = False,
) -> None:
    """Validate records against the schema, with line numbers."""
    from nexuslims_builder.validation import Problem  # noqa: PLC0415 - lxml
    from nexuslims_builder.validation import validate as validate_content  # noqa: PLC0415

    found: dict[Path, list[Problem]] = {}
    for path in records:
        try:
            found[path] = validate_content(path.read_bytes())
        except OSError as error:
            found[path] = [Problem(0, "", f"cannot be read: {error.strerror}")]
    if as_json:
        typer.echo(
            json.dumps(
                [
                    {
                        "file": str(path),
                        "valid": not problems,
                        "problems": [dataclasses.asdict(one) for one in problems],
                    }
                    for path, problems in found.items()
                ]
            )
        )
    else:
        for path, problems in found.items():
            typer.echo(f"{path}: {'invalid' if problems else 'valid'}")
            for problem in problems:
                typer.echo(f"  {problem}")
    raise typer.Exit(1 if any(found.values()) else 0)


def _of_folder(folder: Path) -> list[tuple[float, str]]:
    if not folder.is_dir():
        raise typer.BadParameter(f"{folder} is no folder")
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted((path.stat().st_mtime, str(path.relative_to(folder))) for path in files)


def _of_times(source: str) -> list[tuple[float, str]]:
    try:
        lines = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
        return sorted((float(line), line) for line in lines.split())
    except OSError as error:
        raise typer.BadParameter(f"{source}: {error.strerror}") from error
    except ValueError as error:
        raise typer.BadParameter(f"{source}: {error}") from error


def _show(named: list[tuple[float, str]], groups: tuple[tuple[int, ...], ...]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table("activity", "files", "from", "to", "first file")
    for number, indices in enumerate(groups):
        first, last = named[indices[0]], named[indices[-1]]
        shown = first[1].encode(errors="replace").decode()
        table.add_row(str(number), str(len(indices)), _moment(first[0]), _moment(last[0]), shown)
    Console(highlight=False, markup=False).print(table)


def _moment(time: float) -> str:
    from datetime import datetime  # noqa: PLC0415 - only for people

    try:
        return datetime.fromtimestamp(time).astimezone().isoformat(" ", "seconds")
    except (OverflowError, ValueError, OSError):  # no calendar reaches that far
        return f"{time:g} s"
