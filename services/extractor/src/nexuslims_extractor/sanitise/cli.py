"""``nexuslims sanitize``: files that can be shared, for nobody sees the sample in them."""

from pathlib import Path
from typing import Annotated

import typer


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
            "--scrub", metavar="FIELD", help="Write x over this field: operator, paths, ..."
        ),
    ] = None,
) -> None:
    """Copy files with their data zeroed and their metadata intact; the originals stay as they are.

    A copy is left only if it is zero in every pixel, opens elsewhere, and tells the same.
    """
    from nexuslims_extractor.errors import ExtractorError  # noqa: PLC0415 - the command line starts fast
    from nexuslims_extractor.sanitise.job import sanitise  # noqa: PLC0415 - the command line starts fast

    failed = 0
    for file in files:
        try:
            done = sanitise(file, out, scrub_fields=scrub or (), archive=archive)
        except (ExtractorError, OSError) as error:
            failed += 1
            typer.echo(f"{file}: not sanitised: {error}", err=True)
            continue
        except Exception as error:  # noqa: BLE001 - a foreign file may break any reader
            failed += 1
            typer.echo(f"{file}: not sanitised: {type(error).__name__}: {error}", err=True)
            continue
        told = f" ({done.scrubbed} words scrubbed)" if scrub else ""
        typer.echo(f"{file} -> {', '.join(map(str, done.written))}{told}")
    raise typer.Exit(1 if failed else 0)
