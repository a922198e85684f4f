"""Probes: they use what a service depends on, and say what does not work.

A broker or a disk that answers every question may refuse every byte, so each probe stores something
and reads it back.
"""

import os
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import nats.js.errors

from nexuslims_contracts.periods import Period
from nexuslims_contracts.text import counted
from nexuslims_contracts.topology import DEAD_LETTERS, PROBES
from nexuslims_shared.dead_letters import StreamDeadLetters
from nexuslims_shared.health import Check
from nexuslims_shared.store.period_directory import periods_there
from nexuslims_shared.threads import in_thread

if TYPE_CHECKING:
    from nats.js import JetStreamContext, api

MEBIBYTE: Final = 1 << 20
ROOM_FOR_BROKER: Final = 2 * MEBIBYTE
"""What the broker must find on its disk for a restart to help."""
_SMALL_DISK: Final = 0.05
"""Share of a disk that may always be left free, however large the setting."""
_NEAR: Final = 0.9
"""Share of a limit from which on it is near."""
_CLOCKS_DIFFER_S: Final = 30.0


# --- the broker ---


def check_storing(jetstream: "JetStreamContext", service: str) -> Check:
    """Return a check that the broker stores a note and gives it back.

    Parameters
    ----------
    jetstream
        A context on a live connection.
    service
        Whose note it is: a service may store its own.
    """
    key = f"{service}.{uuid4().hex[:12]}"
    return Check("broker stores", lambda: store_probe(jetstream, key))


async def store_probe(jetstream: "JetStreamContext", key: str) -> str:
    """Store a note and read it back; return what is wrong, empty text if nothing is.

    Parameters
    ----------
    jetstream
        A context on a live connection.
    key
        Of the note; each process has its own.
    """
    note = uuid4().hex.encode()
    subject = f"$KV.{PROBES.name}.{key}"
    try:
        await jetstream.publish(subject, note, stream=f"KV_{PROBES.name}")
        found = await jetstream.get_last_msg(f"KV_{PROBES.name}", subject)
    except nats.js.errors.NoStreamResponseError:
        return f"the broker lacks bucket {PROBES.name}: run `nexuslims provision`"
    except nats.js.errors.APIError as error:
        return (
            f"the broker refuses to store ({error.description or error}): make room on its disk,"
            " then restart it: it does not recover by itself"
        )
    if found.data != note:
        return "the broker gives back something else than what it stored: look into its log"
    return _clock_problem(found.time)


def _clock_problem(stored_at: datetime | None) -> str:
    """Compare the broker's clock with ours."""
    apart = abs((datetime.now(UTC) - stored_at).total_seconds()) if stored_at else 0.0
    if apart < _CLOCKS_DIFFER_S:
        return ""
    return f"the broker's clock and this machine's are {apart:.0f} s apart: set them by NTP"


def check_limits(jetstream: "JetStreamContext") -> Check:
    """Return a check that no limit of the broker is near, and the log has none.

    Parameters
    ----------
    jetstream
        A context on a live connection.
    """

    async def problem() -> str:
        account = await jetstream.account_info()
        names = [DEAD_LETTERS.name, *(one.stream for one in await periods_there(jetstream))]
        streams = [await jetstream.stream_info(name) for name in names]
        return "; ".join([*near_limits(account), *stream_limits(streams)])

    return Check("broker limits", problem, essential=False)


def near_limits(account: "api.AccountInfo") -> list[str]:
    """Name the limits of the broker's account that are nearly used up."""
    uses = (
        ("file storage", account.storage, account.limits.max_storage),
        ("memory storage", account.memory, account.limits.max_memory),
        ("streams", account.streams, account.limits.max_streams),
        ("consumers", account.consumers, account.limits.max_consumers),
    )
    return [
        f"{used:,} of {limit:,} {'bytes of ' if 'storage' in name else ''}{name} are used:"
        " raise the broker's limit"
        for name, used, limit in uses
        if limit > 0 and used >= _NEAR * limit
    ]


def stream_limits(streams: Iterable["api.StreamInfo"]) -> list[str]:
    """Name limits of streams: the log must have none, and those of others must not be near."""
    found = []
    for stream in streams:
        config, state = stream.config, stream.state
        uses = (
            ("messages", state.messages, config.max_msgs or 0),
            ("bytes", state.bytes, config.max_bytes or 0),
        )
        is_log = Period.of_stream(config.name or "") is not None
        for unit, used, limit in uses:
            if limit > 0 and (is_log or used >= _NEAR * limit):
                found.append(
                    f"stream {config.name} is limited to {limit:,} {unit} and holds {used:,}:"
                    " run `nexuslims provision`, which lifts the limit"
                )
        found += _forgetting(config) if is_log else []
    return found


