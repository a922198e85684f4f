"""What a truncated file lacks, where its reader takes the header's word, or waits for ever."""

import struct
from collections.abc import Iterator
from pathlib import Path

_MRC_HEADER = 1024
_MRC_STAMP, _BIG = 212, b"\x11\x11"
_BZIP2_END, _48_BITS = 0x177245385090, (1 << 48) - 1


def what_is_missing(path: Path, module: str, data_bytes: int) -> Iterator[str]:
    """Yield what a file lacks, in words.

    Parameters
    ----------
    path
        The file.
    module
        rosettasciio's name of its format.
    data_bytes
        How long the header says that the data is.
    """
    if module != "mrc":
        return
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_MRC_HEADER)
    (extended,) = struct.unpack_from(f"{mrc_byte_order(path)}i", head, 92)
    end = _MRC_HEADER + extended + data_bytes
    if end > size:
        yield f"the data ends at byte {end}, but the file at {size}"


def mrc_byte_order(path: Path) -> str:
    """Return ``<`` or ``>`` by the machine stamp (MRC2014, word 54); ``<`` without one."""
    with path.open("rb") as file:
        file.seek(_MRC_STAMP)
        return ">" if file.read(2) == _BIG else "<"


def bzip2_ends(path: Path) -> bool:
    """Whether a bzip2 stream has its end, for which the reader of Phenom files would wait for ever.

    The mark of the end begins at any bit; a checksum of 32 bits and up to 7 of padding follow.
    https://github.com/dsnet/compress/blob/master/doc/bzip2-format.pdf
    """
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 11))
        tail = int.from_bytes(file.read(), "big")
    return any((tail >> shift) & _48_BITS == _BZIP2_END for shift in range(32, 40))
