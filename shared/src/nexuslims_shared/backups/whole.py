"""A backup of everything that the broker keeps for good, and its restoration."""

import asyncio
from collections.abc import Collection, Sequence
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import nats.js.errors

from nexuslims_contracts.periods import Period
from nexuslims_contracts.topology import BUCKETS, CONSUMERS, DEAD_LETTERS, PEOPLE
from nexuslims_shared.backups.folder import (
    Manifest,
    back_up,
    bring_back,
    read_backup,
    require_facility,
)
from nexuslims_shared.broker import missing, provision
from nexuslims_shared.cli.progress import Update
from nexuslims_shared.context import ServiceContext
from nexuslims_shared.errors import BackupError
from nexuslims_shared.log_identity import (
    facility_of,
    keep_facility,
    make_facility,
    renew_identity,
)
from nexuslims_shared.presence import GONE_S, services_at_work
from nexuslims_shared.secrets import HIDDEN
from nexuslims_shared.settings.display import display_all
from nexuslims_shared.store.period_directory import periods_there

if TYPE_CHECKING:
    from nats.js import JetStreamContext

    from nexuslims_shared.broker_client import BrokerClient

_KEPT: Final = tuple(bucket for bucket in BUCKETS if bucket.ttl is None)
"""Those that keep something for good."""
_BUCKETS: Final = tuple(f"KV_{bucket.name}" for bucket in _KEPT)


async def back_up_all(
    context: ServiceContext, folder: Path, *, verify: bool, update: Update
) -> Manifest:
    """Write a backup of all periods that are there, the buckets, dead letters and settings.

    Parameters
    ----------
    context
        The operator's.
    folder
        A new folder.
    verify
        Whether to bring the backup back into a broker of its own, and compare.
    update
        Called while messages are read.

    Raises
    ------
    BackupError
        If the folder cannot be used, the broker refuses, or what comes back differs.
    """
    streams = await kept_streams(context.jetstream)
    return await back_up_streams(context, folder, streams, verify=verify, update=update)


async def back_up_streams(
    context: ServiceContext, folder: Path, streams: Sequence[str], *, verify: bool, update: Update
) -> Manifest:
    """Write a backup of some streams, and the settings.

    Parameters
    ----------
    context
        The operator's.
    folder, verify, update
        As of :func:`back_up_all`.
    streams
        Their names.

    Raises
    ------
    BackupError
        As there.
    """
    client, settings = _client(context), known_settings()
    return await back_up(client, folder, streams, settings, verify=verify, update=update)


class Owner(Enum):
    """Whose log a backup becomes, if it is not of the facility that restores it."""

    SAME = auto()
    """Nobody's: it is refused."""
    OURS = auto()
    """Of the facility that restores it."""
    THEIRS = auto()
    """Of the one it was made of, whose id an installation that had none takes over."""


async def restore_all(
    context: ServiceContext, folder: Path, *, replace: bool, owner: Owner = Owner.SAME
) -> Manifest:
    """Bring everything back, then provision what the backup lacks.

    Parameters
    ----------
    context
        The operator's.
    folder
        The backup.
    replace
        Remove what the broker holds.
    owner
        Whose it becomes if it is of another facility.

    Raises
    ------
    BackupError
        If services are at work, the broker holds something and ``replace`` is off, the backup is
        not whole, or it is of another facility and ``owner`` does not say whose it becomes.
    """
    manifest = await asyncio.to_thread(read_backup, folder)
    _require_whole(folder, {one.name for one in manifest.streams})
    if owner is Owner.SAME:
        require_facility(folder, manifest.facility, facility_of(context.settings))
    jetstream = context.jetstream
    held = {name: await _messages(jetstream, name) for name in await kept_streams(jetstream)}
    if full := [name for name, count in held.items() if count and not replace]:
        raise BackupError(
            f"the broker holds something already ({', '.join(full)}):"
            " --replace removes it for good, and puts the backup in its place"
        )
    await _require_nobody_at_work(jetstream)
    if owner is Owner.THEIRS and manifest.facility:
        keep_facility(context.settings, manifest.facility)
    wanted = {one.name for one in manifest.streams}
    for name in held.keys() | wanted:
        await _remove(jetstream, name)
    replicas = context.settings.stream_replicas
    await bring_back(_client(context), folder, manifest.streams, replicas=replicas)
    await provision(jetstream, replicas=replicas, length=context.settings.periods)
    await renew_identity(jetstream, make_facility(context.settings))
    return manifest


async def kept_streams(jetstream: "JetStreamContext") -> list[str]:
    """Return the names of the streams whose loss would matter, as far as the broker has them."""
    names = [period.stream for period in await periods_there(jetstream)]
    for name in (DEAD_LETTERS.name, *_BUCKETS):
        try:
            await jetstream.stream_info(name)
        except nats.js.errors.NotFoundError:
            continue
        names.append(name)
    return names


async def lacking_streams(jetstream: "JetStreamContext") -> list[str]:
    """Name the streams and buckets that a whole backup would hold and the broker lost."""
    return await missing(jetstream, buckets=_KEPT)


def known_settings() -> dict[str, str]:
    """Return the settings in effect that are no secrets and not empty, by variable."""
    values, _ = display_all()
    return {name: value for name, value in values.items() if value and value != HIDDEN}


def _require_whole(folder: Path, streams: Collection[str]) -> None:
    """Refuse what would leave sessions without their events, or without the names of people."""
    names = f"KV_{PEOPLE.name}"
    if names in streams and any(map(Period.of_stream, streams)):
        return
    raise BackupError(
        f"{folder} holds {', '.join(sorted(streams)) or 'nothing'}: no whole facility; one of"
        " a period is restored with `nexuslims periods restore`"
    )


async def _require_nobody_at_work(jetstream: "JetStreamContext") -> None:
    if running := await services_at_work(jetstream):
        raise BackupError(
            f"at work, or killed less than {GONE_S:g} s ago: {', '.join(running)}:"
            " stop all services before a restore"
        )
    for period in await periods_there(jetstream):
        for consumer in CONSUMERS:
            try:
                info = await jetstream.consumer_info(period.stream, consumer.name)
            except nats.js.errors.NotFoundError:
                continue
            if info.num_waiting:
                raise BackupError(
                    f"the {consumer.service} is at work: stop all services before a restore"
                )


async def _messages(jetstream: "JetStreamContext", stream: str) -> int:
    return (await jetstream.stream_info(stream)).state.messages


async def _remove(jetstream: "JetStreamContext", stream: str) -> None:
    try:
        await jetstream.delete_stream(stream)
    except nats.js.errors.NotFoundError:
        return


def _client(context: ServiceContext) -> "BrokerClient":
    return cast("BrokerClient", context.jetstream._nc)  # noqa: SLF001 - no public way
