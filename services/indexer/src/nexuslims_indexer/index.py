"""What was seen of an instrument's folders: a local SQLite file that can be thrown away.

It makes looks cheap, and is never the truth: the log of events is. What is assumed of it: a folder
whose own times are the same holds the same names; and a file that was left alone for an hour
is rewritten under another name, not in place. The sweep lists everything, and so checks both.
"""

import json
import os
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Final

from nexuslims_contracts.paths import readable
from nexuslims_indexer.index_database import attributes, open_database
from nexuslims_indexer.listing import Listing
from nexuslims_indexer.model import Beside, FoundFile, Growing, KnownFolder, prefix_of

_MONTH_NS: Final = 31 * 86_400 * 10**9
_LARGEST: Final = 2**63 - 1


class FolderIndex:
    """The index of one instrument's folders, for one thread at a time.

    Parameters
    ----------
    path
        Where it is, or is made.
    signature
        Of the rules by which names are wanted: under other rules another index is made.

    Raises
    ------
    IndexInUseError
        If another indexer uses it.
    """

    def __init__(self, path: Path | str, signature: str) -> None:
        self._database = open_database(path, signature)
        self._last: tuple[str, Listing] | None = None

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def adopt(self, signature: str) -> None:
        """Go on under other rules by which names are wanted; what was seen is then forgotten.

        Parameters
        ----------
        signature
            Of the rules.
        """
        if attributes(self._database).get("signature") == signature:
            return
        self._last = None
        with self.changing():
            for table in ("folder", "linked", "growing", "grown", "pending", "swept"):
                self._database.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
            about = (signature, "signature")
            self._database.execute("UPDATE about SET value = ? WHERE name = ?", about)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Make all changes within, or none."""
        with self._database:
            self._database.execute("BEGIN")
            yield

    # --- folders ---

    def folders(self) -> dict[str, KnownFolder]:
        """Return all folders of a tree, by path."""
        rows = self._database.execute(
            "SELECT path, device, mtime_ns, ctime_ns, listed_ns, newest_ns, folders, links,"
            " length(names) FROM folder"
        )
        return {os.fsdecode(row[0]): _known(row[1:]) for row in rows}

    def folder(self, path: str) -> KnownFolder | None:
        """Return one folder."""
        row = self._database.execute(
            "SELECT device, mtime_ns, ctime_ns, listed_ns, newest_ns, folders, links, length(names)"
            " FROM folder WHERE path = ?",
            (os.fsencode(path),),
        ).fetchone()
        return _known(row) if row else None

    def listing(self, path: str) -> Listing | None:
        """Return the files of one folder, as they were listed last."""
        if self._last is not None and self._last[0] == path:
            return self._last[1]
        row = self._database.execute(
            "SELECT device, mtime_ns, names, times, sizes, shared, beside FROM folder"
            " WHERE path = ?",
            (os.fsencode(path),),
        ).fetchone()
        if row is None:
            return None
        listing = Listing(
            device=row[0],
            mtime_ns=row[1],
            names=_split(row[2]),
            times=array("q", row[3]),
            sizes=array("q", row[4]),
            shared={name: tuple(one) for name, one in json.loads(row[5]).items()},
            beside={name: _beside(many) for name, many in json.loads(row[6]).items()},
        )
        self._last = (path, listing)
        return listing

    def release(self) -> None:
        """Forget the folder that was read last: it may be a large one."""
        self._last = None

    def put(self, path: str, listing: Listing, listed_ns: int) -> None:
        """Keep what was found in a folder."""
        times = listing.times
        self._last = None
        self._database.execute(
            "INSERT OR REPLACE INTO folder VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                os.fsencode(path),
                listing.device,
                listing.mtime_ns,
                listing.ctime_ns,
                listed_ns,
                times[0] if times else None,
                listing.newest_ns,
                _joined(listing.folders),
                _joined(listing.links),
                _joined(listing.names),
                times.tobytes(),
                listing.sizes.tobytes(),
                json.dumps(listing.shared),
                json.dumps(listing.beside),
            ),
        )

    def remove(self, paths: Iterable[str]) -> None:
        """Forget folders."""
        self._last = None
        rows = ((os.fsencode(path),) for path in paths)
        self._database.executemany("DELETE FROM folder WHERE path = ?", rows)

    def swept_ns(self) -> int:
        """When everything was listed last, nanoseconds since the epoch; 0 for never."""
        row = self._database.execute("SELECT max(moment_ns) FROM swept").fetchone()
        return int(row[0] or 0)

    def set_swept(self, moment_ns: int) -> None:
        """Keep when everything was listed, and forget how files grew a month ago."""
        self._database.execute("DELETE FROM swept")
        self._database.execute("INSERT INTO swept VALUES (?)", (moment_ns,))
        self._database.execute("DELETE FROM grown WHERE mtime_ns < ?", (moment_ns - _MONTH_NS,))

    # --- files behind links, and growing ones ---

    def linked(self) -> dict[str, FoundFile]:
        """Return the files that only symbolic links lead to, by the path of the link."""
        rows = self._database.execute("SELECT mtime_ns, path, size, beside FROM linked")
        found = (
            FoundFile(row[0], os.fsdecode(row[1]), row[2], beside=_beside(json.loads(row[3])))
            for row in rows
        )
        return {file.path: file for file in found}

    def put_linked(self, files: Iterable[FoundFile]) -> None:
        """Keep the files that only links lead to; those kept before are forgotten."""
        self._database.execute("DELETE FROM linked")
        rows = (
            (os.fsencode(file.path), file.size, file.mtime_ns, json.dumps(file.beside))
            for file in files
        )
        self._database.executemany("INSERT INTO linked VALUES (?, ?, ?, ?)", rows)

    def growing(self) -> dict[str, Growing]:
        """Return the files that are not at rest, by path."""
        query = "SELECT path, size, mtime_ns, seen_ns, began_ns, changed FROM growing"
        rows = self._database.execute(query)
        return {
            os.fsdecode(row[0]): Growing(row[1], row[2], row[3], row[4], changed=bool(row[5]))
            for row in rows
        }

    def put_growing(self, files: dict[str, Growing]) -> None:
        """Keep which files are not at rest; those kept before are forgotten."""
        self._database.execute("DELETE FROM growing")
        rows = (
            (os.fsencode(path), one.size, one.mtime_ns, one.seen_ns, one.began_ns, one.changed)
            for path, one in files.items()
        )
        self._database.executemany("INSERT INTO growing VALUES (?, ?, ?, ?, ?, ?)", rows)

    def put_grown(self, files: dict[str, Growing]) -> None:
        """Keep when files that have come to rest were begun."""
        rows = ((os.fsencode(path), one.mtime_ns, one.began_ns) for path, one in files.items())
        self._database.executemany("INSERT OR REPLACE INTO grown VALUES (?, ?, ?)", rows)

    def put_touched(self, file: FoundFile, session: str) -> None:
        """Keep whose a file is that has only another time than before.

        Parameters
        ----------
        file
            As it is now.
        session
            The token of the session that has it; empty if its bytes are others.
        """
        row = (os.fsencode(file.path), file.size, file.mtime_ns, session)
        self._database.execute("INSERT OR REPLACE INTO touched VALUES (?, ?, ?, ?)", row)

    def touched(self) -> list[tuple[FoundFile, str]]:
        """Return the files that were looked into because of another time, and whose they are."""
        rows = self._database.execute("SELECT mtime_ns, path, size, session FROM touched")
        return [(FoundFile(row[0], os.fsdecode(row[1]), row[2]), row[3]) for row in rows]

    # --- what is to be decided ---

    def claims(self) -> tuple[str, str]:
        """Return by which rules files were given to sessions last, and which wait; or nothing."""
        row = self._database.execute("SELECT rules, held FROM claimed").fetchone()
        return (str(row[0]), str(row[1])) if row else ("", "")

    def put_claims(self, rules: str, held: str = "") -> None:
        """Keep by which rules files were given to sessions.

        Parameters
        ----------
        rules
            These.
        held
            Those that are set, and wait for an operator.
        """
        with self.changing():
            self._database.execute("DELETE FROM claimed")
            self._database.execute("INSERT INTO claimed VALUES (?, ?)", (rules, held))

    def doubtful(self) -> set[str]:
        """Return the sessions to decide again about, though nothing near them changed."""
        return {session for (session,) in self._database.execute("SELECT session FROM doubtful")}

    def put_doubtful(self, sessions: Iterable[str]) -> None:
        """Keep the sessions to decide again about; those kept before are forgotten."""
        with self.changing():
            self._database.execute("DELETE FROM doubtful")
            rows = ((session,) for session in sessions)
            self._database.executemany("INSERT INTO doubtful VALUES (?)", rows)

    def add_pending(self, times: "array[int]") -> None:
        """Keep times of files that came, changed or went, until it is decided whose they are."""
        if times:
            self._database.execute("INSERT INTO pending (times) VALUES (?)", (times.tobytes(),))

    def pending(self) -> tuple[int, "array[int]"]:
        """Return what is to be decided, and the number to settle it by."""
        last, times = 0, array("q")
        query = "SELECT id, times FROM pending ORDER BY id"
        for number, packed in self._database.execute(query):
            last = number
            times.frombytes(packed)
        return last, times

    def settle_pending(self, number: int) -> None:
        """Forget what was decided."""
        with self._database:
            self._database.execute("DELETE FROM pending WHERE id <= ?", (number,))

    # --- files ---

    def files(self, low_ns: int, high_ns: int) -> Iterator[FoundFile]:
        """Return the files at rest that were last written, or begun, in a span; in no order.

        Parameters
        ----------
        low_ns, high_ns
            The span: after the first, not after the second; nanoseconds since the epoch.
        """
        growing = self.growing()
        grown = self._grown(low_ns, high_ns)
        names: dict[tuple[int, ...], list[FoundFile]] = {}
        for file, inode in self._within(low_ns, high_ns):
            if file.path in growing:
                continue
            if inode is None:
                yield _begun(file, grown)
            else:
                names.setdefault((*inode, file.size, file.mtime_ns), []).append(file)
        for (_, _, links, *_), files in names.items():
            # several names of one file: the first counts; more than it has are several files
            for file in files if len(files) > links else [min(files)]:
                yield _begun(file, grown)
        for path, (mtime_ns, _) in list(grown.items()):
            later = self.locate([path]).get(path) if path not in growing else None
            if later is not None and later.mtime_ns == mtime_ns:
                yield _begun(later, grown)

    def below(self, folder: str) -> Iterator[FoundFile]:
        """Return the files at rest in a folder and those below it."""
        growing = self.growing()
        low, high = os.fsencode(f"{folder}/"), os.fsencode(f"{folder}0")  # "0" follows "/"
        rows = self._database.execute(
            "SELECT path FROM folder WHERE path = ? OR path > ? AND path < ?",
            (os.fsencode(folder), low, high),
        ).fetchall()
        for (path,) in rows:
            for file in self.files_in(os.fsdecode(path)):
                if file.path not in growing:
                    yield file

    def changed_since(self, moment_ns: int) -> list[str]:
        """Return the folders in which names changed after a time, nanoseconds since the epoch."""
        query = "SELECT path FROM folder WHERE max(mtime_ns, ctime_ns) > ?"
        rows = self._database.execute(query, (moment_ns,))
        return [os.fsdecode(path) for (path,) in rows]

    def files_in(self, folder: str) -> list[FoundFile]:
        """Return the files of one folder, at rest or not."""
        found = self._of_folder(os.fsencode(folder), -_LARGEST - 1, _LARGEST)
        return [file for file, _ in found]

    def named(self, names: Iterable[str]) -> list[str]:
        """Return the folders that have one of some names, which are given in lower case."""
        wanted = set(names)
        rows = self._database.execute("SELECT path FROM folder")
        paths = (os.fsdecode(path) for (path,) in rows)
        return [path for path in paths if path.rpartition("/")[2].lower() in wanted]

    def locate(self, paths: Iterable[str]) -> dict[str, FoundFile]:
        """Return the files that are at some paths now, at rest or not."""
        found: dict[str, FoundFile] = {}
        linked = self.linked()
        for folder, group in groupby(sorted(paths), key=lambda path: path.rpartition("/")[0]):
            listing = self.listing(folder)
            places = {name: place for place, name in enumerate(listing.names)} if listing else {}
            for path in group:
                place = places.get(path.rpartition("/")[2])
                if listing is not None and place is not None:
                    mtime_ns, size, beside = listing.row(place)
                    found[path] = FoundFile(mtime_ns, path, size, beside=beside)
                elif path in linked:
                    found[path] = linked[path]
        return found

    def companions(self, paths: Iterable[str]) -> set[str]:
        """Return those of some paths at which a file is that is read with another one."""
        found: set[str] = set()
        linked = list(self.linked().values())
        for folder, group in groupby(sorted(paths), key=lambda path: path.rpartition("/")[0]):
            listing = self.listing(folder)
            beside = list(listing.beside.values()) if listing else []
            beside += [one.beside for one in linked if one.path.rpartition("/")[0] == folder]
            names = {name for many in beside for name, _, _ in many}
            found.update(path for path in group if readable(path.rpartition("/")[2]) in names)
        return found

    def later_than(self, moment_ns: int) -> list[FoundFile]:
        """Return the files whose times are after a moment, for example after now."""
        return [file for file, _ in self._within(moment_ns, _LARGEST)]

    def count(self) -> int:
        """Return how many files are known of a tree."""
        query = "SELECT coalesce(sum(length(times)), 0) FROM folder"
        return int(self._database.execute(query).fetchone()[0]) // 8

    def _within(
        self, low_ns: int, high_ns: int
    ) -> Iterator[tuple[FoundFile, tuple[int, int, int] | None]]:
        rows = self._database.execute(
            "SELECT path FROM folder WHERE newest_ns > ? AND oldest_ns <= ? ORDER BY path",
            (low_ns, high_ns),
        ).fetchall()
        for (path,) in rows:
            yield from self._of_folder(path, low_ns, high_ns)
        for file in self.linked().values():
            if low_ns < file.mtime_ns <= high_ns:
                yield file, None

    def _of_folder(
        self, path: bytes, low_ns: int, high_ns: int
    ) -> Iterator[tuple[FoundFile, tuple[int, int, int] | None]]:
        folder = os.fsdecode(path)
        listing, prefix = self.listing(folder), prefix_of(folder)
        if listing is None:
            return
        beside = listing.beside
        first = bisect_right(listing.times, low_ns)
        last = bisect_right(listing.times, high_ns)
        for place in range(first, last):
            name = listing.names[place]
            read_with = beside.get(name, ()) if beside else ()
            size = listing.sizes[place]
            file = FoundFile(listing.times[place], f"{prefix}{name}", size, 0, read_with)
            yield file, listing.shared.get(name)

    def _grown(self, low_ns: int, high_ns: int) -> dict[str, tuple[int, int]]:
        rows = self._database.execute(
            "SELECT path, mtime_ns, began_ns FROM grown"
            " WHERE mtime_ns > ? AND mtime_ns <= ? OR began_ns > ? AND began_ns <= ?",
            (low_ns, high_ns, low_ns, high_ns),
        )
        return {os.fsdecode(path): (mtime_ns, began_ns) for path, mtime_ns, began_ns in rows}


def _known(row: Sequence[object]) -> KnownFolder:
    device, mtime_ns, ctime_ns, listed_ns, newest_ns, folders, links, length = row
    return KnownFolder(
        device=device,  # type: ignore[arg-type]
        mtime_ns=mtime_ns,  # type: ignore[arg-type]
        ctime_ns=ctime_ns,  # type: ignore[arg-type]
        listed_ns=listed_ns,  # type: ignore[arg-type]
        newest_ns=newest_ns or 0,  # type: ignore[arg-type]
        folders=_split(folders),  # type: ignore[arg-type]
        links=_split(links),  # type: ignore[arg-type]
        has_files=bool(length),
    )


def _beside(many: Iterable[tuple[str, int, int]]) -> Beside:
    return tuple([(name, size, mtime_ns) for name, size, mtime_ns in many])


def _begun(file: FoundFile, grown: dict[str, tuple[int, int]]) -> FoundFile:
    """Add when a file was begun; what is known of it is used up."""
    mtime_ns, began_ns = grown.pop(file.path, (0, 0))
    return replace(file, began_ns=began_ns) if mtime_ns == file.mtime_ns else file


def _joined(names: Sequence[str]) -> bytes:
    return os.fsencode("\0".join(names))


def _split(packed: bytes) -> tuple[str, ...]:
    return tuple(os.fsdecode(packed).split("\0")) if packed else ()
