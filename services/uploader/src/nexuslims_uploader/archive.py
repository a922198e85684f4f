"""The local archive: copies of the records, and pages that a person can open without a server.

In the records folder::

    index.html                 all records, newest first
    uploaded/<record>.xml      a record, byte for byte
    uploaded/<record>.html     the same for people, with pictures
    uploaded/catalogue.json    what the index is made of
"""

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final, TypeVar
from urllib.parse import quote

from nexuslims_shared.artifacts import resolve, write_artifact
from nexuslims_shared.errors import ArtifactError
from nexuslims_shared.settings import Settings
from nexuslims_uploader.catalogue import CatalogueError, Entry, read_catalogue, to_bytes
from nexuslims_uploader.destination import RecordToUpload, UploadResult
from nexuslims_uploader.errors import PermanentUploadError, TransientUploadError
from nexuslims_uploader.pages import index_page, record_page

R = TypeVar("R")

FOLDER: Final = "uploaded"
CATALOGUE: Final = f"{FOLDER}/catalogue.json"
INDEX: Final = "index.html"


def create(settings: Settings) -> "ArchiveDestination":
    """Make the destination."""
    return ArchiveDestination(settings.records, settings.data_path)


class ArchiveDestination:
    """Keeps records in a folder.

    Several processes may share it: a lock in the folder lets one at a time change it, and every
    file is there whole or not at all.

    Parameters
    ----------
    records
        The records folder.
    data
        The data folder, to which previews are relative; it may lie elsewhere.
    """

    name = "archive"
    priority = 200
    """Before all others: it is near, and what they show can link to it."""
    one_at_a_time = False

    def __init__(self, records: Path, data: Path) -> None:
        self._records = records
        self._data = data

    async def check(self) -> list[str]:
        """Say what would keep a record from being written."""
        return await asyncio.to_thread(self._check)

    async def upload(
        self, record: RecordToUpload, previous: Mapping[str, UploadResult]
    ) -> UploadResult:
        """Copy the record, write its page and renew the index; see the port.

        Parameters
        ----------
        record
            The record.
        previous
            Where the session's record is by what the events say, by destination.
        """
        del previous
        return await self._at_work(self._store, record)

    async def withdraw(self, record: RecordToUpload, previous: Mapping[str, UploadResult]) -> None:
        """Remove the record and its page, and renew the index; see the port.

        Parameters
        ----------
        record
            The record.
        previous
            Where the session's record is by what the events say, by destination.
        """
        del previous
        await self._at_work(self._take_out, record)

    async def close(self) -> None:
        """Do nothing: nothing stays open."""

    async def _at_work(self, work: Callable[[RecordToUpload], R], record: RecordToUpload) -> R:
        try:
            return await asyncio.to_thread(work, record)
        except (OSError, ArtifactError, CatalogueError) as error:
            raise TransientUploadError(
                str(error),
                destination=self.name,
                session=record.session,
                remedy=f"see to space and permissions below {self._records}",
            ) from error

    def _check(self) -> list[str]:
        folder = self._records / FOLDER
        nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not os.access(nearest, os.W_OK | os.X_OK):
            return [f"{nearest} is not writable: correct its permissions, or NX_RECORDS_PATH"]
        try:
            read_catalogue(resolve(self._records, CATALOGUE))
        except (OSError, CatalogueError) as error:
            return [str(error)]
        return []

    def _store(self, record: RecordToUpload) -> UploadResult:
        page = PurePosixPath(FOLDER, record.file_name).with_suffix(".html")
        html = record_page(record, home=f"../{INDEX}", previews=self._link(self._records / FOLDER))
        with self._locked():
            entries = read_catalogue(resolve(self._records, CATALOGUE))
            former = entries.get(record.session)
            self._refuse_taken_name(record, entries)
            self._put(f"{FOLDER}/{record.file_name}", record.xml)
            self._put(str(page), html)
            if former is not None and former.file != record.file_name:
                # Before the catalogue forgets the name: a crash here is made good by the next try.
                self._remove(former)
            entries[record.session] = Entry.of(record)
            self._list(entries)
        url = resolve(self._records, str(page)).resolve().as_uri()
        return UploadResult(record_id=record.session, url=url)

    def _take_out(self, record: RecordToUpload) -> None:
        with self._locked():
            entries = read_catalogue(resolve(self._records, CATALOGUE))
            former = entries.pop(record.session, None)
            if former is not None:
                self._remove(former)
                self._list(entries)
            elif all(entry.file != record.file_name for entry in entries.values()):
                self._remove(Entry.of(record))  # a crash may have come before the catalogue

    def _list(self, entries: Mapping[str, Entry]) -> None:
        self._put(CATALOGUE, to_bytes(entries))
        self._put(INDEX, index_page(entries.values(), FOLDER, self._link(self._records)))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the archive for this thread; a lock of a dead process is none."""
        folder = self._records / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _refuse_taken_name(self, record: RecordToUpload, entries: Mapping[str, Entry]) -> None:
        for entry in entries.values():
            if entry.file == record.file_name and entry.session != record.session:
                raise PermanentUploadError(
                    f"{record.file_name} is the record of session {entry.session} there",
                    destination=self.name,
                    session=record.session,
                    remedy="rename one of them in its calendar, then retry",
                )

    def _put(self, relative: str, content: bytes) -> None:
        """Write a file, unless it holds this already."""
        target = resolve(self._records, relative)
        if not (target.is_file() and target.read_bytes() == content):
            write_artifact(self._records, relative, content)

    def _remove(self, former: Entry) -> None:
        path = resolve(self._records, f"{FOLDER}/{former.file}")
        path.unlink(missing_ok=True)
        path.with_suffix(".html").unlink(missing_ok=True)

    def _link(self, folder: Path) -> str:
        """Relative address of the data folder, as seen from a page in another one."""
        return quote(Path(os.path.relpath(self._data.resolve(), folder.resolve())).as_posix())
