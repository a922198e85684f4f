"""Commands for a facility that moves over from NexusLIMS: their options."""

from pathlib import Path
from typing import Annotated

import typer

from nexuslims_shared.cli.options import Json

Database = Annotated[
    Path | None,
    typer.Option("--db", metavar="FILE", help="NexusLIMS's database; NX_DB_PATH by default."),
]


def import_legacy(
    *,
    db: Database = None,
    env: Annotated[
        Path | None,
        typer.Option("--env", metavar="FILE", help="NexusLIMS's .env, if it is not the one here."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Say what would be done; write nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Carry instruments, sessions and uploads over from NexusLIMS 1.4 to 2.8.

    Completed sessions stay completed. Running it again adds only what is new.
    """
    from nexuslims_console.actions import import_legacy as work  # noqa: PLC0415 - heavy

    work.import_legacy(db, env, dry_run=dry_run, as_json=as_json)
