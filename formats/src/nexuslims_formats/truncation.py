"""What a truncated file lacks, where its reader takes the header's word."""

import struct
from collections.abc import Iterator
from pathlib import Path

_MOST_RECORDS = 1 << 20


def what_is_missing(path: Path, module: str) -> Iterator[str]:
    """Yield what a file lacks, in words.

    Parameters
    ----------
    path
        The file.
    module
        rosettasciio's name of its format.
    """
    size = path.stat().st_size
    end = _end_of_records(path) if module == "semper" else 0
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
