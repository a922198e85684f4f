"""``nexuslims backup`` and ``nexuslims restore``."""

from pathlib import Path

from nexuslims_shared.backups import whole
from nexuslims_shared.backups.folder import SETTINGS, Manifest
from nexuslims_shared.backups.whole import Owner
from nexuslims_shared.cli.asynchronous import run
from nexuslims_shared.cli.output import print_json, print_table, say
from nexuslims_shared.cli.progress import Update, counted_progress
from nexuslims_shared.context import service_context
from nexuslims_shared.errors import BackupError
from nexuslims_shared.facility import broker_at_hand
from nexuslims_shared.log_identity import facility_of
from nexuslims_shared.settings import Settings, read_settings

_MEGABYTE = 1e6


def back_up_all(folder: Path, *, verify: bool, as_json: bool) -> None:
    """Write everything that the broker has into a new folder.

    Parameters
    ----------
    folder
        Where to.
    verify
        Whether to restore it elsewhere, and compare.
    as_json
        Print JSON instead of tables.

    Raises
    ------
    BackupError
        If the broker has not all that a backup should hold; what it has is written.
    """
    with counted_progress("messages") as update:
        manifest, lacks = run(_back_up(read_settings(), folder, verify, update))
    print_backup(folder, manifest, as_json=as_json)
    if lacks:
        raise BackupError(
            f"{folder} is not whole, as the broker lacks {', '.join(lacks)}: keep earlier backups,"
            " which may hold that; `nexuslims provision` makes it anew, empty"
        )


def restore_all(folder: Path, *, replace: bool, adopt: bool, as_json: bool) -> None:
    """Bring everything back.

    Parameters
    ----------
    folder
        The backup.
    replace
        Remove what the broker holds.
    adopt
        Have it be of this facility, whichever it was of.
    as_json
        Print JSON instead of tables.
    """
    settings = read_settings()
    owner = Owner.OURS if adopt else Owner.SAME if facility_of(settings) else Owner.THEIRS
    manifest = run(_restore(settings, folder, replace, owner))
    print_backup(folder, manifest, as_json=as_json)
    if not as_json:
        say(
            f"restored as the log of the facility '{facility_of(settings)}';"
            f" {folder / SETTINGS} has the settings of that time. Start the services,"
            " then run `nexuslims rebuild --all`: it writes the records that are missing"
        )


def print_backup(folder: Path, manifest: Manifest, *, as_json: bool) -> None:
    """Print what a backup holds.

    Parameters
    ----------
    folder
        Where it is.
    manifest
        What it holds.
    as_json
        Print JSON instead of a table.
    """
    rows = [(one.name, one.snapshot.messages, one.bytes) for one in manifest.streams]
    if as_json:
        print_json(
            {
                "folder": str(folder),
                "made_at": manifest.made_at.isoformat(),
                "verified": manifest.verified,
                "facility": manifest.facility,
                "streams": [
                    {"name": name, "messages": messages, "bytes": size}
                    for name, messages, size in rows
                ],
            }
        )
        return
    print_table(
        ("stream", "messages", "MB"),
        [(name, messages, f"{size / _MEGABYTE:.1f}") for name, messages, size in rows],
    )
    say(f"{folder}: {'verified' if manifest.verified else 'not verified'}")


async def _back_up(
    settings: Settings, folder: Path, verify: bool, update: Update
) -> tuple[Manifest, list[str]]:
    """Write the backup; return what it holds, and what the broker lacks."""
    async with broker_at_hand(settings), service_context(settings, "backup", lasting=True) as own:
        lacks = await whole.lacking_streams(own.jetstream)
        manifest = await whole.back_up_all(own, folder, verify=verify, update=update)
        return manifest, lacks


async def _restore(settings: Settings, folder: Path, replace: bool, owner: Owner) -> Manifest:
    async with broker_at_hand(settings), service_context(settings, "restore", lasting=True) as own:
        return await whole.restore_all(own, folder, replace=replace, owner=owner)
