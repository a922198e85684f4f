"""What the tests of the harvester have in common."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from nexuslims_contracts.dead_letters import DeadLetter
from nexuslims_contracts.envelope import Recorded, envelop
from nexuslims_contracts.events import Event
from nexuslims_harvester.calendar import CalendarEntry
from nexuslims_harvester.decide import decide
from nexuslims_harvester.harvest import Harvest
from nexuslims_harvester.harvested import HarvestedSessions
from nexuslims_harvester.nemo.calendar import NemoCalendar
from nexuslims_harvester.nemo.client import NemoClient
from nexuslims_shared.bucket import MemoryBucket
from nexuslims_shared.calendar_notes import CalendarNotes
from nexuslims_shared.dead_letters import MemoryDeadLetters
from nexuslims_shared.instruments import InstrumentEntry, read_instruments
from nexuslims_shared.people import MemoryPeople, Person
from nexuslims_shared.service import ServiceContext
from nexuslims_shared.session.state import SessionState, fold
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.memory import MemoryEventStore

START = datetime(2026, 3, 2, 16, tzinfo=UTC)
END = START + timedelta(hours=3)
NOW = START + timedelta(days=1)

INSTRUMENTS = """\
[[instrument]]
pid = "FEI-Titan-TEM"
filestore_path = "Titan"
timezone = "America/Denver"

[[instrument]]
pid = "FEI-Quanta-SEM"
filestore_path = "Quanta"
"""


class MessageProcessor:
    """A session that a calendar speaks of again and again."""

    def __init__(self, titan: InstrumentEntry) -> None:
        self.titan = titan
        self.recorded: list[Recorded] = []

    def entry(self, **changes) -> CalendarEntry:
        """A session that is over, its user consenting, but for some changes."""
        usual = {
            "id": "1",
            "instrument": self.titan,
            "start": START,
            "end": END,
            "user": Person(username="ned"),
            "title": "Gold",
            "consent": True,
        }
        return CalendarEntry(**{**usual, **changes})

    @property
    def state(self) -> SessionState:
        return fold(self.recorded)

    def hear(self, entry: CalendarEntry, now: datetime = NOW) -> list[Event]:
        """Take what an entry means into the log."""
        people = [*([entry.user] if entry.user else []), *entry.collaborators]
        events = decide(
            entry,
            self.state,
            calendar="file",
            people={one: f"person-{one.username}" for one in people},
            now=now,
        )
        self.add(events)
        return events

    def add(self, events: Iterable[Event]) -> None:
        for event in events:
            sequence = len(self.recorded) + 1
            self.recorded.append(Recorded(envelop(event, source="test", time=NOW), sequence, NOW))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "instruments.toml").write_text(INSTRUMENTS)
    return Settings(
        instrument_data_path=tmp_path / "instruments",
        data_path=tmp_path / "data",
        state_path=tmp_path / "state",
        instruments_file=tmp_path / "instruments.toml",
        calendar_file=tmp_path / "calendar.toml",
        harvest_interval=0.05,
    )


@pytest.fixture
def instruments(settings: Settings) -> dict[str, InstrumentEntry]:
    return read_instruments(settings.instruments_file)


@pytest.fixture(scope="session")
def make_desk():
    """Makes a desk for each example of a property."""
    titan = InstrumentEntry(pid="FEI-Titan-TEM", filestore_path="Titan")
    return lambda: MessageProcessor(titan)


@pytest.fixture
def processor(make_desk) -> MessageProcessor:
    return make_desk()


@pytest.fixture
def nemo_settings(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A facility with one NEMO, in its folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NX_NEMO_ADDRESS_1", "https://nemo.example.org/api")
    monkeypatch.setenv("NX_NEMO_TOKEN_1", "0123456789abcdef")
    return settings


@pytest.fixture
def titan() -> InstrumentEntry:
    """An instrument that is tool 1 of that NEMO."""
    return InstrumentEntry(pid="titan", filestore_path="Titan", calendar="nemo-1", calendar_id="1")


@pytest.fixture
def nemo_calendar(nemo_settings: Settings, titan: InstrumentEntry) -> Callable[..., NemoCalendar]:
    """Makes a calendar whose NEMO is a function, and that does not pause between attempts."""

    def make(answer: Callable[[httpx.Request], httpx.Response], **more: Any) -> NemoCalendar:
        def connect(*arguments: Any) -> NemoClient:
            return NemoClient(*arguments, transport=httpx.MockTransport(answer), first_wait=0.0)

        instruments = {titan.pid: titan, **more}
        return NemoCalendar("nemo-1", nemo_settings, instruments, connect=connect)

    return make


class Facility:
    """What a harvester works with, in memory."""

    def __init__(self, settings) -> None:
        self.store, self.people = MemoryEventStore(), MemoryPeople()
        self.letters = MemoryDeadLetters()
        self.notes = CalendarNotes(MemoryBucket())
        self.context = ServiceContext(settings, self.store, self.people, self.letters, None)  # type: ignore[arg-type]

    def harvest(self, calendar, context: ServiceContext | None = None) -> Harvest:
        context = context or self.context
        return Harvest(context, calendar, self.notes, HarvestedSessions(context.store))

    async def history(self, session: str = "") -> list[str]:
        return [event.kind() for event in await self.events() if session in event.session]

    async def events(self) -> list[Event]:
        return [item.event async for item in self.store.read()]

    async def dead_letters(self) -> list[DeadLetter]:
        return [letter async for letter in self.letters.read()]


@pytest.fixture
def facility(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Facility:
    made = Facility(settings)
    monkeypatch.setattr(CalendarNotes, "on", lambda jetstream: made.notes)
    return made
