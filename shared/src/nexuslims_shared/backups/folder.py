"""A folder with a backup: a file for each stream, and a manifest that was written last."""

import asyncio
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nexuslims_shared.backups.snapshots import (
    Snapshot,
    read_content,
    restore_snapshot,
    take_snapshot,
)
from nexuslims_shared.broker import connect
from nexuslims_shared.cli.progress import Update
from nexuslims_shared.embedded import start_embedded_beside
from nexuslims_shared.errors import BackupError
from nexuslims_shared.log_identity import identity_in
from nexuslims_shared.store.direct import Stored

if TYPE_CHECKING:
    from nexuslims_shared.broker_client import BrokerClient

log = logging.getLogger(__name__)

MANIFEST: Final = "manifest.json"
SETTINGS: Final = "settings.env"
_BLOCK: Final = 1 << 20


class StreamBackup(BaseModel):
    """One stream of a backup.

    ``sha256`` is of its file, ``content`` of its messages as they are read from a broker.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+\.snapshot$")]
    bytes: int
    sha256: str
    content: str
    config: dict[str, Any]
    state: dict[str, Any]

    @property
    def snapshot(self) -> Snapshot:
        """What the broker is told to bring it back."""
        return Snapshot(self.config, self.state)

    @property
    def facility(self) -> str:
        """The id of the facility that a stream of events is of; empty for other streams."""
        return identity_in(self.config.get("metadata") or {}).facility


class Manifest(BaseModel):
    """What a backup holds; ``verified`` says that it was restored, and compared, once."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    made_at: datetime
    verified: bool
    streams: tuple[StreamBackup, ...]

    @property
    def facility(self) -> str:
        """The id of the facility that it is a backup of; empty if a release before made it."""
        return next((one.facility for one in self.streams if one.facility), "")

    def of(self, stream: str) -> StreamBackup:
        """Return what it holds of a stream.

        Raises
        ------
        BackupError
            If it holds nothing of it.
        """
        for one in self.streams:
            if one.name == stream:
                return one
        raise BackupError(f"the backup holds no stream {stream}")


class _Seen:
    """Counts the messages that were read, of all that there are."""

    def __init__(self, update: Update, total: int) -> None:
        self._update, self._total, self._done = update, total, 0

    def __call__(self, message: Stored) -> None:
        del message
        self._done += 1
        self._update(self._done, self._total)


async def back_up(
    client: "BrokerClient",
    folder: Path,
    streams: Sequence[str],
    settings: dict[str, str],
    *,
    verify: bool,
    update: Update,
) -> Manifest:
    """Write a backup of streams into a new folder that only its owner can read.

    Parameters
    ----------
    client
        A live connection of the operator.
    folder
        Where to; it must be empty, or not there.
    streams
        Names of the streams.
    settings
        What else is worth keeping, by variable, without secrets.
    verify
        Whether to bring it back into a broker of its own, and compare.
    update
        Called while messages are read: once for the backup, once to verify it.

    Raises
    ------
    BackupError
        If the folder cannot be used, the broker refuses, or what comes back differs.
    """
    await asyncio.to_thread(_make, folder)
    taken = {name: await _take(client, folder, name) for name in streams}
    rounds = 2 if verify else 1
    seen = _Seen(update, rounds * sum(snapshot.messages for snapshot in taken.values()))
    entries = []
    for name, snapshot in taken.items():
        content = await read_content(client, snapshot, seen)
        file = folder / _file_of(name)
        size, sha256 = await asyncio.to_thread(_measure, file)
        entries.append(
            StreamBackup(
                name=name,
                file=file.name,
                bytes=size,
                sha256=sha256,
                content=content,
                config=snapshot.config,
                state=snapshot.state,
            )
        )
    if verify:
        await _try_out(folder, entries, seen)
    manifest = Manifest(made_at=datetime.now(UTC), verified=verify, streams=tuple(entries))
    lines = "".join(f"{name}={json.dumps(value)}\n" for name, value in sorted(settings.items()))
    await asyncio.to_thread(_write, folder / SETTINGS, lines.encode())
    document = manifest.model_dump_json(indent=1).encode()
    await asyncio.to_thread(_write, folder / MANIFEST, document)
    return manifest


