"""A file that is read again when it changes."""

import asyncio
from pathlib import Path
from typing import Final

_LOOK_AGAIN_S: Final = 1.0


class WatchedFile:
    """A file on a share: shares send no signals, so it is looked at every second."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read_at: tuple[int, ...] | None = None

    def read(self) -> bytes:
        """Return the content.

        Raises
        ------
        OSError
            If it cannot be read.
        """
        self._read_at = _stamp(self.path)
        return self.path.read_bytes()

    async def changed(self) -> None:
        """Return when the file has changed, vanished or come back, and nobody is writing it."""
        before = self._read_at
        while (now := await asyncio.to_thread(_stamp, self.path)) == self._read_at or now != before:
            before = now
            await asyncio.sleep(_LOOK_AGAIN_S)


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
