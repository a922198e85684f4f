"""The local archive: copies of the records, and pages that a person can open without a server.

In the records folder, beside the files of the catalogue::

    index.html                     the newest records, and the months
    index/<month>/index.html       the newest records of a month, up to a hundred
    index/<month>/<number>.html    the earlier ones, a hundred each
    uploaded/<record>.xml          a record, byte for byte
    uploaded/<record>.html         the same for people, with pictures
"""

import asyncio
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final, TypeVar
from urllib.parse import quote

from nexuslims_shared.artifacts import keep_aside, resolve
from nexuslims_shared.errors import ArtifactError
from nexuslims_shared.leases import ensure_held
from nexuslims_shared.settings import Settings
from nexuslims_uploader.catalogue import FOLDER, MONTHS, Catalogue, CatalogueError, Entry, Page
from nexuslims_uploader.catalogue_migration import forget_former, former_entries, take_over
from nexuslims_uploader.destination import Holding, RecordToUpload, UploadResult
from nexuslims_uploader.errors import PermanentUploadError, TransientUploadError
from nexuslims_uploader.pages import index_page, month_page, record_page

R = TypeVar("R")

INDEX: Final = "index.html"


def create(settings: Settings) -> "ArchiveDestination":
    """Make the destination."""
    return ArchiveDestination(settings.records, settings.data_path)


