"""Files, folders and looks, as the parts of the indexer speak of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from nexuslims_contracts.identifiers import file_token

Beside: TypeAlias = tuple[tuple[str, int, int], ...]
"""Name, size and modification time of the files that are read with another one."""


def is_within(path: str, folder: str) -> bool:
    """Tell whether a path is a folder, or within it.

    Parameters
    ----------
    path, folder
        Below the instrument data path; empty for that itself.
    """
    return path == folder or path.startswith(prefix_of(folder))


def prefix_of(folder: str) -> str:
    """Return with what the paths of all begin that is in a folder; it may be the root, ``""``."""
    return f"{folder}/" if folder else ""


@dataclass(frozen=True, slots=True, order=True)
class FoundFile:
    """A file that came to rest.

    Parameters
    ----------
    mtime_ns
        Modification time, nanoseconds since the epoch, as the file says.
    path
        Below the instrument data path, with forward slashes; bytes that are no UTF-8 are kept as
        Python keeps them in names (``surrogateescape``).
    size
        Bytes.
    began_ns
        Modification time when it was first seen, growing; 0 if it was never seen so.
    beside
        What is read with it.
    """

    mtime_ns: int
    path: str
    size: int
    began_ns: int = field(default=0, compare=False)
    beside: Beside = ()

    @property
    def token(self) -> str:
        """Name of this state of the file, and of what is read with it."""
        return file_token(self.path, self.size, self.mtime_ns, self.beside)

    @property
    def alone(self) -> str:
        """Name of this state of the file, whatever is read with it."""
        return file_token(self.path, self.size, self.mtime_ns)


@dataclass(frozen=True, slots=True)
class KnownFolder:
    """What the index holds of a folder, but for its files."""

    device: int
    mtime_ns: int
    ctime_ns: int
    listed_ns: int
    newest_ns: int
    folders: tuple[str, ...]
    links: tuple[str, ...]
    has_files: bool

    @property
    def is_empty(self) -> bool:
        """Whether nothing was in it."""
        return not (self.folders or self.links or self.has_files)


@dataclass(frozen=True, slots=True)
class Growing:
    """A file that was not yet at rest when it was seen last.

    Parameters
    ----------
    size, mtime_ns
        As it was seen.
    seen_ns
        Since when it is so, by our clock.
    began_ns
        Its modification time when it was first seen.
    changed
        Whether it was seen to change.
    """

    size: int
    mtime_ns: int
    seen_ns: int
    began_ns: int
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A folder or file that could not be looked at.

    Parameters
    ----------
    path
        Below the instrument data path.
    reason
        Why.
    changed_ns
        When names in it changed last, as far as that can be known.
    """

    path: str
    reason: str
    changed_ns: int = field(default=2**63 - 1, compare=False)

    def may_hide(self, folder: str, since_ns: int) -> bool:
        """Tell whether files may be in it that were written into a folder since a time.

        Parameters
        ----------
        folder
            Below the instrument data path.
        since_ns
            Nanoseconds since the epoch.
        """
        return self.changed_ns > since_ns and (self.holds(folder) or is_within(self.path, folder))

    def holds(self, path: str) -> bool:
        """Tell whether a file is there, or may be."""
        return is_within(path, self.path)


@dataclass(frozen=True, slots=True)
class Tree:
    """Where an instrument's files are, and how they come to rest.

    Parameters
    ----------
    root
        The instrument data path.
    folder
        The instrument's folder below it.
    settle_ns
        How long size and time of a file hold still before it counts, nanoseconds.
    offset_ns
        How far the clock that dates its files is ahead, nanoseconds.
    """

    root: Path
    folder: str
    settle_ns: int
    offset_ns: int = 0

    @property
    def top(self) -> Path:
        """The instrument's folder."""
        return self.root / self.folder


@dataclass(slots=True)
class Look:
    """What a look found out, beside what it kept in the index.

    Parameters
    ----------
    unreadable
        Where it could not look; what is known of these places stands.
    growing
        Files that are not at rest.
    listed
        How many folders were listed.
    is_first
        Whether nothing was known before: what went since then cannot be told.
    """

    unreadable: list[Unreadable] = field(default_factory=list)
    growing: dict[str, Growing] = field(default_factory=dict)
    listed: int = 0
    is_first: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What the looks found out beside what is in the index.

    Parameters
    ----------
    growing
        Files that are not at rest.
    unreadable
        Where the last whole look could not look.
    is_first
        Whether nothing was known before, or files were given to sessions by other rules: then all
        sessions are held against what is there.
    has_other_rules
        Whether it is for the latter.
    """

    growing: Mapping[str, Growing] = field(default_factory=dict)
    unreadable: tuple[Unreadable, ...] = ()
    is_first: bool = False
    has_other_rules: bool = False
