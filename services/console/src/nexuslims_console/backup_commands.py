"""Commands about the safety of the log; what they do is in ``actions``, imported when called."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from nexuslims_shared.cli.options import Json

Folder: TypeAlias = Annotated[
    Path, typer.Argument(metavar="DIR", help="The backup's folder.", show_default=False)
]
PeriodName: TypeAlias = Annotated[
    str, typer.Argument(metavar="PERIOD", help="all, 2026, 2026-Q3 or 2026-07.", show_default=False)
]

Adopt: TypeAlias = Annotated[
    bool, typer.Option("--adopt", help="Give the sessions of another facility to this one.")
]


def backup(
    folder: Folder,
    *,
    verify: Annotated[
        bool, typer.Option(help="Restore it into a broker of its own, and compare.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Write the log, the buckets and the settings (without secrets) into a new folder.

    Names of people are in it: only its owner can read it. Services may run meanwhile.
    """
    from nexuslims_console.actions import backup as work  # noqa: PLC0415 - heavy

    work.back_up_all(folder, verify=verify, as_json=as_json)


def restore(
    folder: Folder,
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="Remove for good what the broker holds.")
    ] = False,
    adopt: Adopt = False,
    as_json: Json = False,
) -> None:
    """Bring a backup back into a broker, while no service runs.

    An installation that never had a broker takes over the id of the backup's facility.
    Afterwards `nexuslims rebuild --all` writes the records that are missing.
    """
    from nexuslims_console.actions import backup as work  # noqa: PLC0415 - heavy

    work.restore_all(folder, replace=replace, adopt=adopt, as_json=as_json)


periods = typer.Typer(rich_markup_mode=None, invoke_without_command=True)


@periods.callback()
def _periods(context: typer.Context) -> None:
    """The log's periods: list (the default), back up, remove, restore, move."""
    if context.invoked_subcommand is None:
        list_all_periods()


@periods.command("list")
def list_all_periods(*, as_json: Json = False) -> None:
    """List the periods, those that were removed too."""
    from nexuslims_console.actions import periods as work  # noqa: PLC0415 - heavy

    work.show_all(as_json=as_json)


@periods.command("backup")
def back_up_one(period: PeriodName, folder: Folder, *, as_json: Json = False) -> None:
    """Write one period into a new folder; it is restored into a broker of its own, and compared."""
    from nexuslims_console.actions import periods as work  # noqa: PLC0415 - heavy

    work.back_up(period, folder, as_json=as_json)


@periods.command("remove")
def remove_one(
    period: PeriodName,
    backup_folder: Annotated[
        Path, typer.Option("--backup", metavar="DIR", help="Its backup, which is compared first.")
    ],
    *,
    as_json: Json = False,
) -> None:
    """Remove a period from the broker; its sessions wait until it is restored."""
    from nexuslims_console.actions import periods as work  # noqa: PLC0415 - heavy

    work.remove(period, backup_folder, as_json=as_json)


@periods.command("restore")
def restore_one(
    period: PeriodName, folder: Folder, *, adopt: Adopt = False, as_json: Json = False
) -> None:
    """Bring a period back, for example to rebuild its records; services may run meanwhile."""
    from nexuslims_console.actions import periods as work  # noqa: PLC0415 - heavy

    work.restore(period, folder, adopt=adopt, as_json=as_json)


@periods.command("move")
def move_one(
    period: PeriodName,
    *,
    tags: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="TAG", help="Of the servers; again for more. None: any."),
    ] = None,
) -> None:
    """Move a period to the servers of the cluster that have tags, for example slow ones."""
    from nexuslims_console.actions import periods as work  # noqa: PLC0415 - heavy

    work.move(period, tuple(tags or ()))
