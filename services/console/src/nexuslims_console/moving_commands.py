"""Commands for a facility that begins here, anew or from NexusLIMS: their options."""

from pathlib import Path
from typing import Annotated

import typer

from nexuslims_shared.cli.options import Json, Patience

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


def trial(
    *,
    env: Annotated[Path, typer.Option("--from", metavar="FILE", help="NexusLIMS's .env.")] = Path(
        ".env"
    ),
    db: Database = None,
    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", help="The only place that is written to.")
    ] = Path("trial"),
    sessions: Annotated[
        int, typer.Option(metavar="N", help="How many, the newest first.", min=1)
    ] = 3,
    as_json: Json = False,
    timeout: Patience = 3600.0,
) -> None:
    """Make records of finished sessions in a folder of their own; compare them with NexusLIMS's.

    Nothing else is written to: no destination, no database, no file of NexusLIMS's.
    """
    from nexuslims_console.actions import trial as work  # noqa: PLC0415 - heavy

    ok = work.trial(env, db, folder, sessions=sessions, patience=timeout, as_json=as_json)
    raise typer.Exit(0 if ok else 1)


def init(
    *,
    files: Annotated[
        Path | None, typer.Option("--files", metavar="DIR", help="Where instruments write to.")
    ] = None,
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR", help="Where records and previews go.")
    ] = Path("data"),
    instrument: Annotated[
        list[str] | None,
        typer.Option(metavar="PID=FOLDER", help="An instrument, its folder below --files."),
    ] = None,
    timezone: Annotated[str, typer.Option(metavar="ZONE", help="Of their local times.")] = "UTC",
    nemo: Annotated[str, typer.Option(metavar="URL", help="The NEMO that has sessions.")] = "",
    nemo_token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="It holds NEMO's token.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
) -> None:
    """Set up a new facility here: .env, instruments.toml, calendar.toml. Replaces no file.

    Without --instrument, each folder below --files is one.
    """
    from nexuslims_console.actions import init as work  # noqa: PLC0415 - heavy

    given = work.Facility(files, data, timezone, nemo, nemo_token_file, tuple(instrument or ()))
    work.init(given, ask=not yes)
