"""``nexuslims sanitize``: files that can be shared, for nobody sees the sample in them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nexuslims_contracts.text import terminal_text

if TYPE_CHECKING:
    from nexuslims_sanitiser.isolated import Outcome


def sanitize(
    files: Annotated[list[Path], typer.Argument(help="Files to copy.", show_default=False)],
    *,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", file_okay=False, help="Where the copies go.")
    ] = Path(),
    archive: Annotated[
        bool, typer.Option("--archive", help="Pack each copy as NAME_dataZeroed.tar.gz.")
    ] = False,
    scrub: Annotated[
        list[str] | None,
        typer.Option(
            "--scrub", metavar="FIELD", help="Write x over this field too: operator, paths, ..."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds that one file may take.", min=0.1)] = 1800,
) -> None:
    """Copy files with their data zeroed and their metadata intact; the originals stay as they are.

    A copy is left only if it is zero in every pixel, opens elsewhere, and tells the same.
    """
    from nexuslims_sanitiser.isolated import outcomes  # noqa: PLC0415 - the command line starts fast

    fields = tuple(scrub or ())
    failed, found = 0, dict.fromkeys(fields, 0)
    with _progress(files) as advance:
        for outcome in outcomes(files, out, fields, archive=archive, seconds=timeout):
            advance(outcome.source)
            failed += outcome.reason is not None
            for name, count in outcome.scrubbed.items():
                found[name] += count
            _print_json(outcome) if as_json else _print_line(outcome)
    for name in (name for name in fields if not found[name]):
        failed += 1
        typer.echo(f"--scrub {name}: no file tells it; is it spelt right?", err=True)
    raise typer.Exit(1 if failed else 0)


@contextmanager
def _progress(files: Sequence[Path]) -> Iterator[Callable[[Path], None]]:
    """Show a bar of bytes on a terminal's standard error."""
    import sys  # noqa: PLC0415 - the command line starts fast

    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - terminals only
    from rich.progress import Progress  # noqa: PLC0415 - terminals only

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Sanitising", total=sum(map(_size, files)))
        yield lambda file: progress.advance(task, _size(file))


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


def _print_line(outcome: "Outcome") -> None:
    if outcome.reason is not None:
        typer.echo(terminal_text(f"{outcome.source}: not sanitised: {outcome.reason}"), err=True)
        return
    scrubbed = ", ".join(f"{name} {count} times" for name, count in outcome.scrubbed.items())
    written = ", ".join(map(str, outcome.written))
    line = f"{outcome.source} -> {written}" + (f" (scrubbed: {scrubbed})" if scrubbed else "")
    typer.echo(terminal_text(line))


def _print_json(outcome: "Outcome") -> None:
    import json  # noqa: PLC0415 - the command line starts fast

    # ASCII only: a file name that is not UTF-8 must not break the line
    typer.echo(
        json.dumps(
            {
                "file": str(outcome.source),
                "outcome": "failed" if outcome.reason is not None else "sanitised",
                "reason": outcome.reason,
                "written": [str(path) for path in outcome.written],
                "scrubbed": dict(outcome.scrubbed),
            }
        )
    )
