"""Whether the share is there on which an instrument's folder lies."""

import errno
import os
from pathlib import Path
from typing import Final

from nexuslims_indexer.errors import ShareUnavailableError

AWAY: Final = frozenset(
    {errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH}
)
"""What network file systems answer while their server is away."""


def check_folder(folder: Path, *, had_files: bool) -> tuple[int, int]:
    """Make sure that the folder of an instrument is there; return its device and inode.

    Parameters
    ----------
    folder
        Where it is.
    had_files
        Whether it may not be empty.

    Raises
    ------
    ShareUnavailableError
        If it is away, cannot be read, or is empty and may not be.
    """
    try:
        status = folder.stat()
        with os.scandir(folder) as entries:
            is_empty = next(entries, None) is None
    except OSError as error:
        raise ShareUnavailableError(
            f"{folder}: {error.strerror}: is the share mounted, and may it be read?"
        ) from error
    if is_empty and had_files:
        raise ShareUnavailableError(
            f"{folder} is empty, and was not before: is the share mounted?"
            " If it was emptied on purpose, put a file into it, for example a README"
        )
    return status.st_dev, status.st_ino
