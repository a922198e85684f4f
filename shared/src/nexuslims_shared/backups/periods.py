"""Removing a period of the log after a backup, and bringing it back."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import nats.js.errors
from nats.js import api

from nexuslims_contracts import subjects
from nexuslims_contracts.periods import Period, upcoming
from nexuslims_contracts.text import counted
from nexuslims_contracts.topology import CONSUMERS, PERIODS, SESSIONS
from nexuslims_shared.backups.folder import (
    Manifest,
    StreamBackup,
    bring_back,
    read_backup,
    require_facility,
)
from nexuslims_shared.backups.snapshots import read_content
from nexuslims_shared.broker import open_period
from nexuslims_shared.bucket import BrokerBucket
from nexuslims_shared.cli.progress import Update
from nexuslims_shared.context import ServiceContext
from nexuslims_shared.errors import BackupError
from nexuslims_shared.log_identity import facility_of, read_identity, write_identity
from nexuslims_shared.store.direct import Stored
from nexuslims_shared.store.period_directory import periods_away, periods_there

if TYPE_CHECKING:
    from nexuslims_shared.broker_client import BrokerClient

_AT_ONCE: Final = 200
_CLOSED: Final = "nexus.closed"


@dataclass(frozen=True, slots=True)
class PeriodInfo:
    """What an operator wants to know of a period; of one that is away, what its removal noted."""

    name: str
    there: bool
    events: int
    bytes: int
    first: str
    last: str
    pending: int
    """Events that a service has not dealt with yet."""
    tags: str = ""
    """Tags of the servers that it was moved to."""
    backup: str = ""
    """Where its backup was when it was removed."""


async def list_periods(context: ServiceContext) -> list[PeriodInfo]:
    """Return all periods in order, those that are away too.

    Raises
    ------
    BrokerUnavailableError
        If the broker does not answer.
    """
    there = await periods_there(context.jetstream)
    bucket = BrokerBucket(context.jetstream, PERIODS)
    found = {period: await _describe(context, period) for period in there}
    for period in await periods_away(context.jetstream) - set(there):
        noted = json.loads(await bucket.get(period.name) or b"{}")
        found[period] = PeriodInfo(
            period.name,
            there=False,
            events=noted.get("events", 0),
            bytes=noted.get("bytes", 0),
            first=noted.get("first", ""),
            last=noted.get("last", ""),
            pending=0,
            backup=noted.get("backup", ""),
        )
    return [found[period] for period in sorted(found)]


async def remove_period(
    context: ServiceContext, period: Period, folder: Path, update: Update
) -> int:
    """Remove the stream of a period that a verified backup holds; return how many sessions wait.

    Parameters
    ----------
    context
        The operator's.
    period
        The period.
    folder
        Its backup, made by ``nexuslims periods backup`` or ``nexuslims backup --verify``.
    update
        Called while the stream is compared with the backup.

    Raises
    ------
    BackupError
        If the backup was not verified, is not of all that the stream holds, or the period is in
        use.
    """
    manifest = await asyncio.to_thread(read_backup, folder)
    entry = manifest.of(period.stream)
    if not manifest.verified:
        raise BackupError(f"{folder} was not verified: make it with `nexuslims periods backup`")
    await _require_rest(context, period)
    sessions = await _compare(context, period, entry, update)
    await _close(context, period, entry)
    registered = BrokerBucket(context.jetstream, SESSIONS)
    names = sorted(sessions)
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        await asyncio.gather(*(registered.create(one, period.name.encode()) for one in some))
    await BrokerBucket(context.jetstream, PERIODS).put(
        period.name, json.dumps(_note(entry, folder, len(names))).encode()
    )
    await context.jetstream.delete_stream(period.stream)
    return len(names)


async def restore_period(
    context: ServiceContext, period: Period, folder: Path, *, adopt: bool = False
) -> int:
    """Bring back the stream of a period from its backup; return how many events it holds.

    Parameters
    ----------
    context
        The operator's.
    period
        The period.
    folder
        Its backup.
    adopt
        Whether it may be of another facility.

    Raises
    ------
    BackupError
        If the stream is there, or the backup does not hold it whole, or is another facility's.
    """
    manifest: Manifest = await asyncio.to_thread(read_backup, folder)
    entry = manifest.of(period.stream)
    if not adopt:
        require_facility(folder, manifest.facility, facility_of(context.settings))
    if period in await periods_there(context.jetstream):
        raise BackupError(f"period {period.name} is there: nothing is to be restored")
    replicas = context.settings.stream_replicas
    identity = await read_identity(context.jetstream)
    await bring_back(_client(context), folder, [entry], replicas=replicas)
    await open_period(context.jetstream, period, replicas=replicas)
    if identity is not None:  # the backup may be of a time when the log had another one
        await write_identity(context.jetstream, identity)
    await BrokerBucket(context.jetstream, PERIODS).remove(period.name)
    return entry.snapshot.messages


async def move_period(context: ServiceContext, period: Period, tags: Sequence[str]) -> None:
    """Have the servers with all of some tags hold a period; any of them without tags.

    Parameters
    ----------
    context
        The operator's.
    period
        The period.
    tags
        Tags of servers of the cluster, such as ``disk:cold``.

    Raises
    ------
    BackupError
        If the cluster has no such servers, or the broker is none.
    """
    jetstream = context.jetstream
    try:
        config = (await jetstream.stream_info(period.stream)).config
        config.placement = api.Placement(cluster=None, tags=list(tags)) if tags else None
        await jetstream.update_stream(config)
    except nats.js.errors.NotFoundError as error:
        raise BackupError(f"there is no period {period.name}") from error
    except nats.js.errors.APIError as error:
        raise BackupError(f"period {period.name} cannot be moved: {error.description}") from error


async def _require_rest(context: ServiceContext, period: Period) -> None:
    """Refuse a period that new sessions belong to, or that a service has to work on."""
    if period in upcoming(datetime.now(UTC), context.settings.periods):
        raise BackupError(f"period {period.name} is in use: new sessions belong to it")
    if period not in await periods_there(context.jetstream):
        raise BackupError(f"period {period.name} is not there: see `nexuslims periods list`")
    for consumer in CONSUMERS:
        info = await context.jetstream.consumer_info(period.stream, consumer.name)
        if waiting := (info.num_pending or 0) + (info.num_ack_pending or 0):
            raise BackupError(
                f"period {period.name} is in use: {waiting} of its events wait for the"
                f" {consumer.service}: let it finish first"
            )


async def _compare(
    context: ServiceContext, period: Period, entry: StreamBackup, update: Update
) -> set[str]:
    """Hold the stream against its backup; return the sessions that it has."""
    sessions: set[str] = set()
    last = (await context.jetstream.stream_info(period.stream)).state.last_seq

    def see(message: Stored) -> None:
        sessions.add(subjects.session_of(period.without(message.subject)))
        update(message.sequence, last)

    content = await read_content(_client(context), entry.snapshot, see)
    if (last, content) != (entry.snapshot.last, entry.content):
        raise BackupError(
            f"period {period.name} holds {counted(last, 'event')}, and not those of the backup"
            f" ({entry.snapshot.messages}): make a new one"
        )
    return sessions


async def _close(context: ServiceContext, period: Period, entry: StreamBackup) -> None:
    """Have the stream take no more events; as it was, if one came meanwhile."""
    jetstream = context.jetstream
    config = (await jetstream.stream_info(period.stream)).config
    subjects_before, config.subjects = config.subjects, [f"{_CLOSED}.{period.name}.>"]
    await jetstream.update_stream(config)
    if (await jetstream.stream_info(period.stream)).state.last_seq != entry.snapshot.last:
        config.subjects = subjects_before
        await jetstream.update_stream(config)
        raise BackupError(f"period {period.name} was given an event meanwhile: make a new backup")


async def _describe(context: ServiceContext, period: Period) -> PeriodInfo:
    info = await context.jetstream.stream_info(period.stream)
    consumers = await context.jetstream.consumers_info(period.stream)
    first, last = await _times(context, period, info.state.last_seq)
    placement = info.config.placement
    return PeriodInfo(
        period.name,
        there=True,
        events=info.state.messages,
        bytes=info.state.bytes,
        first=first,
        last=last,
        pending=sum(one.num_pending or 0 for one in consumers),
        tags=", ".join(placement.tags or ()) if placement else "",
    )


async def _times(context: ServiceContext, period: Period, last: int) -> tuple[str, str]:
    """Return when the first and the last event of a period were stored; empty if it has none."""
    if not last:
        return "", ""
    ends = [await context.jetstream.get_msg(period.stream, number) for number in (1, last)]
    first, latest = (one.time.isoformat(timespec="seconds") if one.time else "" for one in ends)
    return first, latest


def _note(entry: StreamBackup, folder: Path, sessions: int) -> dict[str, object]:
    return {
        "removed_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "backup": str(folder.resolve()),
        "sha256": entry.sha256,
        "events": entry.snapshot.messages,
        "bytes": entry.state.get("bytes", 0),
        "first": entry.state.get("first_ts", ""),
        "last": entry.state.get("last_ts", ""),
        "sessions": sessions,
    }


def _client(context: ServiceContext) -> "BrokerClient":
    return cast("BrokerClient", context.jetstream._nc)  # noqa: SLF001 - no public way
