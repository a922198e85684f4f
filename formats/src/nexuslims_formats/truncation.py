"""What a truncated file lacks, where its reader takes the header's word."""

import struct
from collections.abc import Iterator
from pathlib import Path

_MRC_HEADER = 1024
_MOST_RECORDS = 1 << 20
_MRC_STAMP, _BIG = 212, b"\x11\x11"


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
    size = path.stat().st_size
    match module:
        case "mrc":
            with path.open("rb") as file:
                head = file.read(_MRC_HEADER)
            (extended,) = struct.unpack_from(f"{mrc_byte_order(path)}i", head, 92)
            end = _MRC_HEADER + extended + data_bytes
        case "semper":
            end = _end_of_records(path)
        case _:
            return
    if end > size:
        yield f"the data ends at byte {end}, but the file at {size}"


def _end_of_records(path: Path) -> int:
    """Return where the last record of a Semper file ends: each has its length before and behind."""
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        for _ in range(_MOST_RECORDS):
            file.seek(at)
            mark = file.read(4)
            if len(mark) < 4:  # noqa: PLR2004 - the length itself
                break
            at += 8 + int(struct.unpack("<I", mark)[0])
            if at > size:
                break
    return at


def mrc_byte_order(path: Path) -> str:
    """Return ``<`` or ``>`` by the machine stamp (MRC2014, word 54); ``<`` without one."""
    with path.open("rb") as file:
        file.seek(_MRC_STAMP)
        return ">" if file.read(2) == _BIG else "<"
