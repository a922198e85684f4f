"""Whether the share is to blame, and not the file, where a file cannot be read.

A share that is cut off, or whose server hangs, is back some time later: its files are read then. A
file that is damaged, or not permitted, stays so, and its failure is stated.
"""

import asyncio
import errno
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar

from nexuslims_shared.consume import RetryLater
from nexuslims_shared.threads import in_thread

T = TypeVar("T")

SHARE_DELAY: Final = timedelta(seconds=30)
_PATIENCE_S: Final = 10.0
_CUT_OFF: Final = (
    *(errno.ESTALE, errno.ENOTCONN, errno.ECONNRESET, errno.ECONNREFUSED, errno.ECONNABORTED),
    *(errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH),
    *(errno.ESHUTDOWN, errno.EREMOTEIO, errno.ENODEV, errno.ENXIO),
)
"""What an operating system says of a share's server or disk, and never of one file."""

_OF_EITHER: Final = (errno.EIO, errno.ENOENT)
"""What is said of a share and of a file, too: its folder tells which."""


async def look(path: Path, work: Callable[[], T], *, patience: float = _PATIENCE_S) -> T:
    """Do what takes a look at a share, which may hang.

    Parameters
    ----------
    path
        What is looked at, for the message.
    work
        What to do, in a thread.
    patience
        Seconds to wait.

    Raises
    ------
    RetryLater
        If the share does not answer.
    """
    try:
        async with asyncio.timeout(patience):
            return await in_thread(work)
    except TimeoutError as error:
        raise RetryLater(
            SHARE_DELAY, f"{path}: its share does not answer; it is read when it does"
        ) from error


def require_share(path: Path, folder: Path) -> None:
    """Make sure that it is the file that cannot be read, and not all of its share. Blocks.

    Parameters
    ----------
    path
        A file that could not be read.
    folder
        The folder of its instrument.

    Raises
    ------
    RetryLater
        If the share is cut off, or its folder cannot be read either.
    """
    try:
        _read_a_byte(path)
    except OSError as error:
        if error.errno in _CUT_OFF or (error.errno in _OF_EITHER and not _can_list(folder)):
            raise RetryLater(
                SHARE_DELAY, f"{path}: its share fails ({error.strerror}); it is read when it works"
            ) from error


def _read_a_byte(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        os.read(handle, 1)
    finally:
        os.close(handle)


def _can_list(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            next(entries, None)
    except OSError:
        return False
    return True
