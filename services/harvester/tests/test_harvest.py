"""Harvesting a calendar that says strange things, and one that says them again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from nexuslims_contracts.events import Sample
from nexuslims_harvester.calendar import CalendarEntry, EntryProblem, Withdrawn
from nexuslims_harvester.harvest import Harvest
from nexuslims_shared.people import MemoryPeople, Person
from nexuslims_shared.service import Surroundings
from nexuslims_shared.store.memory import MemoryEventStore

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Letters:
    """Dead letters, in a list."""

    def __init__(self):
        self.written = []

    async def write(self, consumer, sequence, subject, reason):
        self.written.append(f"{subject}: {reason}")


class Lines:
    """A calendar that has what it is given."""

    name = "lines"

    def __init__(self):
        self.now = []
        self.windows = []

    async def entries(self, window):
        self.windows.append(window)
        return self.now

    async def changed(self):
        raise NotImplementedError


@pytest.fixture
def calendar():
    return Lines()


@pytest.fixture
def around(settings):
    return Surroundings(settings, MemoryEventStore(), MemoryPeople(), Letters(), None)


@pytest.fixture
def harvest(around, calendar):
    """State what the calendar has, and return the kinds of events that are new."""
    made = Harvest(around, calendar)

    async def once(*entries):
        before = await around.store.last_sequence()
        calendar.now = list(entries)
        await made.once()
        return [item.event.kind() async for item in around.store.read(after=before)]

    return once


@pytest.fixture
def entry(titan):
    return CalendarEntry(
        id="1",
        instrument=titan,
        start=START,
        end=START + timedelta(hours=2),
        user=Person(username="ana"),
        title="T",
        consent=True,
    )


async def test_a_session_is_stated_once(harvest, entry):
    expected = ["session-started", "reservation-matched", "session-ended"]
    assert await harvest(entry) == expected
    assert await harvest(entry) == []


async def test_a_change_is_stated_and_so_is_the_way_back(harvest, entry):
    await harvest(entry)
    longer = replace(entry, end=START + timedelta(hours=3))
    assert "session-revised" in await harvest(longer)
    assert "session-revised" in await harvest(entry)
    assert await harvest(replace(entry, consent=False)) == ["consent-declined"]
    assert await harvest(entry) == ["reservation-matched"]
    assert await harvest(replace(entry, booked=False)) == ["reservation-missing"]


async def test_who_has_not_consented_may_do_so_until_the_end(harvest, entry):
    assert await harvest(replace(entry, end=None, consent=None)) == ["session-started"]
    assert await harvest(replace(entry, end=None, booked=False)) == []
    assert await harvest(replace(entry, end=None)) == ["reservation-matched"]
    assert await harvest(replace(entry, consent=False)) == ["consent-declined", "session-ended"]


async def test_what_is_gone_is_cancelled_once_and_may_come_back(harvest, entry):
    assert await harvest(Withdrawn("1")) == []
    await harvest(entry)
    assert await harvest(Withdrawn("1")) == ["session-cancelled"]
    assert await harvest(Withdrawn("1")) == []
    assert await harvest(entry) == ["session-revised"]


@pytest.mark.parametrize(
    "poison",
    [
        {"samples": (Sample(id="s", description="x" * 300_000),)},
        {"title": "half a pair: \ud800"},
        {"start": START.replace(tzinfo=None)},
    ],
    ids=["too long", "no text", "no zone"],
)
async def test_a_poisoned_entry_is_a_dead_letter_and_the_rest_goes_on(
    harvest, around, entry, poison
):
    good = replace(entry, id="2")
    for _ in range(2):
        await harvest(replace(entry, **poison), EntryProblem("third", "wrong"), good)
    assert len(around.dead_letters.written) == 2
    assert around.dead_letters.written[0].startswith("calendar lines, session 1: no event can be")
    kinds = [item.event.kind() async for item in around.store.read(filters=("*.*.lines-2.*",))]
    assert kinds == ["session-started", "reservation-matched", "session-ended"]


async def test_the_next_harvest_asks_from_the_last_one_on(harvest, calendar, entry):
    await harvest(entry)
    await harvest(entry)
    first, second = calendar.windows
    assert (first.everywhere, dict(first.since)) == (None, {})
    assert datetime.now(UTC) - second.everywhere < timedelta(days=7, minutes=1)
