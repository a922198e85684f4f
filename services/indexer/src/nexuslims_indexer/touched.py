"""Files that have another time and the same bytes: a virus scanner or a backup touched them.

By its new time such a file would leave its record, or be in that of somebody else. It is the only
reason for which the indexer opens a file, and only where a session has one of its path and size.
"""

import hashlib
import logging
from pathlib import Path

from nexuslims_contracts.paths import readable
from nexuslims_indexer.index import FolderIndex
from nexuslims_indexer.model import FoundFile
from nexuslims_indexer.session_files import file_of, sha256_of
from nexuslims_shared.session.state import SessionState

log = logging.getLogger(__name__)


def suspects(index: FolderIndex, state: SessionState) -> dict[str, tuple[FoundFile, str]]:
    """Return files that may have been touched: as they are now, with the hash of their bytes then.

    Parameters
    ----------
    index
        What was seen.
    state
        Of a session that had the files.
    """
    before = {
        file_of(file).path: (file_of(file), sha256)
        for file in state.current_files().values()
        if (sha256 := sha256_of(file))
    }
    growing = index.growing()
    found: dict[str, tuple[FoundFile, str]] = {}
    for path, now in index.locate(before.keys() - growing.keys()).items():
        former, sha256 = before[path]
        if now.size == former.size and now.mtime_ns != former.mtime_ns:
            found[now.alone] = (now, sha256)
    return found


def has_bytes(root: Path, file: FoundFile, sha256: str) -> bool:
    """Tell whether a file has the bytes that it had; false where it cannot be read.

    Parameters
    ----------
    root
        The instrument data path.
    file
        As it was found.
    sha256
        Of the bytes, hexadecimal.
    """
    try:
        with (root / file.path).open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == sha256
    except OSError as error:
        log.warning("%s: %s: whether it was only touched is not known", readable(file.path), error)
        return False
