"""Finding the files of a session on the share: by folder, modification time and name.

The name decides first: only a file that is wanted is asked for its time, which on a network share
is most of the cost.
"""

import errno
import os
import re
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import translate
from pathlib import Path
from typing import Final, Literal, TypeAlias

from nexuslims_contracts.identifiers import file_token
from nexuslims_indexer.errors import ShareUnavailableError

EXCLUSIVE_EXTENSIONS: Final = frozenset(
    {
        *("dm3", "dm4", "dm5", "h5", "hdf5", "msa", "ser", "spc", "tif", "tiff", "emd", "bcf"),
        *("spx", "mrc", "blo", "tvips", "sur", "pro", "asw", "eds", "elid", "hspy", "zspy"),
        *("nxs", "prz", "unf", "app5", "emsa", "spd", "mib"),
    }
)
"""What the strategy ``exclusive`` finds: the incumbent's list, and what else can be read."""

_AWAY: Final = frozenset(
    {errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH}
)
"""What network file systems answer while their server is away."""

_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
"""Removed since it was listed, or a link that leads nowhere."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_Identity: TypeAlias = tuple[int, int]
"""Device and inode: the same for all names of one file or folder."""


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for.

    ``root`` is the instrument data path, ``folder`` the instrument's below it. A file belongs to
    the session if it was last modified after ``start`` and not after ``end``. The patterns of
    ``ignore`` are matched with names, upper and lower case alike.
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
class Unreadable:
    """A folder or file that could not be looked at; its path below the root, and why."""

    path: str
    reason: str

    def holds(self, path: str) -> bool:
        """Tell whether a file is there, or may be."""
        return path == self.path or path.startswith(f"{self.path}/")


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found.

    Parameters
    ----------
    files
        In the order of time.
    unreadable
        Where it could not look.
    unnameable
        Files whose names are no Unicode, with the bytes escaped: no event and no record can name
        them, so they must be renamed.
    """

    files: tuple[FoundFile, ...]
    unreadable: tuple[Unreadable, ...] = field(default=())
    unnameable: tuple[str, ...] = field(default=())


def find_files(search: Search) -> Found:
    """Search an instrument's folder, and those that links in it lead to.

    Each file is found once, by its own name rather than through a link.

    Raises
    ------
    ShareUnavailableError
        If the instrument's folder is not there or cannot be read.
    """
    walk = _Walk(search)
    first, last = _nanoseconds(search.start), _nanoseconds(search.end)
    files: dict[_Identity, FoundFile] = {}
    unnameable: list[str] = []
    for path, status in walk.files():
        identity = (status.st_dev, status.st_ino)
        if not first < status.st_mtime_ns <= last or identity in files:
            continue
        relative = walk.relative(path)
        if _is_unicode(relative):
            files[identity] = FoundFile(status.st_mtime_ns, relative, status.st_size)
        else:
            unnameable.append(_escaped(relative))
    return Found(tuple(sorted(files.values())), tuple(walk.unreadable), tuple(unnameable))


class _Walk:
    """One walk through the folders of an instrument, each folder once, links last."""

    def __init__(self, search: Search) -> None:
        self.unreadable: list[Unreadable] = []
        self._search = search
        self._prefix = len(os.path.join(search.root, ""))  # noqa: PTH118 - Path drops the slash
        self._ignored = re.compile(
            "|".join(translate(pattern.lower()) for pattern in search.ignore) or r"(?!)"
        )

    def relative(self, path: str) -> str:
        """Path below the root, with forward slashes."""
        return path[self._prefix :].replace(os.sep, "/")

    def files(self) -> Iterator[tuple[str, os.stat_result]]:
        """Wanted files; those in real folders come before those behind links."""
        visited = self._above()
        folders = [str(self._search.top)]
        links: deque[os.DirEntry[str]] = deque()
        while folders or links:
            real = bool(folders)
            for entry in self._list(folders.pop(), visited) if real else [links.popleft()]:
                try:
                    if real and entry.is_symlink():
                        links.append(entry)
                    elif entry.is_dir():
                        folders.append(entry.path)
                    elif self._is_wanted(entry.name):
                        status = entry.stat()
                        if stat.S_ISREG(status.st_mode):
                            yield entry.path, status
                except OSError as error:
                    self._note(entry.path, error)

    def _above(self) -> set[_Identity]:
        """The folders above count as visited: a link to one of them is a loop."""
        top = self._search.top
        try:
            os.scandir(top).close()
            return {
                (status.st_dev, status.st_ino)
                for status in (folder.stat() for folder in top.resolve().parents)
            }
        except OSError as error:
            raise ShareUnavailableError(
                f"{top}: {error.strerror}: is the share mounted, and may it be read?"
            ) from error

    def _list(self, folder: str, visited: set[_Identity]) -> list[os.DirEntry[str]]:
        try:
            status = os.stat(folder)  # noqa: PTH116 - a million paths
            identity = (status.st_dev, status.st_ino)
            if identity in visited:
                return []
            visited.add(identity)
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self._note(folder, error)
            return []

    def _note(self, path: str, error: OSError) -> None:
        """A share that went away stops the search; a file that did does not."""
        reason = error.strerror or type(error).__name__
        if error.errno in _AWAY:
            raise ShareUnavailableError(f"{path}: {reason}: is the share mounted?") from error
        if error.errno not in _GONE:
            self.unreadable.append(Unreadable(_escaped(self.relative(path)), reason))

    def _is_wanted(self, name: str) -> bool:
        lowered = name.lower()
        if self._ignored.match(lowered):
            return False
        if self._search.strategy == "inclusive":
            return True
        _, dot, extension = lowered.rpartition(".")
        return bool(dot) and extension in EXCLUSIVE_EXTENSIONS


def _nanoseconds(moment: datetime) -> int:
    """Nanoseconds since the epoch, exactly; a time without offset is a mistake (TypeError)."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _is_unicode(text: str) -> bool:
    return text == _escaped(text)


def _escaped(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
