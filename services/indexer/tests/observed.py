"""What looks can know of a file by seeing it: a plain reading of when it comes to rest."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nexuslims_indexer.place import nanoseconds

EPOCH = datetime.fromtimestamp(0, UTC)
SETTLE_NS = 5 * 10**9

Row = tuple[int, int, tuple[int, int] | None]
"""Modification time and size of a file, and of its companion if it has one."""


@dataclass(slots=True)
class Observed:
    """A file as looks saw it: since when it is so, and when it was first seen growing."""

    row: Row
    since: datetime
    began_ns: int = 0
    is_growing: bool = False
    has_changed: bool = False


def row_of(path: Path) -> Row:
    """Return what tells a file from another state of it."""
    companion, status = path.with_suffix(".txt"), path.stat()
    beside = companion.stat() if companion.exists() else None
    return (
        status.st_mtime_ns,
        status.st_size,
        (beside.st_mtime_ns, beside.st_size) if beside else None,
    )


def observe(one: Observed | None, row: Row, now: datetime) -> Observed:
    """Take note of how a file is now; it was seen as ``one`` before."""
    if one is None or (not one.is_growing and one.row != row):
        latest = max(row[0], row[2][0] if row[2] else 0)
        is_growing = latest > nanoseconds(now) - SETTLE_NS or one is not None
        return Observed(row, now, row[0] if is_growing else 0, is_growing=is_growing)
    if one.row != row:
        one.row, one.since, one.has_changed = row, now, True
    elif one.is_growing and nanoseconds(now - one.since + EPOCH) >= SETTLE_NS:
        one.is_growing = False
        one.began_ns = one.began_ns if one.has_changed and one.began_ns < row[0] else 0
    return one
