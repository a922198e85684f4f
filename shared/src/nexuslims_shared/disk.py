"""What is written to a disk: whole, lastingly, and with one error for a disk that takes nothing."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from nexuslims_shared.errors import DiskError

_ATTEMPTS: Final = 5
"""How often a folder is made anew that another process removes as empty."""


def _mode() -> int:
    """Return the mode of files that others may read as far as the umask lets them."""
    umask = os.umask(0o077)
    os.umask(umask)
    return 0o666 & ~umask


_MODE: Final = _mode()


def write_into(folder: Path, prefix: str, content: bytes) -> Path:
    """Write a new file into a folder, whole and on the disk; return its path.

    Parameters
    ----------
    folder
        The folder, which is made if it is not there.
    prefix
        Of the file's name.
    content
        The bytes.

    Raises
    ------
    DiskError
        If the disk does not take it.
    """
    try:
        handle, name = _new_file(folder, prefix)
        path = Path(name)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fchmod(stream.fileno(), _MODE)
                os.fsync(stream.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise disk_error(folder, error) from error
    return path


def _new_file(folder: Path, prefix: str) -> tuple[int, str]:
    for _ in range(_ATTEMPTS):
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            return tempfile.mkstemp(prefix=prefix, dir=folder)
    folder.mkdir(parents=True, exist_ok=True)
    return tempfile.mkstemp(prefix=prefix, dir=folder)


def rename(source: Path, target: Path) -> None:
    """Rename a file, lastingly.

    Parameters
    ----------
    source, target
        From where to where.

    Raises
    ------
    FileNotFoundError
        If it is not there any more.
    DiskError
        If the disk does not take it.
    """
    try:
        source.replace(target)
        handle = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise disk_error(target, error) from error


def remove(path: Path) -> None:
    """Remove a file, if it is there.

    Raises
    ------
    DiskError
        If the disk does not let us.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise disk_error(path, error, "remove") from error


def disk_error(path: Path, error: OSError, what: str = "write") -> DiskError:
    """Make the error about a path that a disk does not let us change.

    Parameters
    ----------
    path
        The path.
    error
        Of the operating system.
    what
        What was to be done.
    """
    return DiskError(
        f"cannot {what} {path}: {error.strerror or error}; check space and permissions"
    )
