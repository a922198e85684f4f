"""The archive's catalogue: one entry per record, and lists of them by month.

In the records folder::

    uploaded/<record>.json          the entry of a record: it says whose file this is
    uploaded/sessions/<session>     the name of the session's record
    index/<month>/<number>.json     up to a hundred entries of the month, in the order of uploads

An upload reads and writes as many of them as there are above, however large the archive is. The
file of the session is written last and removed last: while it does not name the current record, an
upload is not done, and the next one does it again.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter, ValidationError

from nexuslims_shared.artifacts import resolve, write_artifact
from nexuslims_uploader.destination import RecordToUpload
from nexuslims_uploader.errors import UploaderError

FOLDER: Final = "uploaded"
MONTHS: Final = "index"
SESSIONS: Final = f"{FOLDER}/sessions"
ENTRIES_ON_A_PAGE: Final = 100

T = TypeVar("T")


class CatalogueError(UploaderError):
    """The catalogue was damaged."""


class Page(BaseModel):
    """Which list of which month an entry is on, ``2018-11`` and 1 for the oldest."""

    model_config = ConfigDict(frozen=True)

    month: str
    number: int


class EntryFields(BaseModel):
    """What the lists say of a record."""

    model_config = ConfigDict(frozen=True)

    session: str
    file: str
    title: str
    instrument: str
    start: AwareDatetime
    experimenters: tuple[str, ...]
    activities: int
    datasets: int
    preview: str
    """Of the first dataset that has one, below the data path; empty if none has."""


class Entry(EntryFields):
    """The entry of a record, and the list it is on."""

    page: Page

    @classmethod
    def of(cls, record: RecordToUpload, page: Page) -> "Entry":
        """Describe a record.

        Parameters
        ----------
        record
            The record.
        page
            The list it is on.
        """
        experiment, previews = record.experiment, record.previews
        return cls(
            session=record.session,
            file=record.file_name,
            title=record.title,
            instrument=experiment.instrument or record.instrument.name,
            start=record.start,
            experimenters=experiment.experimenters,
            activities=len(experiment.activities),
            datasets=sum(1 for _ in experiment.datasets()),
            preview=previews[0].path if previews else "",
            page=page,
        )


_ENTRY = TypeAdapter(Entry)
_ENTRIES = TypeAdapter(tuple[Entry, ...])


class Catalogue:
    """The catalogue of one archive; whoever changes it holds the archive's lock.

    Methods raise :class:`CatalogueError` if a file of the catalogue is damaged, and ``OSError`` or
    an error of artifacts if one cannot be read or written.

    Parameters
    ----------
    records
        The records folder.
    """

    def __init__(self, records: Path) -> None:
        self._records = records
        self._in_bulk = False

    def of_session(self, session: str) -> Entry | None:
        """Return the entry of a session's record, None if it has none."""
        try:
            name = resolve(self._records, f"{SESSIONS}/{session}").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        return self.of_file(name)

    def of_file(self, name: str) -> Entry | None:
        """Return the entry of the record in a file, None if there is none."""
        return self._read(_entry_path(name), _ENTRY)

    def add(self, entry: Entry) -> None:
        """Write the entry of a record: from now on the file is its session's."""
        self.put(_entry_path(entry.file), _line(entry).encode())

    def assign(self, entry: Entry) -> None:
        """Make a record the one of its session."""
        self.put(f"{SESSIONS}/{entry.session}", entry.file.encode())

    def remove(self, entry: Entry) -> None:
        """Remove the entry of a record."""
        resolve(self._records, _entry_path(entry.file)).unlink(missing_ok=True)

    def release(self, session: str) -> None:
        """Leave a session without a record."""
        resolve(self._records, f"{SESSIONS}/{session}").unlink(missing_ok=True)

    def months(self) -> list[str]:
        """Return the months that have records, oldest first."""
        folder = resolve(self._records, MONTHS)
        return sorted(one.name for one in folder.iterdir()) if folder.is_dir() else []

    def last_page(self, month: str) -> Page | None:
        """Return the newest list of a month, None if it has none; they are numbered from 1."""
        known, missing = 0, 1
        while self._has_page(month, missing):
            known, missing = missing, 2 * missing
        while missing - known > 1:
            middle = (known + missing) // 2
            known, missing = (middle, missing) if self._has_page(month, middle) else (known, middle)
        return Page(month=month, number=known) if known else None

    def _has_page(self, month: str, number: int) -> bool:
        page = Page(month=month, number=number)
        return resolve(self._records, _page_path(page)).exists()

    def page_with_room(self, month: str) -> Page:
        """Return the list of a month that a new entry goes to."""
        last = self.last_page(month)
        if last is None:
            return Page(month=month, number=1)
        if len(self.entries(last)) < ENTRIES_ON_A_PAGE:
            return last
        return Page(month=month, number=last.number + 1)

    def entries(self, page: Page) -> tuple[Entry, ...]:
        """Return the entries on a list."""
        return self._read(_page_path(page), _ENTRIES) or ()

    def put_on_page(self, entry: Entry) -> None:
        """Put an entry on its list, in the place of an earlier one of the session."""
        others = [one for one in self.entries(entry.page) if one.session != entry.session]
        self.put_page(entry.page, [*others, entry])

    def take_off_page(self, entry: Entry) -> None:
        """Take an entry off its list, if it is there; a month's newest list is not kept empty."""
        entries = self.entries(entry.page)
        others = [one for one in entries if one.session != entry.session]
        if len(others) < len(entries):
            self.put_page(entry.page, others)
        last = self.last_page(entry.page.month)
        while last is not None and not self.entries(last):
            resolve(self._records, _page_path(last)).unlink(missing_ok=True)
            last = self.last_page(entry.page.month)

    def put_page(self, page: Page, entries: Iterable[Entry]) -> None:
        """Write a list.

        Parameters
        ----------
        page
            The list.
        entries
            All that are on it.
        """
        lines = ",\n".join(map(_line, entries))
        self.put(_page_path(page), f"[\n{lines}\n]\n".encode())

    @contextmanager
    def in_bulk(self) -> Iterator[None]:
        """Write files that need not be safe before all of them are."""
        self._in_bulk = True
        try:
            yield
        finally:
            self._in_bulk = False

    def put(self, relative: str, content: bytes) -> None:
        """Write a file of the archive, unless it holds this already.

        Parameters
        ----------
        relative
            Path below the records folder.
        content
            The bytes.
        """
        target = resolve(self._records, relative)
        if self._in_bulk:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        elif not (target.is_file() and target.read_bytes() == content):
            write_artifact(self._records, relative, content)

    def _read(self, relative: str, shape: TypeAdapter[T]) -> T | None:
        path = resolve(self._records, relative)
        try:
            return shape.validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise CatalogueError(
                f"{path} is damaged ({first['msg']}): restore it from a backup"
            ) from error


def _line(entry: Entry) -> str:
    return json.dumps(entry.model_dump(mode="json"), ensure_ascii=False, sort_keys=True)


def _entry_path(file_name: str) -> str:
    return str(PurePosixPath(FOLDER, file_name).with_suffix(".json"))


def _page_path(page: Page) -> str:
    return f"{MONTHS}/{page.month}/{page.number}.json"
