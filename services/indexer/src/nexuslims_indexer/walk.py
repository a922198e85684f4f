"""Looking through an instrument's folders, and keeping in the index what was found.

A look lists the folders that changed, by the times of their modification and of their status, and
those in which files were written lately; the others are taken from the index. A sweep lists them
all. The second time counts because copying programs set the first one back: ``rsync -a`` does.
"""

import errno
import os
import stat
from array import array
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Final

from nexuslims_indexer.errors import ShareUnavailableError
from nexuslims_indexer.index import FolderIndex
from nexuslims_indexer.links import Linked, linked_files, unreadable_files
from nexuslims_indexer.listing import GONE, Listing, Row, changed_ns, list_folder
from nexuslims_indexer.model import (
    Growing,
    KnownFolder,
    Look,
    Tree,
    Unreadable,
    is_within,
    prefix_of,
)
from nexuslims_indexer.names import Names, is_store, may_be_entered, outside_stores
from nexuslims_indexer.share import AWAY, check_folder

RECENT_NS: Final = 3600 * 10**9
"""Folders with files that were written so lately are listed at each look: files may be rewritten
in place, which leaves their folder's modification time alone."""

COARSE_NS: Final = 2 * 10**9
"""How exact a folder's modification time is at least: what was listed sooner may have changed."""


def look(
    tree: Tree,
    index: FolderIndex,
    names: Names,
    now_ns: int,
    *,
    everything: bool = False,
    recent_ns: int | None = None,
    had_files: bool = False,
) -> Look:
    """Look through the folders of an instrument, and those that links in it lead to.

    Parameters
    ----------
    tree
        The instrument's.
    index
        What was seen before; is brought up to date, or left as it was if the look fails.
    names
        Chooses the files.
    now_ns
        The time, nanoseconds since the epoch.
    everything
        Whether to list every folder, whatever the index holds.
    recent_ns
        List all folders with files written since; an hour ago if not given.
    had_files
        Whether files of the instrument are known from elsewhere: then its folder is not empty.

    Raises
    ------
    ShareUnavailableError
        If the instrument's folder is not there, cannot be read, or is empty and was not.
    """
    walk = _Walk(tree, index, names, now_ns)
    walk.recent_ns = now_ns - RECENT_NS if recent_ns is None else recent_ns
    walk.result.is_first = not index.swept_ns()
    with index.changing():
        failure = walk.through(everything=everything, had_files=had_files)
        if failure is None and (everything or not index.swept_ns()):
            index.set_swept(now_ns)
    if failure is not None:
        raise failure
    return walk.result


def look_at(
    tree: Tree, index: FolderIndex, names: Names, now_ns: int, folders: Collection[str]
) -> Look:
    """Look at some folders of an instrument only, and what is new below them; see :func:`look`.

    Parameters
    ----------
    tree, index, names, now_ns
        As for a look at everything.
    folders
        Paths below the instrument data path.

    Raises
    ------
    ShareUnavailableError
        If the instrument's folder is not there, or cannot be read.
    """
    walk = _Walk(tree, index, names, now_ns)
    with index.changing():
        failure = walk.at(folders)
    if failure is not None:
        raise failure
    return walk.result


