"""``nexuslims datasets``."""

from pathlib import Path
from typing import Annotated

import typer

datasets = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


@datasets.callback()
def _datasets() -> None:
    """All datasets of records: export."""


@datasets.command("export")
def export(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.parquet", help="To write.", show_default=False)
    ],
) -> None:
    """Write all datasets that may be read, with their quantities in preferred units, as Parquet."""
    from nexuslims_console.archive import export as work  # noqa: PLC0415 - heavy

    work.export_datasets(file)
