"""Groups of files as ``nexuslims activities`` shows them, and how to make them without a broker."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from nexuslims_builder.clustering import cluster
from nexuslims_builder.plot import moment, plot
from nexuslims_shared.cli.output import console, print_table


@dataclass(frozen=True, slots=True)
class Grouping:
    """Files in the order of time, with their times and activities; ``boundaries`` are times."""

    names: list[str]
    times: list[float]
    activities: list[list[int]]
    boundaries: tuple[float, ...]


def of_folder(folder: Path, sensitivity: float, method: str) -> Grouping:
    """Group the files of a folder and its subfolders.

    Parameters
    ----------
    folder
        Where they are.
    sensitivity, method
        See :func:`nexuslims_builder.clustering.cluster`.
    """
    files = (path for path in folder.rglob("*") if path.is_file())
    named = sorted((path.stat().st_mtime, str(path.relative_to(folder))) for path in files)
    return _grouped(named, sensitivity, method)


def of_times(source: str, sensitivity: float, method: str) -> Grouping:
    """Group times that stand in a file, one a line.

    Parameters
    ----------
    source
        Path of the file; ``-`` for standard input.
    sensitivity, method
        See :func:`nexuslims_builder.clustering.cluster`.

    Raises
    ------
    typer.BadParameter
        If it cannot be read, or holds something else.
    """
    try:
        lines = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
        named = sorted((float(line), line) for line in lines.split())
    except OSError as error:
        raise typer.BadParameter(f"{source}: {error.strerror}") from error
    except ValueError as error:
        raise typer.BadParameter(f"{source}: {error}") from error
    return _grouped(named, sensitivity, method)


def _grouped(named: Sequence[tuple[float, str]], sensitivity: float, method: str) -> Grouping:
    clusters = cluster([time for time, _ in named], sensitivity=sensitivity, method=method)
    return Grouping(
        [name for _, name in named],
        [time for time, _ in named],
        [list(activity) for activity in clusters.activities],
        clusters.boundaries,
    )


def show(grouping: Grouping, *, draw: bool, as_json: bool) -> None:
    """Print a grouping.

    Parameters
    ----------
    grouping
        What to print.
    draw
        Also draw times, gaps and boundaries.
    as_json
        Print it as JSON instead.
    """
    if as_json:
        document = {"activities": grouping.activities, "boundaries": grouping.boundaries}
        typer.echo(json.dumps(document))
        return
    if draw:
        numbers = [n for n, activity in enumerate(grouping.activities) for _ in activity]
        out = console()
        for line in plot(grouping.times, numbers, min(out.width, 120)):
            out.print(line, markup=False)
    print_table(
        ("activity", "files", "from", "to", "first file"),
        [_row(grouping, number) for number in range(len(grouping.activities))],
        nothing="no files",
    )


def _row(grouping: Grouping, number: int) -> tuple[Any, ...]:
    files = grouping.activities[number]
    first, last = grouping.times[files[0]], grouping.times[files[-1]]
    name = grouping.names[files[0]].encode(errors="replace").decode()
    return number, len(files), moment(first), moment(last), name
