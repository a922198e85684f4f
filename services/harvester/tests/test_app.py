"""The service: which calendars it has, its dry run, and two of it on one broker."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.events import SessionStarted
from nexuslims_contracts.plugins import installed
from nexuslims_harvester import app
from nexuslims_harvester.calendar import CALENDARS, Window
from nexuslims_harvester.dry_run import sessions as dry_run
from nexuslims_harvester.errors import CalendarUnavailableError
from nexuslims_harvester.file_calendar import FileCalendar
from nexuslims_harvester.harvest import Harvest
from nexuslims_harvester.harvested import HarvestedSessions
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.calendar_notes import CalendarNotes
from nexuslims_shared.dead_letters import StreamDeadLetters
from nexuslims_shared.embedded import EmbeddedBroker, start_embedded
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.people import BucketPeople
from nexuslims_shared.service import ServiceContext, service_named
from nexuslims_shared.store.jetstream import JetStreamEventStore
from nexuslims_shared.store.memory import MemoryEventStore

WHOLE = ["session-started", "reservation-matched", "session-ended"]
HOUR = timedelta(hours=1)

CALENDAR = """\
[[session]]
id = "1"
instrument = "FEI-Titan-TEM"
start = 2026-03-02T09:00:00
end = 2026-03-02T12:00:00
title = "Gold"
consent = true

[[session]]
id = "2"
instrument = "FEI-Quanta-SEM"
start = 2026-03-02T09:00:00
end = 2026-03-02T08:00:00
"""


def test_the_service_is_installed_and_follows_no_events(settings) -> None:
    assert service_named("harvester", settings).consumer is None
    assert installed(CALENDARS)["file"].load() is FileCalendar
    assert [calendar.name for calendar in app.calendars(settings)] == ["file"]


@pytest.mark.parametrize("name", ["outlook", "outlook-2"])
def test_a_calendar_that_is_not_installed_stops_the_service_at_the_start(
    settings, name: str
) -> None:
    with settings.instruments_file.open("a") as file:
        file.write(f'calendar = "{name}"\n')
    with pytest.raises(SettingsError, match=f"FEI-Quanta-SEM: calendar '{name}' is of no kind"):
        app.create(settings)


def test_a_kind_may_have_several_calendars(settings) -> None:
    with settings.instruments_file.open("a") as file:
        file.write('calendar = "file-2"\n')
    assert [calendar.name for calendar in app.calendars(settings)] == ["file", "file-2"]


async def test_a_dry_run_lists_what_the_calendars_hold(settings) -> None:
    settings.calendar_file.write_text(CALENDAR)
    assert installed("nexuslims.dry_run")["calendar"].load() is dry_run
    good, wrong = await dry_run(settings)
    assert good["session"] == "file-1"
    assert good["instrument"] == "FEI-Titan-TEM"
    assert (good["start"].isoformat(), good["title"]) == ("2026-03-02T09:00:00-07:00", "Gold")
    assert (good["end"] - good["start"], good["problem"]) == (3 * HOUR, "")
    assert (wrong["session"], wrong["start"]) == ("session 2", None)
    assert "before it starts" in wrong["problem"]
    assert good.keys() == wrong.keys()


async def test_a_dry_run_lists_the_others_if_a_calendar_cannot_be_read(
    settings, monkeypatch
) -> None:
    class Away:
        name = "away"

        async def entries(self, window: object) -> list[object]:
            raise CalendarUnavailableError("away is away: bring it back")

    settings.calendar_file.write_text(CALENDAR)
    both = [Away(), *app.calendars(settings)]
    monkeypatch.setattr("nexuslims_harvester.dry_run.calendars", lambda _: both)
    away, good, _ = await dry_run(settings)
    assert (away["session"], away["start"]) == ("calendar away", None)
    assert away["problem"] == "away is away: bring it back"
    assert good["session"] == "file-1"


async def test_a_dry_run_goes_on_where_the_log_ends(settings, processor, monkeypatch) -> None:
    class Asked:
        name, since = "file", None

        async def entries(self, window: Window) -> list[object]:
            self.since = window.since
            return []

    calendar, store = Asked(), MemoryEventStore()
    monkeypatch.setattr("nexuslims_harvester.dry_run.calendars", lambda _: [calendar])
    assert await dry_run(settings, store) == []
    assert calendar.since is None
    for event in processor.hear(processor.entry()):
        await store.append(envelop(event, source="test"))
    assert await dry_run(settings, store) == []
    assert calendar.since == processor.entry().start - timedelta(days=7)
    assert await store.last_sequence() == len(processor.recorded), "nothing is written"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    broker = start_embedded(tmp_path / "state")
    yield broker
    broker.stop()


@pytest.mark.broker
async def test_two_harvesters_on_one_broker_state_each_session_once(broker, settings) -> None:
    settings.calendar_file.write_text(CALENDAR)
    async with AsyncExitStack() as stack:
        runs = []
        for _ in range(2):
            client = await connect(broker.url, name="test", wait=False)
            stack.push_async_callback(client.close)
            js = client.jetstream()
            await provision(js)
            store, letters = JetStreamEventStore(js), StreamDeadLetters(js)
            context = ServiceContext(settings, store, BucketPeople(js), letters, js)
            (calendar,) = app.calendars(settings)
            notes, sessions = CalendarNotes.on(js), HarvestedSessions(store)
            runs.append(Harvest(context, calendar, notes, sessions))
        await asyncio.gather(*(run.once() for run in runs))
        await asyncio.gather(*(run.once() for run in runs))
        events = [item.event async for item in store.read()]
        assert sorted(event.kind() for event in events) == sorted(WHOLE)
        assert isinstance(events[0], SessionStarted)
        (letter,) = [letter async for letter in letters.read()]
        assert letter.subject == "calendar file, session 2"