class ArchiveDestination:
    """Keeps records in a folder.

    Several processes may share it: a lock in the folder lets one at a time change it, and every
    file is there whole or not at all. An upload costs the same however many records there are.

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
        self._catalogue = Catalogue(records)

    async def check(self) -> list[str]:
        """Say what would keep a record from being written."""
        return await asyncio.to_thread(self._check)

    async def upload(
        self, record: RecordToUpload, previous: Mapping[str, UploadResult]
    ) -> UploadResult:
        """Copy the record, write its page and renew the lists it is on; see the port.

        Parameters
        ----------
        record
            The record.
        previous
            Not used: the archive knows where its records are.
        """
        del previous
        return await self._at_work(self._store, record)

    async def inspect(
        self, record: RecordToUpload, previous: Mapping[str, UploadResult]
    ) -> Holding:
        """Look whether the record, its page and its entry are there; see the port.

        Parameters
        ----------
        record
            The record.
        previous
            Not used: the archive knows where its records are.
        """
        del previous
        return await self._at_work(self._inspect, record)

    async def withdraw(self, record: RecordToUpload, previous: Mapping[str, UploadResult]) -> None:
        """Remove the record and its page, and renew the lists it was on; see the port.

        Parameters
        ----------
        record
            The record.
        previous
            Not used: the archive knows where its records are.
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
            former_entries(self._records)
            for month in self._catalogue.months()[-1:]:
                self._newest(month)
        except (OSError, CatalogueError) as error:
            return [str(error)]
        return []

    def _store(self, record: RecordToUpload) -> UploadResult:
        page_file = str(PurePosixPath(FOLDER, record.file_name).with_suffix(".html"))
        html = record_page(record, home=f"../{INDEX}", previews=self._link(self._records / FOLDER))
        with self._locked():
            former = self._former(record)
            month = f"{record.start:%Y-%m}"
            stays = former is not None and former.page.month == month
            page = former.page if former and stays else self._catalogue.page_with_room(month)
            if former is not None and not stays:
                self._unlist(former)  # its entry still says where it was: a crash is made good
            entry = Entry.of(record, page)
            if former is None:
                self._keep_strangers(record, page_file)
            self._catalogue.add(entry)
            self._catalogue.put(f"{FOLDER}/{record.file_name}", record.xml)
            self._catalogue.put(page_file, html)
            self._catalogue.put_on_page(entry)
            self._show(entry.page)
            if former is not None and former.file != record.file_name:
                self._remove(former)
            self._catalogue.assign(entry)
        url = resolve(self._records, page_file).resolve().as_uri()
        return UploadResult(record_id=record.session, url=url)

    def _keep_strangers(self, record: RecordToUpload, page_file: str) -> None:
        """Keep files of another system that have the names of the record's."""
        keep_aside(self._records, f"{FOLDER}/{record.file_name}", ours=record.xml.__eq__)
        keep_aside(self._records, page_file, ours=lambda _: False)

    def _former(self, record: RecordToUpload) -> Entry | None:
        """Return the entry of the session's record, also of one whose upload was cut short.

        Raises
        ------
        PermanentUploadError
            If the record's file is another session's.
        """
        same_file = self._catalogue.of_file(record.file_name)
        if same_file is not None and same_file.session != record.session:
            raise PermanentUploadError(
                f"{record.file_name} is the record of session {same_file.session} there",
                destination=self.name,
                session=record.session,
                remedy="rename one of them in its calendar, then retry",
            )
        return self._catalogue.of_session(record.session) or same_file

    def _inspect(self, record: RecordToUpload) -> Holding:
        """Nobody edits what is here: what differs is damaged, and is to be written again."""
        entry = self._catalogue.of_session(record.session)
        path = resolve(self._records, f"{FOLDER}/{record.file_name}")
        is_there = (
            entry is not None
            and entry.file == record.file_name
            and path.is_file()
            and path.read_bytes() == record.xml
            and path.with_suffix(".html").is_file()
            and any(one.session == record.session for one in self._catalogue.entries(entry.page))
        )
        return "current" if is_there else "missing"

    def _take_out(self, record: RecordToUpload) -> None:
        with self._locked():
            same_file = self._catalogue.of_file(record.file_name)
            for entry in (self._catalogue.of_session(record.session), same_file):
                if entry is not None and entry.session == record.session:
                    self._unlist(entry)
                    self._remove(entry)
            self._catalogue.release(record.session)

    def _remove(self, entry: Entry) -> None:
        """Remove a record, its page, and at last its entry."""
        path = resolve(self._records, f"{FOLDER}/{entry.file}")
        path.unlink(missing_ok=True)
        path.with_suffix(".html").unlink(missing_ok=True)
        self._catalogue.remove(entry)

    def _unlist(self, entry: Entry) -> None:
        self._catalogue.take_off_page(entry)
        self._show(entry.page)

    def _show(self, page: Page) -> None:
        """Write the pages on which a list can be seen, after it was changed."""
        last = self._catalogue.last_page(page.month)
        folder = resolve(self._records, f"{MONTHS}/{page.month}")
        if last is None:
            shutil.rmtree(folder, ignore_errors=not folder.exists())
        else:
            earlier = {page.number} if page.number < last.number else set()
            if not (folder / f"{last.number - 1}.html").exists():
                earlier.add(last.number - 1)
            for number in sorted(earlier - {0}):
                self._put_page(Page(month=page.month, number=number), f"{number}.html")
            self._put_page(last, INDEX)
            for number in range(last.number, page.number + 1):
                (folder / f"{number}.html").unlink(missing_ok=True)
        self._put_index()

    def _put_page(self, page: Page, name: str) -> None:
        folder = f"{MONTHS}/{page.month}"
        previews = self._link(self._records / folder)
        html = month_page(page, self._catalogue.entries(page), FOLDER, previews)
        self._catalogue.put(f"{folder}/{name}", html)

    def _put_index(self) -> None:
        months = self._catalogue.months()
        newest = self._newest(months[-1]) if months else ()
        html = index_page(newest, months, FOLDER, self._link(self._records))
        self._catalogue.put(INDEX, html)

    def _newest(self, month: str) -> tuple[Entry, ...]:
        last = self._catalogue.last_page(month)
        return self._catalogue.entries(last) if last else ()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the archive for this thread; a lock of a dead process is none.

        A process that was stopped on the way here has nothing to do here any more; one that was
        stopped further on has the lock, and whoever does its work comes after it.
        """
        folder = self._records / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            ensure_held()
            self._take_over_former()
            yield

    def _take_over_former(self) -> None:
        """Bring an archive of release 0.1 into today's form."""
        entries = former_entries(self._records)
        if entries is None:
            return
        take_over(entries, self._catalogue)
        for month in self._catalogue.months():
            last = self._catalogue.last_page(month)
            for number in range(1, last.number if last else 1):
                self._put_page(Page(month=month, number=number), f"{number}.html")
            if last is not None:
                self._put_page(last, INDEX)
        self._put_index()
        forget_former(self._records)

    def _link(self, folder: Path) -> str:
        """Relative address of the data folder, as seen from a page in another one."""
        return quote(Path(os.path.relpath(self._data.resolve(), folder.resolve())).as_posix())
