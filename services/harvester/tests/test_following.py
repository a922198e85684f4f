"""A calendar that is followed for ever: sweeps, and withdrawals in bulk that wait."""

from datetime import UTC, datetime, timedelta

import pytest

from nexuslims_harvester import harvested
from nexuslims_harvester.calendar import DeletedEntry, EntryProblem
from nexuslims_harvester.schedule import sweep_is_due
from nexuslims_harvester.testing import MemoryCalendar
from nexuslims_shared.instruments import InstrumentEntry

WHOLE = ["session-started", "reservation-matched", "session-ended"]
HOUR, OVERLAP = timedelta(hours=1), timedelta(days=7)


async def test_many_sessions_that_vanish_at_once_wait_for_an_operator(facility, processor) -> None:
    book = MemoryCalendar(*(processor.entry(id=str(number)) for number in range(50)))
    run = facility.harvest(book)
    await run.once()
    book.held = [DeletedEntry(str(number)) for number in range(11)] + book.held[11:]
    for again in (run, facility.harvest(book)):
        await again.once()
    assert "session-cancelled" not in await facility.history()
    assert len((await facility.notes.held())["book"]) == 11
    (letter,) = await facility.dead_letters()
    assert letter.subject == "calendar book, withdrawals"
    assert "11 sessions" in letter.reason
    assert "`nexuslims approve book`" in letter.reason
    book.held[:8] = [processor.entry(id=str(number)) for number in range(8)]
    await run.once()
    assert sorted(await facility.notes.held_of("book")) == ["book-10", "book-8", "book-9"]
    assert "session-cancelled" not in await facility.history(), "what waits goes on waiting"
    await facility.notes.approve("book", ["book-10", "book-8", "book-9"])
    await run.once()
    assert (await facility.history()).count("session-cancelled") == 3
    assert await facility.notes.held() == {}
    assert await facility.notes.approved("book") == frozenset()
    assert await facility.dead_letters() == [], "the letter is closed"


@pytest.mark.parametrize(
    "changes",
    [
        {"end": timedelta(minutes=20)},
        {"start": timedelta(hours=-9), "end": timedelta(hours=-7)},
        {"instrument": InstrumentEntry(pid="SEM-2", filestore_path="SEM")},
    ],
)
async def test_many_sessions_that_shrink_or_move_at_once_wait(facility, processor, changes) -> None:
    def entries(**changed):
        return [processor.entry(id=str(number), **changed) for number in range(12)]

    book = MemoryCalendar(*entries())
    run = facility.harvest(book)
    await run.once()
    first = entries()[0]
    changed = {
        name: first.start + to if isinstance(to, timedelta) else to for name, to in changes.items()
    }
    book.held[:1] = entries(**changed)[:1]
    await run.once()
    assert (await facility.history()).count("session-revised") == 1, "one alone is a correction"
    book.held = entries(**changed)
    await run.once()
    assert (await facility.history()).count("session-revised") == 1
    assert len(await facility.notes.held_of("book")) == 11
    await facility.notes.approve("book", await facility.notes.held_of("book"))
    await run.once()
    assert (await facility.history()).count("session-revised") == 12


async def test_an_instrument_that_is_called_otherwise_takes_its_sessions_along(
    facility, processor
) -> None:
    """Its folder is the same, so the records keep their files."""
    former = processor.entry().instrument
    book = MemoryCalendar(*(processor.entry(id=str(number)) for number in range(12)))
    run = facility.harvest(book)
    await run.once()
    renamed = former.model_copy(update={"pid": "SEM-NEW"})
    book.held = [processor.entry(id=str(number), instrument=renamed) for number in range(12)]
    await run.once()
    assert (await facility.history()).count("session-revised") == 12


async def test_many_small_corrections_pass(facility, processor) -> None:
    book = MemoryCalendar(*(processor.entry(id=str(number)) for number in range(12)))
    run = facility.harvest(book)
    await run.once()
    later = processor.entry().end - timedelta(minutes=5)
    book.held = [processor.entry(id=str(number), end=later) for number in range(12)]
    await run.once()
    assert (await facility.history()).count("session-revised") == 12


async def test_a_letter_about_an_entry_is_closed_when_the_entry_is_in_order(
    facility, processor
) -> None:
    book = MemoryCalendar(EntryProblem("session 1", "it ends before it starts"))
    run = facility.harvest(book)
    await run.once()
    await run.once()
    assert len(await facility.dead_letters()) == 1
    book.held = [processor.entry(id="1")]
    await run.once()
    assert await facility.dead_letters() == []


