"""What is in one folder: its files with size and time, and its folders.

Names are read first and only wanted ones asked for their time, relative to the open folder: on a
network share that is most of the cost, on a local disk resolving the path again would be.
"""

import errno
import os
import stat
from array import array
from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from nexuslims_contracts.paths import readable
from nexuslims_indexer.model import Beside
from nexuslims_indexer.names import Choice

GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
"""Removed since it was listed, or a link that leads nowhere."""

_FITS_SQLITE: Final = 2**63 - 1


def time_of(status: os.stat_result) -> int:
    """Return a modification time that can be kept; what no clock shows becomes the utmost."""
    return max(-_FITS_SQLITE, min(status.st_mtime_ns, _FITS_SQLITE))


def changed_ns(path: str) -> int:
    """When names in a folder changed last; to come, where that cannot be known."""
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116
    except OSError:
        return _FITS_SQLITE


Row: TypeAlias = tuple[int, int, Beside]
"""Modification time and size of a file, and what is read with it."""
Choose = Callable[[Sequence[str]], Choice]


@dataclass(frozen=True, slots=True)
class Listing:
    """A folder as it was found.

    Parameters
    ----------
    device, mtime_ns, ctime_ns
        Of the folder itself.
    names, times, sizes
        Of its wanted files, in the order of time: modification times in nanoseconds, bytes.
    folders
        Names of its real folders.
    links
        Names of its symbolic links, whatever they lead to.
    shared
        Of the files that have more than one name: device, inode and how many names, by name.
    beside
        What is read with a file, by its name: that of files which have companions.
    unreadable
        Names of files that could not be looked at, and why.
    is_empty
        Whether there is nothing at all in it, of any kind.
    """

    device: int
    mtime_ns: int
    ctime_ns: int = 0
    names: tuple[str, ...] = ()
    times: "array[int]" = field(default_factory=lambda: array("q"))
    sizes: "array[int]" = field(default_factory=lambda: array("q"))
    folders: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    shared: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    beside: dict[str, Beside] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    is_empty: bool = False

    @property
    def newest_ns(self) -> int | None:
        """When the latest of its files, and of those that are read with them, was written."""
        times = [mtime_ns for beside in self.beside.values() for _, _, mtime_ns in beside]
        return max([*self.times[-1:], *times], default=None)

    def row(self, place: int) -> Row:
        """Return what tells one of its files from another state of it; by its place in them."""
        name = self.names[place]
        return self.times[place], self.sizes[place], self.beside.get(name, ())

    def rows(self) -> dict[str, Row]:
        """Return what tells each of its files from another state of it, by name."""
        return {name: self.row(place) for place, name in enumerate(self.names)}

    def differs_from(self, other: "Listing") -> bool:
        """Tell whether there are other files in it, or others of their states."""
        return (self.times, self.sizes, self.names, self.beside) != (
            other.times,
            other.sizes,
            other.names,
            other.beside,
        )

    def written_after(self, moment_ns: int) -> list[str]:
        """Return the files that were written after a time, or what is read with them was."""
        first = bisect_right(self.times, moment_ns)
        late = [
            name
            for name, beside in self.beside.items()
            if any(mtime_ns > moment_ns for _, _, mtime_ns in beside)
        ]
        return [*self.names[first:], *late]