class _Walk:
    """One walk; changes of the index are made by whoever calls it, all or none."""

    def __init__(self, tree: Tree, index: FolderIndex, names: Names, now_ns: int) -> None:
        self.result = Look()
        self.recent_ns = 0
        self._tree = tree
        self._index = index
        self._names = names
        self._now_ns = now_ns
        self._touched = array("q")
        self._growing = index.growing()
        self._growing_in: dict[str, set[str]] = {}
        for path in self._growing:
            self._growing_in.setdefault(path.rpartition("/")[0], set()).add(path)
        self._grown: dict[str, Growing] = {}
        self._links: list[str] = []

    def through(self, *, everything: bool, had_files: bool) -> ShareUnavailableError | None:
        """Go through the whole tree; what was listed before the share went away is kept."""
        known = self._index.folders()
        left = set(known)
        hot = None if everything else set(self._growing_in)
        try:
            before = self._check_top(known.get(self._tree.folder), had_files=had_files)
            self._visit([self._tree.folder], known, left, hot)
            self._follow_links(known, left, hot)
            self._check_still(before)
        except ShareUnavailableError as error:
            self._keep()
            return error
        self._forget(left)
        self._keep()
        return None

    def at(self, folders: Collection[str]) -> ShareUnavailableError | None:
        """Go through some folders."""
        gone: list[str] = []
        try:
            before = self._check_top(self._index.folder(self._tree.folder), had_files=False)
            for path in dict.fromkeys(map(outside_stores, folders)):
                known = self._index.folder(path)
                left = {path} if known else set()
                self._visit([path], {path: known} if known else {}, left, None, new_only=True)
                gone += self._below(path) if left else []
            self._check_still(before)
            self._look_again_at_linked({*map(outside_stores, folders)})
        except ShareUnavailableError as error:
            self._keep()
            return error
        self._forget(gone)
        self._keep()
        return None

    # --- folders ---

    def _check_top(self, known: KnownFolder | None, *, had_files: bool) -> tuple[int, int]:
        """Make sure that the instrument's folder is there, and not empty all at once."""
        had_files |= known is not None and not known.is_empty
        return check_folder(self._tree.top, had_files=had_files)

    def _check_still(self, before: tuple[int, int]) -> None:
        """What is gone is gone only if the share is still the one that was looked through."""
        if self._check_top(None, had_files=False) != before:
            raise ShareUnavailableError(
                f"{self._tree.top} became another folder while it was looked through:"
                " is the share mounted?"
            )

    def _visit(
        self,
        stack: list[str],
        known: dict[str, KnownFolder],
        left: set[str],
        hot: set[str] | None,
        *,
        new_only: bool = False,
    ) -> None:
        """Visit folders and those below; ``hot`` is None where each is to be listed."""
        while stack:
            path = stack.pop()
            before = known.get(path)
            try:
                if before is not None and hot is not None and self._is_as_before(path, before, hot):
                    folders, links = before.folders, before.links
                else:
                    listing = self._list(path, before)
                    folders, links = listing.folders, listing.links
            except OSError as error:
                self._note(path, error, left)
                continue
            left.discard(path)
            prefix = prefix_of(path)
            self._links += [f"{prefix}{name}" for name in links]
            below = [f"{prefix}{name}" for name in folders if may_be_entered(name)]
            if new_only:
                below = [one for one in below if not self._index.folder(one)]
            stack += below

    def _is_as_before(self, path: str, before: KnownFolder, hot: set[str]) -> bool:
        if before.newest_ns - self._tree.offset_ns > self.recent_ns or path in hot:
            return False
        status = os.stat(self._real(path))  # noqa: PTH116 - a million paths
        return (
            status.st_mtime_ns == before.mtime_ns
            and status.st_ctime_ns == before.ctime_ns
            and status.st_dev == before.device
            and before.listed_ns - before.mtime_ns > COARSE_NS
        )

    def _list(self, path: str, before: KnownFolder | None) -> Listing:
        listing = list_folder(self._real(path), self._names.choose_in(path))
        if is_store(path):
            listing = replace(listing, folders=(), links=())
        self.result.listed += 1
        if (
            listing.is_empty
            and before is not None
            and not before.is_empty
            and listing.device != before.device
        ):
            raise OSError(errno.ENODEV, "is empty, and a mount is gone")
        former = self._index.listing(path) if before is not None else None
        listing = self._with_unreadable(path, listing, former)
        if former is None or listing.differs_from(former):
            self._compare(path, listing, former)
        self._come_to_rest(path, listing, former)
        self._index.put(path, listing, self._now_ns)
        return listing

    def _with_unreadable(self, path: str, listing: Listing, former: Listing | None) -> Listing:
        """Let stand what is known of files that could not be looked at."""
        if not listing.unreadable:
            return listing
        known = former.rows() if former else {}
        rows = listing.rows()
        self.result.unreadable += unreadable_files(path, listing)
        rows |= {name: known[name] for name in listing.unreadable if name in known}
        names = sorted(rows, key=lambda name: (rows[name][:2], name))
        return replace(
            listing,
            names=tuple(names),
            times=array("q", [rows[name][0] for name in names]),
            sizes=array("q", [rows[name][1] for name in names]),
            beside={name: row[2] for name, row in rows.items() if row[2]},
            unreadable={},
        )

    def _forget(self, paths: Iterable[str]) -> None:
        """Forget folders that are gone; whose files these were is to be decided again."""
        paths = list(paths)
        for path in paths:
            former = self._index.listing(path)
            self._touched.extend(former.times if former else ())
        self._index.remove(paths)
        gone = set(paths)
        for folder in gone & self._growing_in.keys():
            for path in self._growing_in[folder]:
                self._growing.pop(path, None)

    def _below(self, path: str) -> list[str]:
        return [one for one in self._index.folders() if is_within(one, path)]

    def _note(self, path: str, error: OSError, left: set[str]) -> None:
        """A share that went away stops the look; a folder that did does not."""
        reason = error.strerror or type(error).__name__
        if error.errno in AWAY:
            self._check_top(None, had_files=True)
        if error.errno in GONE:
            return
        place = Unreadable(path, reason, changed_ns(self._real(path)))
        self.result.unreadable.append(place)
        left.difference_update([one for one in left if place.holds(one)])

    def _real(self, path: str) -> str:
        return os.path.join(self._tree.root, path)  # noqa: PTH118 - a million paths

    # --- files ---

    def _compare(self, path: str, listing: Listing, former: Listing | None) -> None:
        """Note the times of what came, changed or went; a file that changed must come to rest."""
        if former is None:
            self._touched.extend(listing.times)
            return
        before = former.rows()
        now = listing.rows()
        for name, row in before.items():
            if now.get(name) != row:
                self._touched.append(row[0])
        for name, row in now.items():
            if before.get(name) == row:
                continue
            self._touched.append(row[0])
            file = f"{prefix_of(path)}{name}"
            if name in before and file not in self._growing:
                self._growing[file] = Growing(row[1], row[0], self._now_ns, row[0])
                self._growing_in.setdefault(path, set()).add(file)

    def _come_to_rest(self, path: str, listing: Listing, former: Listing | None) -> None:
        """Keep apart the files of a folder that are not at rest."""
        lately = self._now_ns + self._tree.offset_ns - self._tree.settle_ns
        growing = {one.rpartition("/")[2] for one in self._growing_in.get(path, ())}
        suspects = growing.union(listing.written_after(lately))
        if not suspects:
            return
        now, before = listing.rows(), former.rows() if former is not None else {}
        for name in suspects:
            file = f"{prefix_of(path)}{name}"
            if name in now:
                self._observe(file, now[name], is_known=before.get(name) == now[name])
            elif name not in listing.links:
                self._growing.pop(file, None)

    def _observe(self, path: str, row: Row, *, is_known: bool) -> None:
        """Take note of a file that may still grow; one that was at rest, and is as it was, is.

        A file rests when those do that are read with it.
        """
        now, (mtime_ns, size, _) = self._now_ns, row
        before = self._growing.get(path)
        if before is None:
            if not is_known:
                self._growing[path] = Growing(size, mtime_ns, now, mtime_ns)
        elif (before.size, before.mtime_ns) != (size, mtime_ns) or (
            before.seen_ns < now and not is_known
        ):
            self._growing[path] = Growing(size, mtime_ns, now, before.began_ns, changed=True)
        elif now - before.seen_ns >= self._tree.settle_ns:
            del self._growing[path]
            self._touched.append(mtime_ns)
            if before.changed and before.began_ns < mtime_ns:
                self._touched.append(before.began_ns)
                self._grown[path] = before

    # --- links ---

    def _follow_links(
        self, known: dict[str, KnownFolder], left: set[str], hot: set[str] | None
    ) -> None:
        """Follow links out of the tree; each folder and file once, and none of what is in it."""
        folders = [os.path.realpath(self._tree.top)]
        files: dict[str, str] = {}
        while self._links:
            links = [(os.path.realpath(self._real(path)), path) for path in self._links]
            self._links = []
            for real, path in sorted(links, key=lambda one: (len(one[0]), one)):  # widest first
                if real in files or any(_is_below(real, one) for one in folders):
                    continue
                if _is_below(folders[0], real):
                    continue
                try:
                    status = os.stat(real)  # noqa: PTH116
                except OSError as error:
                    self._note(path, error, left)
                    if error.errno not in GONE:
                        files[real] = path
                    continue
                if stat.S_ISDIR(status.st_mode):
                    folders.append(real)
                    self._visit([path], known, left, hot)
                elif stat.S_ISREG(status.st_mode):
                    files[real] = path
        before = self._index.linked()
        self._keep_linked(before, self._linked(files.values(), before))

    def _look_again_at_linked(self, folders: Collection[str]) -> None:
        """Look at the files that links in some folders led to; new ones are for a whole look."""
        before = self._index.linked()
        again = {path for path in before if path.rpartition("/")[0] in folders}
        if again:
            now = {path: file for path, file in before.items() if path not in again}
            self._keep_linked(before, now | self._linked(again, before))

    def _linked(self, paths: Iterable[str], before: Linked) -> Linked:
        files, unreadable = linked_files(self._tree.root, paths, self._names, before)
        self.result.unreadable += unreadable
        return files

    def _keep_linked(self, before: Linked, now: Linked) -> None:
        """Keep the files that links lead to, apart from those that are not at rest."""
        lately = self._now_ns + self._tree.offset_ns - self._tree.settle_ns
        for path, file in now.items():
            is_known = before.get(path, file) == file
            latest = max([file.mtime_ns, *(mtime_ns for _, _, mtime_ns in file.beside)])
            if path in self._growing or latest > lately or not is_known:
                row = file.mtime_ns, file.size, file.beside
                self._observe(path, row, is_known=is_known and path in before)
        for path in before.keys() - now.keys():
            self._growing.pop(path, None)
        if before != now:
            changed = set(before.values()) ^ set(now.values())
            self._touched.extend(file.mtime_ns for file in changed)
            self._index.put_linked(now.values())

    def _keep(self) -> None:
        self._index.put_grown(self._grown)
        self._index.put_growing(self._growing)
        self._index.add_pending(self._touched)
        self.result.growing = self._growing


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")
