"""The file calendar: sessions in ``calendar.toml`` or ``calendar.json``."""

import asyncio
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from nexuslims_contracts.events import Project, Sample
from nexuslims_contracts.identifiers import digest
from nexuslims_harvester.calendar import CalendarEntry, Entries, EntryProblem, Window, placed
from nexuslims_harvester.consent import ConsentReader
from nexuslims_harvester.errors import CalendarUnavailableError
from nexuslims_harvester.text import readable
from nexuslims_harvester.toml_parts import parse_in_parts
from nexuslims_harvester.watch import WatchedFile
from nexuslims_shared.instruments import InstrumentEntry
from nexuslims_shared.people import Person
from nexuslims_shared.settings import Settings


class _Strict(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        coerce_numbers_to_str=True,
        str_strip_whitespace=True,
        cache_strings="keys",  # the pages of those of a calendar of years could not be given back
    )


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
    consent: Any = None
    url: str = ""
    cancelled: bool = False

    @field_validator("start", "end", mode="before")
    @classmethod
    def _no_timestamps(cls, value: Any) -> Any:
        if isinstance(value, int | float):
            raise ValueError("a number is no date and time: write 2026-03-02T09:00:00")  # noqa: TRY004 - pydantic wants it
        return value

    @field_validator("user", mode="before")
    @classmethod
    def _user(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"username": value.strip()} if value.strip() else None
        return value

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

    @field_validator("samples")
    @classmethod
    def _each_sample_once(cls, value: tuple[SampleTable, ...]) -> tuple[SampleTable, ...]:
        given = [sample.id for sample in value if sample.id]
        if twice := sorted({one for one in given if given.count(one) > 1}):
            raise ValueError(f"the id {twice[0]!r} is there twice")
        return value


@dataclass(frozen=True, slots=True)
class Facility:
    """What an entry is read with: the instruments by pid, and the rule for consent."""

    instruments: Mapping[str, InstrumentEntry]
    consent: ConsentReader


class FileCalendar:
    """Sessions in a file, read again when it changes.

    Times without an offset are in the instrument's zone. One wrong entry does not stop the others.

    Parameters
    ----------
    name
        As instruments refer to it.
    settings
        Which file, and what is consent.
    instruments
        All of the facility, by pid.
    """

    def __init__(
        self, name: str, settings: Settings, instruments: Mapping[str, InstrumentEntry]
    ) -> None:
        self.name = name
        self._file = WatchedFile(settings.calendar_file)
        self._facility = Facility(instruments, ConsentReader.accepting(settings.consent_answers))

    async def entries(self, window: Window) -> Entries:
        """Return all sessions of the file; see the port."""
        del window  # the file is read whole anyway
        return await asyncio.to_thread(self._read)

    async def changed(self) -> None:
        """Return when the file has changed, vanished or come back, and nobody is writing it."""
        await self._file.changed()

    def _read(self) -> Entries:
        path = self._file.path
        try:
            content = self._file.read()
        except OSError as error:
            raise CalendarUnavailableError(
                f"NX_CALENDAR_FILE={path}: {error.strerror}: correct the path, or the file"
            ) from error
        return parse_entries(path, content, self._facility)


def parse_entries(path: Path, content: bytes, facility: Facility) -> Entries:
    """Read the sessions of a calendar's content.

    Parameters
    ----------
    path
        Its suffix tells the format: ``.json``, else TOML.
    content
        UTF-8, with or without a byte order mark.
    facility
        The instruments, and what is consent.

    Returns
    -------
    list of CalendarEntry or EntryProblem
        Where the file as a whole cannot be understood, one problem that names the line.
    """
    try:
        text = content.decode("utf-8-sig")
        if path.suffix.lower() == ".json":
            return _read_documents(path, [json.loads(text)], facility)
        try:
            return _read_documents(path, parse_in_parts(text), facility)
        except tomllib.TOMLDecodeError:
            return _read_documents(path, [tomllib.loads(text)], facility)
    except (ValueError, RecursionError) as error:
        return [EntryProblem(path.name, f"it cannot be read: {error}: correct the file")]


def _read_documents(path: Path, documents: Iterable[object], facility: Facility) -> Entries:
    reader, unknown = _TableReader(facility), set[str]()
    for document in documents:
        tables = document.get("session", []) if isinstance(document, Mapping) else None
        if not isinstance(document, Mapping) or not isinstance(tables, list):
            return [EntryProblem(path.name, "it must be a list of [[session]] tables: correct it")]
        for table in tables:
            reader.read(table)
        unknown |= document.keys() - {"session"}
    if unknown:
        named = readable(min(unknown))
        reason = f"it has sessions only, as [[session]] tables: correct {named!r}"
        reader.entries.append(EntryProblem(path.name, reason))
    return reader.entries


class _TableReader:
    """The entries of tables, one after the other."""

    def __init__(self, facility: Facility) -> None:
        self.entries: Entries = []
        self._facility = facility
        self._count = 0
        self._ids: set[str] = set()
        self._people: dict[Person, Person] = {}

    def read(self, table: object) -> None:
        """Add the entry of one more table, or what is wrong with it."""
        self._count += 1
        given = readable(str(table.get("id", "")).strip()) if isinstance(table, Mapping) else ""
        label = f"session {given}" if given else f"session number {self._count}"
        if given in self._ids:
            reason = f"number {self._count} has the id of an earlier one: give it another"
            self.entries.append(EntryProblem(label, reason))
            return
        if given:
            self._ids.add(given)
        entry = _read_entry(label, table, self._facility)
        self.entries.append(self._sharing(entry) if isinstance(entry, CalendarEntry) else entry)

    def _sharing(self, entry: CalendarEntry) -> CalendarEntry:
        """Return an entry with the people of earlier ones: the same few are there for years."""
        people = self._people
        return replace(
            entry,
            user=people.setdefault(entry.user, entry.user) if entry.user else None,
            collaborators=tuple(people.setdefault(one, one) for one in entry.collaborators),
        )


def _read_entry(label: str, table: object, facility: Facility) -> CalendarEntry | EntryProblem:
    try:
        session = SessionTable.model_validate(readable(table))
    except RecursionError:
        return EntryProblem(label, "it is nested too deeply: correct it")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "table"
        message = first["msg"].removeprefix("Value error, ")
        return EntryProblem(label, f"{where}: {message}: correct it")
    instrument = facility.instruments.get(session.instrument)
    if instrument is None:
        known = ", ".join(sorted(facility.instruments)) or "none"
        return EntryProblem(
            label, f"instrument {session.instrument!r} is not known ({known}): correct one of them"
        )
    zone = ZoneInfo(instrument.timezone)
    start = placed(session.start, zone)
    end = placed(session.end, zone) if session.end else None
    if end is not None and end < start:
        return EntryProblem(label, f"it ends ({end}) before it starts ({start}): swap the times")
    if end == start:
        return EntryProblem(label, f"it starts and ends at {start}, without length: correct one")
    consent, answer = _consent(session.consent, facility.consent)
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
        consent=consent,
        answer=answer,
        url=session.url,
        cancelled=session.cancelled,
    )


def _consent(answer: object, reader: ConsentReader) -> tuple[bool | None, str]:
    """TOML and JSON have a true and a false of their own, which no wording can be mistaken for."""
    return (answer, "") if isinstance(answer, bool) else reader.decide([answer])
