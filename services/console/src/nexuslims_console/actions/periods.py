"""``nexuslims periods``."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from nexuslims_console.actions.backup import print_backup
from nexuslims_console.errors import ConsoleError
from nexuslims_contracts.periods import Period
from nexuslims_contracts.text import counted
from nexuslims_shared.backups import periods as work
from nexuslims_shared.backups.whole import back_up_streams
from nexuslims_shared.cli.asynchronous import run
from nexuslims_shared.cli.output import print_json, print_table, say
from nexuslims_shared.cli.progress import counted_progress
from nexuslims_shared.context import ServiceContext, service_context
from nexuslims_shared.facility import broker_at_hand
from nexuslims_shared.settings import read_settings

T = TypeVar("T")

_MEGABYTE = 1e6


def show_all(*, as_json: bool) -> None:
    """Print all periods."""
    found = run(_with_broker(work.list_periods))
    if as_json:
        print_json([asdict(one) for one in found])
        return
    rows = [
        (
            one.name,
            "there" if one.there else f"removed; backup in {one.backup}",
            one.events,
            f"{one.bytes / _MEGABYTE:.1f}",
            one.first,
            one.last,
            one.pending,
            one.tags,
        )
        for one in found
    ]
    titles = ("period", "stream", "events", "MB", "first", "last", "waiting", "servers")
    print_table(titles, rows, nothing="no periods: run `nexuslims provision`")


def back_up(name: str, folder: Path, *, as_json: bool) -> None:
    """Back up one period, and verify the backup.

    Parameters
    ----------
    name
        Of the period.
    folder
        Where to.
    as_json
        Print JSON instead of a table.
    """
    stream = _period(name).stream
    with counted_progress("messages") as update:
        manifest = run(
            _with_broker(
                lambda own: back_up_streams(own, folder, [stream], verify=True, update=update)
            )
        )
    print_backup(folder, manifest, as_json=as_json)


def remove(name: str, folder: Path, *, as_json: bool) -> None:
    """Remove a period that a backup holds.

    Parameters
    ----------
    name
        Of the period.
    folder
        Its backup.
    as_json
        Print JSON.
    """
    period = _period(name)
    with counted_progress("messages") as update:
        sessions = run(_with_broker(lambda own: work.remove_period(own, period, folder, update)))
    if as_json:
        print_json({"period": name, "removed": True, "sessions": sessions})
    else:
        say(
            f"period {name} is removed: its"
            f" {counted(sessions, 'session waits', 'sessions wait')} until it is restored"
        )


def restore(name: str, folder: Path, *, adopt: bool, as_json: bool) -> None:
    """Bring a period back.

    Parameters
    ----------
    name
        Of the period.
    folder
        Its backup.
    adopt
        Whether it may be of another facility.
    as_json
        Print JSON.
    """
    period = _period(name)
    events = run(_with_broker(lambda own: work.restore_period(own, period, folder, adopt=adopt)))
    if as_json:
        print_json({"period": name, "restored": True, "events": events})
    else:
        say(f"period {name} is back, with {counted(events, 'event')}")


def move(name: str, tags: Sequence[str]) -> None:
    """Move a period to servers with tags.

    Parameters
    ----------
    name
        Of the period.
    tags
        Of the servers.
    """
    period = _period(name)
    run(_with_broker(lambda own: work.move_period(own, period, tags)))
    where = f"servers with {', '.join(tags)}" if tags else "any server"
    say(f"period {name} belongs to {where}; the cluster copies it there")


def _period(name: str) -> Period:
    try:
        return Period.named(name)
    except ValueError as error:
        raise ConsoleError(str(error)) from error


async def _with_broker(work: Callable[[ServiceContext], Awaitable[T]]) -> T:
    settings = read_settings()
    async with broker_at_hand(settings), service_context(settings, "periods", lasting=True) as own:
        return await work(own)
