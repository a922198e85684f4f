"""Where the real microscope files for tests are, and how to get at one.

They are looked for in ``$NEXUSLIMS_CORPUS``, in ``../shared/corpus`` beside the checkout, and in
the cache that ``make corpus`` fills. All three have a ``MANIFEST.json`` with an entry per file: its
members, the primary one first, and the archive they are stored in.
"""

import gzip
import json
import os
import shutil
import tarfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

MANIFEST = "MANIFEST.json"
SMALL = "small"
"""The kind of corpus that ``make corpus`` makes."""
SESSION_ENTRY = "tree__record_titan_20181113.tar.gz"
"""The files of Titan_TEM on 2018-11-13; 14 of them belong to the session of that day."""

_CHECKOUT = Path(__file__).resolve().parents[1]
_SMALL_BYTES = 500_000


class MissingEntryError(Exception):
    """The corpus at hand does not have an entry.

    Attributes
    ----------
    entry
        What it does not have.
    """

    def __init__(self, entry: str) -> None:
        super().__init__(f"this corpus has no {entry}")
        self.entry = entry


def cache_folder() -> Path:
    """Where ``make corpus`` puts the files."""
    configured = os.environ.get("NEXUSLIMS_CORPUS_CACHE")
    return Path(configured) if configured else Path.home() / ".cache" / "nexuslims" / "corpus"


def find_corpus() -> "Corpus | None":
    """Return the first corpus that is there."""
    configured = os.environ.get("NEXUSLIMS_CORPUS")
    places = (
        [Path(configured)]
        if configured
        else [_CHECKOUT.parent / "shared" / "corpus", cache_folder()]
    )
    return next((Corpus(place) for place in places if (place / MANIFEST).is_file()), None)


def require_corpus() -> "Corpus":
    """Return the corpus, for commands that cannot do without.

    Raises
    ------
    SystemExit
        If there is none; the message says how to get it.
    """
    corpus = find_corpus()
    if corpus is None:
        raise SystemExit("there is no corpus of real files: run `make corpus`")
    return corpus


@dataclass(frozen=True)
class Corpus:
    """A folder of real files with a manifest."""

    folder: Path

    @cached_property
    def _manifest(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
        return document

    @cached_property
    def _entries(self) -> dict[str, dict[str, Any]]:
        return {_name(entry["id"]): entry for entry in self._manifest["entries"]}

    @property
    def is_small(self) -> bool:
        """Whether this is the corpus of ``make corpus``, which has the incumbent's files only."""
        return self._manifest.get("set") == SMALL

    def small_dm_files(self) -> list[Path]:
        """Return the small DM3 and DM4 files that are stored as they are."""
        files = sorted((self.folder / "files").glob("**/*.dm[34]"))
        return [file for file in files if file.stat().st_size <= _SMALL_BYTES]

    def formats(self) -> dict[str, str]:
        """Return the entries that are one file, or have a primary one, with their formats."""
        entries = (entry for entry in self._entries.values() if "primary" in entry)
        return {entry["id"]: entry["format"] for entry in entries}

    def unpack_all(self, into: Path) -> list[Path]:
        """Write every entry below a folder of its own, and return all files."""
        for name in self._entries:
            self.unpack(name, into / name)
        return sorted(path for path in into.rglob("*") if path.is_file())

    def unpack(self, entry_id: str, into: Path) -> Path:
        """Write an entry's members below a folder, archived ones with their modification times.

        Parameters
        ----------
        entry_id
            ``<format>__<name>``, as in the manifest; an id without format will do.
        into
            The folder.

        Returns
        -------
        pathlib.Path
            The entry's primary file; the folder itself for a tree of files.

        Raises
        ------
        MissingEntryError
            If this corpus does not have it.
        """
        entry = self._entry(entry_id)
        if "stored" in entry:
            _unpack_stored(self.folder / entry["stored"], _names(entry), into)
        else:
            for member in entry["members"]:
                _copy(self.folder / member["path"], member, into / member["name"])
        return into / entry["members"][0]["name"] if "primary" in entry else into

    def session_files(self, into: Path) -> Path:
        """Write the files of Titan_TEM below a folder, and return it.

        The archive holds 13 of the 14 files of the incumbent's record. The other, ``multi_signal``,
        is a copy of ``image_008.dm3`` there: same metadata, same second. Left out are texts that
        only have the name of a picture: the incumbent does not read pictures, so its record lacks
        them.
        """
        self.unpack(SESSION_ENTRY, into)
        for picture in into.rglob("test_include.jp*g"):
            picture.unlink()
        image = next(into.rglob("image_008.dm3"))
        shutil.copy2(image, image.with_name("multi_signal_file_001.dm3"))
        return into

    def record(self, name: str) -> Path:
        """Return a record or schema kept for comparison."""
        path = self.folder / "records" / name
        if not path.is_file():
            raise MissingEntryError(f"records/{name}")
        return path

    def _entry(self, entry_id: str) -> dict[str, Any]:
        try:
            return self._entries[_name(entry_id)]
        except KeyError:
            raise MissingEntryError(entry_id) from None


def _name(entry_id: str) -> str:
    """Leave out the format: the small corpus of ``make corpus`` does not know it."""
    return entry_id.partition("__")[2] or entry_id


def _names(entry: dict[str, Any]) -> list[str]:
    return [member["name"] for member in entry["members"]]


def _copy(source: Path, member: dict[str, Any], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if member.get("encoding") == "gzip":
        with gzip.open(source) as packed, target.open("wb") as out:
            shutil.copyfileobj(packed, out)
    else:
        shutil.copyfile(source, target)


def _unpack_stored(archive: Path, names: list[str], into: Path) -> None:
    """Take the wanted members out of an archive; some "archives" are the file itself."""
    if not tarfile.is_tarfile(archive):
        (member,) = names
        _copy(archive, {}, into / member)
        return
    with tarfile.open(archive) as stream:
        for item in stream:
            name = next((n for n in names if f"/{item.name}".endswith(f"/{n}")), None)
            if item.isfile() and name is not None:
                target = into / name
                target.parent.mkdir(parents=True, exist_ok=True)
                stream.makefile(item, target)
                os.utime(target, (item.mtime, item.mtime))
