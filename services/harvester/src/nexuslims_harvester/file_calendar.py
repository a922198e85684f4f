"""The file calendar: sessions in ``calendar.toml`` or ``calendar.json``."""

import asyncio
import json
import tomllib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from nexuslims_contracts.events import Project, Sample
from nexuslims_contracts.identifiers import digest
from nexuslims_harvester.calendar import (
    EVERYTHING,
    CalendarEntry,
    Entries,
    EntryProblem,
    Window,
)
from nexuslims_harvester.errors import CalendarUnavailableError
from nexuslims_shared.instruments import InstrumentEntry
from nexuslims_shared.people import Person
from nexuslims_shared.settings import Settings

_LOOK_AGAIN_S: Final = 1.0


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)


class SampleTable(_Strict):
    """A sample of a session; a text stands for its name."""

    id: str = ""
    name: str = ""
    ref: str = ""
    description: str = ""
    elements: tuple[str, ...] = ()


class SessionTable(_Strict):
    """One ``[[session]]`` table."""

    id: Annotated[str, Field(min_length=1)]
    instrument: Annotated[str, Field(min_length=1)]
    start: datetime
    end: datetime | None = None
    user: Person | None = None
    title: str = ""
    purpose: str = ""
    samples: tuple[SampleTable, ...] = ()
    projects: tuple[Project, ...] = ()
    collaborators: tuple[Person, ...] = ()
    consent: bool | None = None
    url: str = ""
    cancelled: bool = False

    @field_validator("user", mode="before")
    @classmethod
    def _user(cls, value: Any) -> Any:
        return {"username": value} if isinstance(value, str) else value

    @field_validator("collaborators", mode="before")
    @classmethod
    def _users(cls, value: Any) -> Any:
        return [cls._user(one) for one in value] if isinstance(value, list) else value

    @field_validator("samples", mode="before")
    @classmethod
    def _samples(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return [{"name": one} if isinstance(one, str) else one for one in value]

    @field_validator("projects", mode="before")
    @classmethod
    def _projects(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return [{"project_id": one} if isinstance(one, str) else one for one in value]

    @field_validator("consent", mode="before")
    @classmethod
    def _blank_is_no_answer(cls, value: Any) -> Any:
        return None if isinstance(value, str) and not value.strip() else value


class FileCalendar:
    """Sessions in a file, read again when it changes.

    Times without an offset are in the instrument's zone. One wrong entry does not stop the others.
    """

    def __init__(
        self, settings: Settings, instruments: Mapping[str, InstrumentEntry], name: str = "file"
    ) -> None:
        self.name = name
        self._path = settings.calendar_file
        self._instruments = instruments
        self._stamp: tuple[int, ...] | None = None

    async def entries(self, window: Window = EVERYTHING) -> Entries:
        """Return all sessions of the file; see the port."""
        del window
        return await asyncio.to_thread(self._read)

    async def changed(self) -> None:
        """Return when the file is another one, or gone, or back."""
        while await asyncio.to_thread(_stamp, self._path) == self._stamp:  # noqa: ASYNC110 - shares send no signals
            await asyncio.sleep(_LOOK_AGAIN_S)

    def _read(self) -> Entries:
        self._stamp = _stamp(self._path)
        try:
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
            raise CalendarUnavailableError(f"NX_CALENDAR_FILE={self._path}: {reason}") from error
        return read_entries(_parse(self._path, text), self._instruments)


def read_entries(document: Any, instruments: Mapping[str, InstrumentEntry]) -> Entries:
    """Read the sessions of a parsed calendar.

    Parameters
    ----------
    document
        A table with a list of tables ``session``.
    instruments
        By pid.
    """
    tables = document.get("session", []) if isinstance(document, Mapping) else None
    if not isinstance(tables, list):
        return [EntryProblem("calendar", "there must be a list of [[session]] tables")]
    entries: Entries = []
    ids: set[str] = set()
    for number, table in enumerate(tables, start=1):
        entry = _read_entry(number, table, instruments)
        if isinstance(entry, CalendarEntry):
            if entry.id in ids:
                entry = EntryProblem(f"session {entry.id}", "the id is there twice: change one")
            else:
                ids.add(entry.id)
        entries.append(entry)
    return _without_overlaps(entries)


def _parse(path: Path, text: str) -> Any:
    try:
        return json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise CalendarUnavailableError(f"{path} cannot be parsed: {error}") from error


def _read_entry(
    number: int, table: Any, instruments: Mapping[str, InstrumentEntry]
) -> CalendarEntry | EntryProblem:
    told = table.get("id") if isinstance(table, Mapping) else None
    label = f"session {told}" if told else f"session number {number}"
    try:
        session = SessionTable.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "table"
        return EntryProblem(label, f"{where}: {first['msg']}")
    instrument = instruments.get(session.instrument)
    if instrument is None:
        return EntryProblem(
            label, f"instrument {session.instrument!r} is not in the list of instruments"
        )
    zone = ZoneInfo(instrument.timezone)
    start, end = _placed(session.start, zone), _placed(session.end, zone)
    if start is None or (end is not None and end < start):
        return EntryProblem(label, f"it ends ({end}) before it starts ({start}): swap the times")
    if end == start:
        return EntryProblem(label, f"it starts and ends at {start}: it has no length")
    return _entry(session, instrument, start, end)


def _entry(
    session: SessionTable, instrument: InstrumentEntry, start: datetime, end: datetime | None
) -> CalendarEntry:
    return CalendarEntry(
        id=session.id,
        instrument=instrument,
        start=start,
        end=end,
        user=session.user,
        title=session.title,
        purpose=session.purpose,
        samples=tuple(
            Sample(
                id=sample.id or f"sample-{digest([session.id, str(number)])[:16]}",
                name=sample.name,
                ref=sample.ref,
                description=sample.description,
                elements=sample.elements,
            )
            for number, sample in enumerate(session.samples)
        ),
        projects=session.projects,
        collaborators=session.collaborators,
        consent=session.consent,
        url=session.url,
        cancelled=session.cancelled,
    )


def _without_overlaps(entries: Entries) -> Entries:
    """Keep the session that started first where two on one instrument overlap."""
    busy: dict[str, CalendarEntry] = {}
    refused: dict[str, EntryProblem] = {}
    sessions = [one for one in entries if isinstance(one, CalendarEntry) and not one.cancelled]
    for entry in sorted(sessions, key=lambda one: (one.start, one.id)):
        before = busy.get(entry.instrument.pid)
        if before is not None and (before.end is None or entry.start < before.end):
            refused[entry.id] = EntryProblem(
                f"session {entry.id}",
                f"it starts at {entry.start}, while session {before.id} is on"
                f" {entry.instrument.pid} until {before.end or 'further notice'}:"
                " correct one of them",
            )
        else:
            busy[entry.instrument.pid] = entry
    return [
        refused.get(entry.id, entry) if isinstance(entry, CalendarEntry) else entry
        for entry in entries
    ]


def _placed(moment: datetime | None, zone: ZoneInfo) -> datetime | None:
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=zone)


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
