"""What a Phenom project is packed as: one bzip2 stream of little-endian values.

Counts are numbers of seven bits a byte; the last byte of each has its highest bit clear.
"""

import bz2
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nexuslims_formats.errors import LimitExceededError, UnreadableFileError
from nexuslims_formats.locales.encodings import decode

if TYPE_CHECKING:
    import numpy as np

_MOST_BYTES: Final = 1 << 30
_BLOCK: Final = 1 << 20
_LONGEST: Final = 64 << 20
"""Bytes of one value."""
_MORE: Final = bytes(range(128, 256))


class Stream:
    """Reads values one after the other.

    Parameters
    ----------
    path
        The project.
    """

    def __init__(self, path: Path) -> None:
        self._file = bz2.BZ2File(path)
        self._held = b""
        self.at = 0
        """Bytes read so far, unpacked."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def take(self, size: int) -> bytes:
        """Return the next bytes.

        Raises
        ------
        UnreadableFileError
            The file ends before, or is damaged.
        LimitExceededError
            It unpacks to more than any real file.
        """
        if size > _LONGEST:
            raise LimitExceededError(f"the project claims a value of {size} bytes")
        while len(self._held) < size:
            self._held += self._block()
        found, self._held = self._held[:size], self._held[size:]
        self._advance(size)
        return found

    def skip(self, size: int) -> None:
        """Pass over bytes.

        Parameters
        ----------
        size
            How many.
        """
        while size:
            step = min(size, _BLOCK)
            self.take(step)
            size -= step

    def skip_counts(self, count: int) -> int:
        """Pass over counts, and return how many bytes they take.

        Parameters
        ----------
        count
            How many of them.
        """
        start = self.at
        while count:
            if not self._held:
                self._held = self._block()
            ends = len(self._held.translate(None, _MORE))
            if ends <= count:
                self._advance(len(self._held))
                self._held = b""
                count -= ends
            else:
                size = _end_of(self._held, count)
                self._held = self._held[size:]
                self._advance(size)
                count = 0
        return self.at - start

    def unpack(self, form: str) -> Any:
        """Return the next value.

        Parameters
        ----------
        form
            Its type, as :mod:`struct` names it.
        """
        return struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))[0]

    def number(self) -> int:
        """Return the next number of things: none is more than four bytes hold."""
        found: int = self.unpack("I")
        return found

    def text(self) -> str:
        """Return the next text."""
        return decode(self.take(self.number()))[0]

    def _advance(self, size: int) -> None:
        self.at += size
        if self.at > _MOST_BYTES:
            raise LimitExceededError(f"the project unpacks to more than {_MOST_BYTES >> 20} MiB")

    def _block(self) -> bytes:
        try:
            block = self._file.read1(_BLOCK)
        except EOFError:
            raise UnreadableFileError("the file ends within its compressed data") from None
        except (OSError, ValueError) as error:
            raise UnreadableFileError(f"the packed data are damaged: {error}") from None
        if not block:
            raise UnreadableFileError("the project ends before what it announces")
        return block


def _end_of(held: bytes, count: int) -> int:
    """Return where so many counts end."""
    import numpy as np  # noqa: PLC0415 - this format only

    ends = np.flatnonzero(np.frombuffer(held, np.uint8) < 128)  # noqa: PLR2004 - the highest bit
    return int(ends[count - 1]) + 1


def read_counts(path: Path, at: int, size: int) -> "np.ndarray":
    """Return the counts in a run of bytes.

    Parameters
    ----------
    path
        The project.
    at
        Where the first begins, unpacked.
    size
        Bytes that they take.
    """
    import numpy as np  # noqa: PLC0415 - previews only

    stream = Stream(path)
    try:
        stream.skip(at)
        raw = b"".join(stream.take(min(_BLOCK, size - done)) for done in range(0, size, _BLOCK))
    finally:
        stream.close()
    septets = np.frombuffer(raw, np.uint8)
    ends = np.flatnonzero(septets < 128)  # noqa: PLR2004 - the highest bit
    starts = np.concatenate(([0], ends[:-1] + 1))
    place = np.arange(len(septets)) - np.repeat(starts, ends - starts + 1)
    values = (septets & 127).astype(np.uint64) << (7 * place.astype(np.uint64))
    found: np.ndarray = np.add.reduceat(values, starts)
    return found