def read_backup(folder: Path) -> Manifest:
    """Read the manifest of a backup, and check every file against it; blocks.

    Raises
    ------
    BackupError
        If it is no backup, not a whole one, or a file is not what was written.
    """
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except OSError as error:
        raise BackupError(
            f"{folder} holds no whole backup: {MANIFEST}: {error.strerror}"
        ) from error
    except ValidationError as error:
        raise BackupError(f"{folder / MANIFEST} is no manifest of this release") from error
    for one in manifest.streams:
        try:
            found = _measure(folder / one.file)
        except OSError as error:
            raise BackupError(f"{folder / one.file}: {error.strerror}: use another one") from error
        if found != (one.bytes, one.sha256):
            raise BackupError(f"{folder / one.file} is not what was written: use another backup")
    return manifest


def require_facility(folder: Path, theirs: str, ours: str) -> None:
    """Refuse the backup of another facility.

    Parameters
    ----------
    folder
        The backup.
    theirs
        The id of the facility it is of; empty if it does not say.
    ours
        The id of the facility that restores it; empty if it has none yet.

    Raises
    ------
    BackupError
        If they differ.
    """
    if theirs in {"", ours}:
        return
    this = f"this is '{ours}'" if ours else "this one has no id yet"
    raise BackupError(
        f"{folder} is a backup of the facility '{theirs}', and {this}: if they are one facility,"
        f" set NX_FACILITY={theirs}; --adopt gives its sessions to this one. Nothing was changed"
    )


async def bring_back(
    client: "BrokerClient", folder: Path, entries: Iterable[StreamBackup], *, replicas: int
) -> None:
    """Restore streams of a backup whose files were checked; none of them may be there.

    Parameters
    ----------
    client
        A live connection of the operator.
    folder
        The backup.
    entries
        The streams.
    replicas
        How many servers are to hold each.

    Raises
    ------
    BackupError
        If the broker refuses one.
    """
    for one in entries:
        await restore_snapshot(client, one.snapshot, folder / one.file, replicas=replicas)


async def _take(client: "BrokerClient", folder: Path, stream: str) -> Snapshot:
    file = await asyncio.to_thread(_create, folder / _file_of(stream))
    try:
        return await take_snapshot(client, stream, lambda data: _put(file, data))
    finally:
        await asyncio.to_thread(_finish, file)


async def _try_out(folder: Path, entries: Sequence[StreamBackup], seen: _Seen) -> None:
    """Restore a backup into a broker of its own, and compare what that holds."""
    with tempfile.TemporaryDirectory(prefix="verification-", dir=folder) as home:
        broker = await start_embedded_beside(Path(home), say=log.info)
        try:
            client = await connect(broker.url, name="backup", wait=False)
            try:
                await bring_back(client, folder, entries, replicas=1)
                for one in entries:
                    content = await read_content(client, one.snapshot, seen)
                    if content != one.content:
                        raise BackupError(f"stream {one.name}: what comes back differs: try again")
            finally:
                await client.close()
        finally:
            await asyncio.to_thread(broker.stop)


def _file_of(stream: str) -> str:
    return f"{stream}.snapshot"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise BackupError(f"{folder} is not empty: name a new folder for the backup")
        folder.chmod(0o700)  # names of people are in it
    except OSError as error:
        raise BackupError(f"{folder}: {error.strerror}: name another folder") from error


def _create(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def _put(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _finish(file: int) -> None:
    os.fsync(file)
    os.close(file)


def _write(path: Path, data: bytes) -> None:
    """Write a file as a whole, or not at all."""
    aside = path.with_name(f".{path.name}")
    file = _create(aside)
    try:
        _put(file, data)
    finally:
        _finish(file)
    aside.replace(path)


def _measure(file: Path) -> tuple[int, str]:
    """Return size and SHA-256 of a file."""
    digest, size = hashlib.sha256(), 0
    with file.open("rb") as content:
        while block := content.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()
