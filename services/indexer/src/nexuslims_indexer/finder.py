"""Finding the files of a session on the share: by folder, modification time and name."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, Literal

from nexuslims_contracts.identifiers import file_token

NANOSECONDS: Final = 1_000_000_000

EXCLUSIVE_EXTENSIONS: Final = frozenset(
    {
        *("dm3", "dm4", "dm5", "h5", "hdf5", "msa", "ser", "spc", "tif", "tiff", "emd", "bcf"),
        *("spx", "mrc", "blo", "tvips", "sur", "pro", "asw", "eds", "elid", "hspy", "zspy"),
        *("nxs", "prz", "unf", "app5"),
    }
)
"""What the strategy ``exclusive`` finds: the incumbent's list, and what else can be read."""


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for.

    ``root`` is the instrument data path, ``folder`` the instrument's below it. A file belongs to
    the session if it was last modified after ``start`` and not after ``end``.
    """

    root: Path
    folder: str
    start: datetime
    end: datetime
    strategy: Literal["exclusive", "inclusive"]
    ignore: Sequence[str] = ()

    @property
    def top(self) -> Path:
        """The folder that is searched."""
        return self.root / self.folder


@dataclass(frozen=True, slots=True, order=True)
class FoundFile:
    """A file: modification time in nanoseconds, path below the root, size in bytes."""

    mtime_ns: int
    path: str
    size: int

    @property
    def token(self) -> str:
        """Name of this state of the file."""
        return file_token(self.path, self.size, self.mtime_ns)


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, in the order of time, and the folders or names it could not take."""

    files: tuple[FoundFile, ...]
    problems: tuple[str, ...] = field(default=())


def find_files(search: Search) -> Found:
    """Search an instrument's folder.

    Folders that are symbolic links are searched like others, each real folder once. A file whose
    name is no Unicode cannot be named in an event or a record; it is a problem, with the remedy.

    Raises
    ------
    FileNotFoundError
        If the instrument's folder is not there.
    """
    if not search.top.is_dir():
        raise FileNotFoundError(f"{search.top} is not there: is the share mounted?")
    problems: list[str] = []
    seen: dict[tuple[int, int], FoundFile] = {}
    for path, status in _files(search.top, problems):
        if not _is_wanted(path.name, search) or not _is_in_time(status, search):
            continue
        relative = path.relative_to(search.root).as_posix()
        if not _is_unicode(relative):
            problems.append(f"{relative!r}: the name is not Unicode: rename the file")
            continue
        file = FoundFile(status.st_mtime_ns, relative, status.st_size)
        known = seen.get((status.st_dev, status.st_ino))
        if known is None or file.path < known.path:
            seen[status.st_dev, status.st_ino] = file
    return Found(tuple(sorted(seen.values())), tuple(problems))


def _files(top: Path, problems: list[str]) -> Iterator[tuple[Path, os.stat_result]]:
    visited: set[tuple[int, int]] = set()
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            problems.append(f"{folder}: {error.strerror}")
            continue
        for entry in entries:
            try:
                status = entry.stat()
            except FileNotFoundError:
                continue  # gone since it was listed, or a link to nothing
            except OSError as error:
                problems.append(f"{entry.path}: {error.strerror}")
                continue
            if stat.S_ISDIR(status.st_mode):
                waiting.append(Path(entry.path))
            elif stat.S_ISREG(status.st_mode):
                yield Path(entry.path), status


def _is_wanted(name: str, search: Search) -> bool:
    lowered = name.lower()
    if any(fnmatchcase(lowered, pattern.lower()) for pattern in search.ignore):
        return False
    extension = lowered.rpartition(".")[2]
    return search.strategy == "inclusive" or ("." in lowered and extension in EXCLUSIVE_EXTENSIONS)


def _is_in_time(status: os.stat_result, search: Search) -> bool:
    return _nanoseconds(search.start) < status.st_mtime_ns <= _nanoseconds(search.end)


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * NANOSECONDS + moment.microsecond * 1000


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