async def test_what_waits_is_asked_for_however_old_it_is(facility, processor) -> None:
    old = processor.entry(id="1", start=processor.entry().start - timedelta(days=99))
    book = MemoryCalendar(old, processor.entry(id="2"))
    run = facility.harvest(book)
    await run.once()
    await facility.notes.hold("book", {"book-1": "it is not in the calendar any more"})
    await run.once()
    assert book.windows[-1].expected.keys() == {"1", "2"}
    assert await facility.notes.held() == {}, "the calendar has it"


async def test_few_at_a_time_pass_until_they_are_many_in_a_day(facility, processor) -> None:
    entries = [processor.entry(id=str(number)) for number in range(50)]
    run = facility.harvest(book := MemoryCalendar(*entries))
    await run.once()
    for number in range(12):
        book.held[number] = DeletedEntry(str(number))
        await run.once()
    assert (await facility.history()).count("session-cancelled") == 10


@pytest.mark.parametrize(("gone", "withdrawn"), [(1, 1), (2, 0)])
async def test_of_a_small_calendar_a_share_is_many(facility, processor, gone, withdrawn) -> None:
    run = facility.harvest(book := MemoryCalendar(*(processor.entry(id=str(n)) for n in range(6))))
    await run.once()
    book.held[:gone] = [processor.entry(id=str(n), booked=False) for n in range(gone)]
    await run.once()
    assert (await facility.history()).count("reservation-missing") == withdrawn


async def test_refusals_never_wait(facility, processor) -> None:
    run = facility.harvest(book := MemoryCalendar(*(processor.entry(id=str(n)) for n in range(30))))
    await run.once()
    book.held = [processor.entry(id=str(n), consent=False, answer="No") for n in range(30)]
    await run.once()
    assert (await facility.history()).count("consent-declined") == 30
    assert await facility.notes.held() == {}


# --- sweeps ---


async def test_a_sweep_asks_for_everything_in_parts(facility, processor, monkeypatch) -> None:
    monkeypatch.setattr(harvested, "PART", 2)
    starts = [processor.entry().start + number * HOUR for number in range(5)]
    entries = [
        processor.entry(id=str(n), start=start, end=start + HOUR / 2)
        for n, start in enumerate(starts)
    ]
    run = facility.harvest(book := MemoryCalendar(*entries))
    await run.once()
    book.windows.clear()
    await run.sweep()
    assert [window.since for window in book.windows] == [starts[0] - OVERLAP, starts[2], starts[4]]
    assert [window.until for window in book.windows[:2]] == [starts[2], starts[4]]
    assert [set(window.expected) for window in book.windows] == [{"0", "1"}, {"2", "3"}, {"4"}]
    assert [window.oldest for window in book.windows] == [True, False, False]
    assert all(window.sweep for window in book.windows)


async def test_a_sweep_finds_what_changed_however_long_ago(facility, processor) -> None:
    old = processor.entry().start - timedelta(days=400)
    past = {"start": old, "end": old + HOUR}
    run = facility.harvest(
        book := MemoryCalendar(*(processor.entry(id=str(n), **past) for n in range(9)))
    )
    await run.once()
    book.held[0] = processor.entry(id="0", consent=False, **past)
    book.held[1] = DeletedEntry("1")
    book.held.append(processor.entry(id="late", **past))
    await run.sweep()
    assert (await facility.history("book-0"))[-1] == "consent-declined"
    assert (await facility.history("book-1"))[-1] == "session-cancelled"
    assert await facility.history("book-late") == WHOLE


async def test_a_sweep_is_made_once_a_day(facility, processor) -> None:
    run = facility.harvest(book := MemoryCalendar(processor.entry()))
    await run.once()
    await run.sweep_if_due()
    assert len(book.windows) == 1, "the first harvest was as good as a sweep"
    day = timedelta(days=1)
    await facility.notes.note_sweep("book", datetime.now(UTC) - day)
    for _ in range(2):
        await facility.harvest(book).sweep_if_due()
    assert len(book.windows) == 2


@pytest.mark.parametrize(
    ("hours", "clock", "due"),
    [
        (None, 12, True),
        (25, 12, True),
        (13, 12, False),
        (13, 3, True),
        (11, 3, False),
        (13, 5, False),
    ],
)
def test_quiet_hours_are_preferred(settings, hours: float | None, clock: int, due) -> None:
    now = datetime(2026, 3, 2, clock, 30, tzinfo=UTC)
    last = now - timedelta(hours=hours) if hours is not None else None
    assert sweep_is_due(last, now, settings) is due
    never = settings.model_copy(update={"harvest_sweep_hours": 0.0})
    assert sweep_is_due(last, now, never) is False
