"""Where folders are mounted: a share that is not mounted leaves an empty folder on the local disk.

What each folder was on is kept in the state folder, so that it is noticed after a restart, too.
"""

import json
import logging
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from nexuslims_shared.errors import CouldNotLookError
from nexuslims_shared.health import Check
from nexuslims_shared.threads import in_thread

log = logging.getLogger(__name__)

MOUNTS_FILE: Final = "mounts.json"
_TABLE: Final = Path("/proc/self/mountinfo")
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """What a folder is on.

    Parameters
    ----------
    point
        The mount point that it is, or is below.
    source
        What is mounted there, such as ``nas:/export`` or ``/dev/sda1``.
    kind
        The kind of file system.
    """

    point: str
    source: str
    kind: str


def check_mounts(folders: Iterable[Path], state: Path) -> Check:
    """Return a check that folders are on what they were on before.

    Parameters
    ----------
    folders
        The folders.
    state
        The state folder, where that is kept.
    """
    watched = tuple(folders)

    def problem() -> str:
        return "; ".join(mount_problems(watched, state / MOUNTS_FILE))

    return Check("mounted", lambda: in_thread(problem))


def mount_problems(folders: Iterable[Path], file: Path, table: str | None = None) -> list[str]:
    """Name folders that are no longer on what they were on, and keep what new ones are on. Blocks.

    Parameters
    ----------
    folders
        The folders; one that is not there is left out.
    file
        Where it is kept what they were on.
    table
        The system's table of mounts, in the form of ``/proc/self/mountinfo``; read if not given.

    Raises
    ------
    CouldNotLookError
        If the system has no such table.
    """
    mounts = read_mounts(_read_table() if table is None else table)
    known = _read_known(file)
    current = {str(path): mount_of(path, mounts) for path in folders if path.is_dir()}
    problems = []
    for folder, mount in current.items():
        before = known.get(folder)
        if before is None or _was_mounted_since(before, mount):
            known[folder] = mount
        elif (before.source, before.kind) != (mount.source, mount.kind):
            problems.append(
                f"{folder} was on {before.source} and is on {mount.source} now: mount the share,"
                f" or delete {file} if it has moved"
            )
    _keep(known, file)
    return problems


def mount_of(path: Path, mounts: Iterable[Mount]) -> Mount:
    """Return what a path is on; of several mounts on one point, the last one hides the others.

    Parameters
    ----------
    path
        The path.
    mounts
        All mounts, in the system's order.
    """
    real = os.path.realpath(path)
    found = Mount("/", "unknown", "unknown")
    for mount in mounts:
        below = real == mount.point or real.startswith(mount.point.rstrip("/") + "/")
        if below and len(mount.point) >= len(found.point):
            found = mount
    return found


def read_mounts(table: str) -> list[Mount]:
    """Read a table of mounts; proc_pid_mountinfo(5) describes it."""
    mounts = []
    for line in table.splitlines():
        fields, _, rest = line.partition(" - ")
        kind, source, *_ = rest.split()
        mounts.append(Mount(_plain(fields.split()[4]), _plain(source), kind))
    return mounts


def _was_mounted_since(before: Mount, now: Mount) -> bool:
    """Tell whether something was mounted closer to the folder, where nothing was before."""
    return now.point != before.point and now.point.startswith(before.point.rstrip("/") + "/")


def _plain(text: str) -> str:
    """Undo the escapes of spaces and the like."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


def _read_table() -> str:
    try:
        return _TABLE.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise CouldNotLookError("this system does not say what is mounted where") from error


def _read_known(file: Path) -> dict[str, Mount]:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return {folder: Mount(**mount) for folder, mount in kept.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CouldNotLookError(f"{file} cannot be read ({error}): delete it") from error


def _keep(known: dict[str, Mount], file: Path) -> None:
    """Keep what is known; where there is no state folder to write to, nothing is remembered."""
    text = json.dumps({folder: asdict(mount) for folder, mount in sorted(known.items())}, indent=2)
    try:
        if file.exists() and file.read_text(encoding="utf-8") == text:
            return
        temporary = file.with_name(f"{file.name}.{os.getpid()}")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(file)
    except OSError as error:
        log.debug("what is mounted is not remembered: %s", error)
