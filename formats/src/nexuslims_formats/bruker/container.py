"""The single-file system (SFS) in which Bruker keeps a map: files in chunks, as on a disk.

References
----------
The layout as HyperSpy's documentation describes it, measured on real files: a header of 0x118
bytes, then chunks of equal size, each with a head of 32 bytes that names the next of a chain.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from nexuslims_formats.errors import LimitExceededError, UnreadableFileError

MAGIC: Final = b"AAMVHFSS"
_START: Final = 0x118
_HEAD: Final = 0x14C
_CHUNK_HEAD: Final = 32
_ENTRY: Final = struct.Struct("<iQ28xi176x?3x256s32x")
_ENTRY_SIZE: Final = 512
_MOST_ENTRIES: Final = 4096
_CHUNKS: Final = range(512, 1 << 24)
_MAPS: Final = "EDSDatabase"
"""The folder of X-ray maps; that of EBSD has files of the same names."""
_PACKED: Final = b"AACS"
_PACKED_HEAD: Final = 0x80
_LARGEST_BLOCK: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One of the files within."""

    table: int
    """The chunk that lists its chunks."""
    size: int


class Container:
    """Reads files of a container, up to a limit.

    Parameters
    ----------
    path
        The container.

    Raises
    ------
    UnreadableFileError
        It is none, or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.length = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_HEAD)
            if not head.startswith(MAGIC) or len(head) < _HEAD:
                raise UnreadableFileError("the file does not start as a container of Bruker")
            (self.chunk,) = struct.unpack_from("<I", head, 0x128)
            tree, count, self.chunks = struct.unpack_from("<3I", head, 0x140)
            if self.chunk not in _CHUNKS or count > _MOST_ENTRIES:
                raise UnreadableFileError(
                    f"the container claims {count} files in chunks of {self.chunk} bytes"
                )
            self.entries = self._entries(file, tree, count)

    @property
    def end(self) -> int:
        """Return where the last chunk ends, by the number of them that the header tells."""
        return _START + int(self.chunk) * int(self.chunks)

    def read(self, name: str, limit: int) -> bytes:
        """Return a file, or as much of it as the limit allows.

        Parameters
        ----------
        name
            Of the file.
        limit
            The most bytes to return.

        Raises
        ------
        UnreadableFileError
            There is none, or it is damaged.
        """
        entry = self.entries.get(name)
        if entry is None:
            raise UnreadableFileError(f"the container has no {name}")
        with self.path.open("rb") as file:
            head = b"".join(self._pieces(file, entry, _PACKED_HEAD))
            if head.startswith(_PACKED):
                return self._unpacked(file, entry, head, limit)
            return b"".join(self._pieces(file, entry, min(entry.size, limit)))

    def _unpacked(self, file: BinaryIO, entry: Entry, head: bytes, limit: int) -> bytes:
        block, _, count = struct.unpack_from("<3I", head, 4)
        if block > _LARGEST_BLOCK:
            raise LimitExceededError(f"the container claims blocks of {block} bytes")
        packed = b"".join(self._pieces(file, entry, entry.size))
        found, at = bytearray(), _PACKED_HEAD
        for _ in range(count):
            if at + 16 > len(packed) or len(found) >= limit:
                break
            (size,) = struct.unpack_from("<I", packed, at)
            inflate = zlib.decompressobj()
            try:
                found += inflate.decompress(packed[at + 16 : at + 16 + size], block)
            except zlib.error as error:
                raise UnreadableFileError(f"the container is damaged: {error}") from None
            at += 16 + size
        return bytes(found[:limit])

    def _entries(self, file: BinaryIO, tree: int, count: int) -> dict[str, Entry]:
        """Return the files by name; of several of one name the X-ray map's."""
        listed = list(self._listed(file, tree, count))
        folders = {at for at, (name, _, _, is_folder) in enumerate(listed)
                   if is_folder and name == _MAPS}  # fmt: skip
        found: dict[str, Entry] = {}
        for name, parent, entry, is_folder in listed:
            if not is_folder and (name not in found or parent in folders):
                found[name] = entry
        return found

    def _listed(
        self, file: BinaryIO, tree: int, count: int
    ) -> Iterator[tuple[str, int, Entry, bool]]:
        """Yield name, number of the folder, place and kind of all that is in the container."""
        in_chunk = (self.chunk - _CHUNK_HEAD) // _ENTRY_SIZE
        left = count
        for body in self._chain(file, tree, -(-count // in_chunk)):
            for index in range(min(left, in_chunk)):
                raw = body[index * _ENTRY_SIZE : (index + 1) * _ENTRY_SIZE]
                if len(raw) < _ENTRY_SIZE:
                    raise UnreadableFileError("the list of files in the container is cut")
                table, size, parent, is_folder, name = _ENTRY.unpack(raw)
                plain = name.split(b"\0", 1)[0].decode("utf-8", "replace")
                yield plain, parent, Entry(table, size), is_folder
            left -= in_chunk

    def _chain(self, file: BinaryIO, first: int, count: int) -> Iterator[bytes]:
        """Yield the bodies of chunks of which each names the next."""
        for _ in range(count):
            file.seek(_START + first * self.chunk)
            raw = file.read(self.chunk)
            if len(raw) < _CHUNK_HEAD:
                raise UnreadableFileError("a chunk lies beyond the end of the container")
            (first,) = struct.unpack_from("<I", raw)
            yield raw[_CHUNK_HEAD:]

    def _pieces(self, file: BinaryIO, entry: Entry, size: int) -> Iterator[bytes]:
        """Yield the first bytes of a file, chunk by chunk; what is not there ends it."""
        body = self.chunk - _CHUNK_HEAD
        if entry.size > self.length or entry.table < 0:
            raise UnreadableFileError(f"a file of the container claims {entry.size} bytes")
        needed = -(-min(size, entry.size) // body)
        listed = -(-needed * 4 // body)
        table = b"".join(self._chain(file, entry.table, listed))
        left = size
        for (chunk,) in struct.iter_unpack("<I", table[: 4 * needed]):
            file.seek(_START + chunk * self.chunk + _CHUNK_HEAD)
            raw = file.read(min(body, left))
            if not raw:
                return
            left -= len(raw)
            yield raw