def list_folder(path: str, choose: Choose) -> Listing:
    """List a folder.

    Parameters
    ----------
    path
        Where it is; a last symbolic link is followed.
    choose
        Picks the names of files that are wanted from all of them.

    Raises
    ------
    OSError
        If the folder as a whole cannot be listed.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        status = os.fstat(descriptor)
        files: list[str] = []
        folders: list[str] = []
        links: list[str] = []
        with os.scandir(descriptor) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    files.append(entry.name)
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                elif entry.is_symlink():
                    links.append(entry.name)
        reading = _Reading(descriptor)
        choice = choose([*files, *[name for name in links if _is_to_file(name, descriptor)]])
        reading.read(_without(choice.files, links))
        reading.read_beside({name: choice.beside[name] for name in _without(choice.beside, links)})
        return reading.listing(status, folders, links, is_empty=not (files or folders or links))
    finally:
        os.close(descriptor)


def list_linked(path: str, links: Collection[str], choose: Choose) -> Listing:
    """Return the files to which symbolic links of a folder lead, by the names of the links.

    Parameters
    ----------
    path
        Where the folder is.
    links
        Names of links in it; those that are not wanted are left out.
    choose
        As for :func:`list_folder`.

    Raises
    ------
    OSError
        If the folder cannot be listed.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        reading = _Reading(descriptor, follow_symlinks=True)
        with os.scandir(descriptor) as entries:
            choice = choose([entry.name for entry in entries])
        wanted = [name for name in choice.files if name in links]
        reading.read(wanted)
        reading.read_beside({name: choice.beside.get(name, ()) for name in wanted})
        return reading.listing(os.fstat(descriptor), [], [], is_empty=False)
    finally:
        os.close(descriptor)


def _is_to_file(link: str, descriptor: int) -> bool:
    try:
        return stat.S_ISREG(os.stat(link, dir_fd=descriptor).st_mode)
    except OSError:
        return False


def _without(names: Collection[str], links: Collection[str]) -> Collection[str]:
    return [name for name in names if name not in links] if links else names


class _Reading:
    """Sizes and times of the files of one open folder; what is read beside may be linked."""

    def __init__(self, descriptor: int, *, follow_symlinks: bool = False) -> None:
        self._descriptor = descriptor
        self._follow_symlinks = follow_symlinks
        self._names: list[str] = []
        self._times = array("q")
        self._sizes = array("q")
        self._shared: dict[str, tuple[int, int, int]] = {}
        self._unreadable: dict[str, str] = {}
        self._beside: dict[str, Beside] = {}

    def read(self, names: Collection[str]) -> None:
        status_of, descriptor, follow = os.stat, self._descriptor, self._follow_symlinks
        keep, time, size = self._names.append, self._times.append, self._sizes.append
        for name in names:
            try:
                status = status_of(name, dir_fd=descriptor, follow_symlinks=follow)
            except OSError as error:
                if error.errno not in GONE:
                    self._unreadable[name] = error.strerror or type(error).__name__
                continue
            keep(name)
            try:
                time(status.st_mtime_ns)
            except OverflowError:  # such as the year 1601, which stands for none on Windows
                time(time_of(status))
            size(status.st_size)
            if status.st_nlink > 1:
                self._shared[name] = (status.st_dev, status.st_ino, status.st_nlink)

    def read_beside(self, companions: Mapping[str, Sequence[str]]) -> None:
        """Look at the files that are read with others, each once."""
        known: dict[str, Beside] = {}
        for name, others in companions.items():
            for other in others:
                if other not in known:
                    known[other] = self._companion(other)
            self._beside[name] = tuple(sorted([one for other in others for one in known[other]]))

    def _companion(self, name: str) -> Beside:
        try:
            status = os.stat(name, dir_fd=self._descriptor)
        except OSError as error:
            if error.errno not in GONE:
                self._unreadable[name] = error.strerror or type(error).__name__
            return ()
        if not stat.S_ISREG(status.st_mode):
            return ()
        return ((readable(name), status.st_size, time_of(status)),)

    def listing(
        self, folder: os.stat_result, folders: list[str], links: list[str], *, is_empty: bool
    ) -> Listing:
        times, sizes, names = self._times, self._sizes, self._names
        order = sorted(range(len(names)), key=times.__getitem__)
        return Listing(
            device=folder.st_dev & _FITS_SQLITE,
            mtime_ns=time_of(folder),
            ctime_ns=folder.st_ctime_ns,
            names=tuple([names[place] for place in order]),
            times=array("q", [times[place] for place in order]),
            sizes=array("q", [sizes[place] for place in order]),
            folders=tuple(folders),
            links=tuple(links),
            shared=self._shared,
            beside=self._beside,
            unreadable=self._unreadable,
            is_empty=is_empty,
        )
