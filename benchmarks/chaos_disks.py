"""Disks that are full or read-only for a while: mounts for root, permissions for anybody else."""

import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_FILLER: Final = "filler"
_PAGE: Final = 4096


def is_root() -> bool:
    """Tell whether this process may mount something."""
    return os.geteuid() == 0


def lock(folder: Path) -> bool:
    """Have a folder refuse new files; False where that is not possible."""
    if not folder.is_dir():
        return False
    if is_root():  # is kept from writing by nothing else
        return _mount("--bind", str(folder), str(folder)) and _remount_read_only(folder)
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    return True


def unlock(folder: Path) -> None:
    """Take :func:`lock` back."""
    if is_root():
        unmount(folder)
    else:
        folder.chmod(stat.S_IRWXU)


def give_own_disk(folder: Path, megabytes: int) -> bool:
    """Make a folder a disk of its own, in memory; False where that is not possible.

    Parameters
    ----------
    folder
        Made if it is not there.
    megabytes
        Size of the disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return is_root() and _mount("-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder))


def unmount(folder: Path) -> None:
    """Take the upmost mount of a folder away, whoever uses it."""
    subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Fill a disk to the last page, as long as the context lasts.

    Parameters
    ----------
    folder
        On the disk.
    """
    filler = folder / _FILLER
    try:
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(_PAGE))
        yield
    finally:
        filler.unlink()


def _mount(*arguments: str) -> bool:
    done = subprocess.run(["mount", *arguments], check=False, capture_output=True)
    return done.returncode == 0


def _remount_read_only(folder: Path) -> bool:
    if _mount("-o", "remount,ro,bind", str(folder)):
        return True
    unmount(folder)
    return False
