"""Being told of changes at once, where the disk is local; network shares are looked at instead."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from watchfiles import awatch

from nexuslims_indexer.model import is_within

log = logging.getLogger(__name__)
logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it logs each change at INFO

MOUNTS: Final = Path("/proc/self/mountinfo")
_REMOTE: Final = ("nfs", "cifs", "smb", "9p", "fuse", "afs", "ceph", "gluster", "lustre", "beegfs")
_DEBOUNCE_MS: Final = 400
_STEP_MS: Final = 100

Touch = Callable[[Iterable[str]], None]


def is_local(folder: Path) -> bool:
    """Tell whether changes of a folder by other computers are told by the kernel: on a local disk.

    Parameters
    ----------
    folder
        Any; where its kind of file system cannot be found out, it counts as remote.
    """
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    real = os.path.realpath(folder)
    best, kind = "", ""
    for line in lines:
        before, _, after = line.partition(" - ")
        point = before.split(" ")[4].encode().decode("unicode_escape")
        if (real == point or real.startswith(f"{point.rstrip('/')}/")) and len(point) >= len(best):
            best, kind = point, after.split(" ")[0]
    return bool(kind) and not kind.startswith(_REMOTE)


async def watch(root: Path, folders: Mapping[str, Touch], stop: asyncio.Event) -> None:
    """Tell of folders in which something changes, until stopped.

    Where the kernel cannot watch so many folders, it is logged and nothing is told: the looks at
    intervals find everything too.

    Parameters
    ----------
    root
        The instrument data path.
    folders
        Folders below it, and whom to tell the paths of changed folders below the root.
    stop
        Ends it.
    """
    tops = {folder: root / folder for folder in folders if (root / folder).is_dir()}
    if not tops:
        await stop.wait()
        return
    try:
        async for changes in awatch(
            *tops.values(),
            watch_filter=None,
            debounce=_DEBOUNCE_MS,
            step=_STEP_MS,
            stop_event=stop,
            ignore_permission_denied=True,
        ):
            _tell(root, folders, [path for _, path in changes])
    except (OSError, RuntimeError) as error:
        log.warning("changes are not watched, only looked for at intervals: %s", error)
        await stop.wait()


def _tell(root: Path, folders: Mapping[str, Touch], paths: Iterable[str]) -> None:
    start = len(os.path.join(root, ""))  # noqa: PTH118 - Path drops the slash
    changed = {os.path.dirname(path)[start:] for path in paths}  # noqa: PTH120
    for folder, touch in folders.items():
        mine = {path for path in changed if is_within(path, folder)}
        if mine:
            touch(mine)