def _forgetting(config: "api.StreamConfig") -> list[str]:
    """Name why a log keeps not all events, or takes none."""
    found = []
    if config.max_age:
        found.append(f"stream {config.name} forgets events after {config.max_age:,.0f} s")
    if (config.max_msgs_per_subject or 0) > 0:
        found.append(
            f"stream {config.name} keeps {config.max_msgs_per_subject:,} events of a subject"
        )
    found = [f"{one}: run `nexuslims provision`, which lifts that" for one in found]
    if config.sealed:
        found.append(
            f"stream {config.name} is sealed, for good: nothing can be stored in it;"
            " take a backup (`nexuslims backup`), and restore it on a new broker"
        )
    return found


def check_dead_letters(jetstream: "JetStreamContext", consumer: str) -> Check:
    """Return a check that a service could use all that it was given.

    Parameters
    ----------
    jetstream
        A context on a live connection.
    consumer
        Who writes the dead letters: a consumer, or a service without one.
    """

    async def problem() -> str:
        count = await StreamDeadLetters(jetstream).count(consumer)
        waiting = counted(count, "waits", "wait")
        return f"{waiting}: see `nexuslims dead-letters list`" if count else ""

    return Check("dead letters", problem, essential=False)


# --- disks ---


def check_folder(path: Path, *, writable: bool) -> Check:
    """Return a check that a folder can be listed, or that a file can be written to it.

    Parameters
    ----------
    path
        Of the folder.
    writable
        Whether it must be writable too.
    """
    look = partial(folder_problem, path, writable=writable)
    return Check(f"mount {path}", lambda: in_thread(look))


def folder_problem(path: Path, *, writable: bool) -> str:
    """Use a folder, and return what is wrong with it; empty text if nothing is. Blocks.

    Parameters
    ----------
    path
        Of the folder.
    writable
        Whether to write to it, and read what was written.
    """
    if not path.is_dir():
        return f"{path} is not there: is the share mounted?"
    try:
        next(path.iterdir(), None)
    except OSError as error:
        return f"{path} cannot be read ({error.strerror or error})"
    return _write_problem(path) if writable else ""


def _write_problem(path: Path) -> str:
    note = uuid4().hex.encode()
    try:
        with NamedTemporaryFile(dir=path, prefix=".nexuslims-probe-", buffering=0) as file:
            file.write(note)
            os.fsync(file.fileno())
            kept = Path(file.name).read_bytes()
    except OSError as error:
        return f"{path} cannot be written ({error.strerror or error}): check space and permissions"
    return "" if kept == note else f"{path} gives back something else than what was written"


def has_room(path: Path, size: int) -> bool:
    """Tell whether a folder's disk takes so many bytes, by writing them. Blocks.

    Parameters
    ----------
    path
        Of the folder.
    size
        Bytes.
    """
    try:
        with TemporaryFile(dir=path, buffering=0) as file:
            file.write(bytes(size))
            os.fsync(file.fileno())
    except OSError:
        return False
    return True


def check_space(paths: Iterable[Path], least_mb: int) -> Check:
    """Return a check that disks have room.

    Parameters
    ----------
    paths
        A folder on each disk.
    least_mb
        Mebibytes that must be free; on a small disk, a twentieth of it.
    """
    folders = tuple(paths)

    def problem() -> str:
        return "; ".join(filter(None, (space_problem(path, least_mb) for path in folders)))

    return Check("free space", lambda: in_thread(problem), essential=False)


def space_problem(path: Path, least_mb: int) -> str:
    """Return what is wrong with the free space of a folder's disk; empty text if nothing. Blocks.

    Parameters
    ----------
    path
        Of the folder.
    least_mb
        Mebibytes that must be free; on a small disk, a twentieth of it.
    """
    usage = shutil.disk_usage(path)
    least = min(least_mb * MEBIBYTE, usage.total * _SMALL_DISK)
    if usage.free >= least:
        return ""
    return (
        f"{usage.free / MEBIBYTE:.0f} MiB are free for {path}, and {least / MEBIBYTE:.0f} MiB are"
        " wanted (NX_FREE_SPACE_MB): make room"
    )
