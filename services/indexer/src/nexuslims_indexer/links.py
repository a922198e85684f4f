"""Files that only symbolic links lead to, each with what is read beside it."""

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

from nexuslims_indexer.listing import Listing, list_linked
from nexuslims_indexer.model import FoundFile, Unreadable, prefix_of
from nexuslims_indexer.names import Names

Linked: TypeAlias = dict[str, FoundFile]
"""By the path of the link."""


def linked_files(
    root: Path, paths: Iterable[str], names: Names, before: Linked
) -> tuple[Linked, list[Unreadable]]:
    """Look at the files that links lead to.

    Parameters
    ----------
    root
        The instrument data path.
    paths
        Of the links, below it.
    names
        Chooses the files, by the names of the links.
    before
        As they were: what cannot be looked at is as before.

    Returns
    -------
    tuple
        The files that are wanted, and where it was not possible to look.
    """
    now: Linked = {}
    unreadable: list[Unreadable] = []
    for folder, group in groupby(sorted(paths), key=lambda path: path.rpartition("/")[0]):
        prefix = prefix_of(folder)
        links = {path[len(prefix) :] for path in group}
        try:
            listing = list_linked(str(root / folder), links, names.choose_in(folder))
        except OSError as error:
            unreadable.append(Unreadable(folder, error.strerror or type(error).__name__))
            now |= {path: before[path] for path in map(prefix.__add__, links) if path in before}
            continue
        for name, (mtime_ns, size, beside) in listing.rows().items():
            path = f"{prefix}{name}"
            now[path] = FoundFile(mtime_ns, path, size, beside=beside)
        out_of_sight = unreadable_files(folder, listing)
        unreadable += out_of_sight
        now |= {one.path: before[one.path] for one in out_of_sight if one.path in before}
    return now, unreadable


def unreadable_files(folder: str, listing: Listing) -> list[Unreadable]:
    """Return the files of a folder that could not be looked at.

    Parameters
    ----------
    folder
        Its path, below the instrument data path.
    listing
        What was found in it.
    """
    prefix = prefix_of(folder)
    return [Unreadable(f"{prefix}{name}", why) for name, why in listing.unreadable.items()]
