"""Files that came while a session went on, and whose own times say otherwise.

A PC whose battery is dead begins each day in 1980, or in the year that it was built. When a file
came to the share its server knows better: the time of the last change of its inode.
"""

import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Final

from nexuslims_indexer.claims import Sessions
from nexuslims_indexer.index import FolderIndex
from nexuslims_indexer.model import FoundFile

_MOST_ASKED: Final = 1000
_LARGEST: Final = 2**63 - 1


def strays(
    index: FolderIndex, root: Path, sessions: Sessions, low_ns: int, high_ns: int
) -> list[FoundFile]:
    """Return files that came in a span and whose times are near no session.

    Parameters
    ----------
    index
        What was seen.
    root
        The instrument data path.
    sessions
        All of the folder.
    low_ns, high_ns
        The span: after the first, not after the second; nanoseconds since the epoch.
    """
    suspects = (
        file
        for folder in index.changed_since(low_ns)
        for file in index.files_in(folder)
        if not sessions.overlapping(file.mtime_ns, file.mtime_ns)
    )
    return those_that_came(root, suspects, low_ns, high_ns)


def those_that_came(
    root: Path, files: Iterable[FoundFile], low_ns: int, high_ns: int
) -> list[FoundFile]:
    """Return the files that came to the share in a span, whatever their own times.

    Parameters
    ----------
    root
        The instrument data path.
    files
        Any; no more than a thousand are asked for.
    low_ns, high_ns
        The span: after the first, not after the second; nanoseconds since the epoch.
    """
    asked = islice(files, _MOST_ASKED)
    return sorted(file for file in asked if low_ns < _came(root, file) <= high_ns)


def _came(root: Path, file: FoundFile) -> int:
    """When a file came; never, if it is gone."""
    try:
        return os.stat(root / file.path).st_ctime_ns  # noqa: PTH116 - bytes of any kind
    except OSError:
        return -_LARGEST
