"""The harvester at work: calendars in, sessions stated, whatever happens between."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from nexuslims_contracts.dead_letters import DeadLetter
from nexuslims_contracts.envelope import encode, envelop
from nexuslims_contracts.events import Event, SessionEnded
from nexuslims_harvester import app, harvest
from nexuslims_harvester.calendar import DeletedEntry, EntryProblem
from nexuslims_harvester.errors import CalendarUnavailableError
from nexuslims_harvester.harvest import Harvest
from nexuslims_shared.dead_letters import MemoryDeadLetters
from nexuslims_shared.errors import BrokerUnavailableError
from nexuslims_shared.people import MemoryPeople, Person
from nexuslims_shared.service import ServiceContext
from nexuslims_shared.store.memory import MemoryEventStore

WHOLE = ["session-started", "reservation-matched", "session-ended"]
HOUR, OVERLAP = timedelta(hours=1), timedelta(days=7)


class Book:
    """A calendar that says what it is told to."""

    def __init__(self, *entries, name: str = "book") -> None:
        self.name = name
        self.says = list(entries)
        self.windows = []
        self.failure: BaseException | None = None
        self.asked = asyncio.Event()

    async def entries(self, window):
        self.windows.append(window)
        self.asked.set()
        if self.failure is not None:
            raise self.failure
        return list(self.says)

    async def changed(self) -> None:
        await asyncio.Event().wait()


class Facility:
    """What a harvester works with, in memory."""

    def __init__(self, settings) -> None:
        self.store, self.people = MemoryEventStore(), MemoryPeople()
        self.letters = MemoryDeadLetters()
        self.context = ServiceContext(settings, self.store, self.people, self.letters, None)  # type: ignore[arg-type]

    def harvest(self, calendar) -> Harvest:
        return Harvest(self.context, calendar)

    async def history(self, session: str = "") -> list[str]:
        return [event.kind() for event in await self.events() if session in event.session]

    async def events(self) -> list[Event]:
        return [item.event async for item in self.store.read()]

    async def dead_letters(self) -> list[DeadLetter]:
        return [letter async for letter in self.letters.read()]


@pytest.fixture
def facility(settings) -> Facility:
    return Facility(settings)


async def test_an_entry_is_stated_once_however_often_it_is_read(facility, processor) -> None:
    book = Book(processor.entry())
    for _ in range(2):
        again = facility.harvest(book)
        await again.once()
        await again.once()
    assert await facility.history() == WHOLE


async def test_people_are_in_the_bucket_and_not_in_the_log(facility, processor) -> None:
    ned = Person(username="ned", first_name="Ned", last_name="Land", email="ned@example.org")
    await facility.harvest(Book(processor.entry(user=ned, collaborators=(ned,)))).once()
    started, matched, ended = await facility.events()
    assert await facility.people.find(started.user) == ned
    assert started.user == ended.user == matched.experimenter == matched.collaborators[0]
    for event in (started, matched, ended):
        payload = encode(envelop(event, source="test"))[1].decode()
        assert not any(word in payload for word in ("ned", "Ned", "Land", "example.org"))


async def test_names_are_kept_before_an_event_refers_to_them(facility, processor) -> None:
    class Closed(MemoryPeople):
        async def remember(self, calendar: str, person: Person) -> str:
            raise BrokerUnavailableError("the broker does not answer")

    context = ServiceContext(
        facility.context.settings,
        facility.store,
        Closed(),
        facility.letters,
        None,  # type: ignore[arg-type]
    )
    with pytest.raises(BrokerUnavailableError):
        await Harvest(context, Book(processor.entry())).once()
    assert await facility.history() == []


async def test_a_wrong_entry_is_one_dead_letter_and_stops_no_other(facility, processor) -> None:
    wrong = EntryProblem("session 2", "it ends before it starts: swap the times")
    book = Book(wrong, processor.entry())
    for _ in range(2):
        again = facility.harvest(book)
        await again.once()
        await again.once()
    (letter,) = await facility.dead_letters()
    assert (letter.consumer, letter.sequence) == ("harvester", 0)
    assert (letter.subject, letter.reason) == ("calendar book, session 2", wrong.problem)
    assert await facility.history() == WHOLE
    await facility.letters.remove(letter.number)
    await again.once()
    assert len(await facility.dead_letters()) == 1, (
        "who drops a letter wants to know whether it is so"
    )


async def test_an_entry_too_long_for_an_event_is_a_dead_letter_too(facility, processor) -> None:
    poisoned = processor.entry(id="1", purpose="x" * 300_000)
    await facility.harvest(Book(poisoned, processor.entry(id="2"))).once()
    assert await facility.history("book-2") == WHOLE
    (letter,) = await facility.dead_letters()
    assert letter.subject == "calendar book, session 1"
    assert "at most 262144 fit an event" in letter.reason


async def test_a_session_with_an_event_nobody_can_read_is_left_alone(
    facility, processor, caplog
) -> None:
    await facility.store.append_raw("nexus.events.book-1.session-ended", {"ce-type": "?"}, b"{")
    await facility.harvest(Book(processor.entry(id="1"), processor.entry(id="2"))).once()
    assert [event.session for event in await readable(facility)] == ["book-2"] * 3
    assert "session book-1 is left alone: its event 1 cannot be read" in caplog.text


async def readable(facility: Facility) -> list[Event]:
    return [item.event async for item in facility.store.read(after=1)]


async def test_a_session_that_is_no_longer_listed_is_left_alone_and_named(
    facility, processor, caplog
) -> None:
    book = Book(processor.entry(id="1"), processor.entry(id="2"))
    run = facility.harvest(book)
    await run.once()
    book.says.pop()
    await run.once()
    await run.once()
    named = [one for one in caplog.messages if "no longer lists session book-2" in one]
    assert len(named) == 1
    assert len(await facility.history()) == 2 * len(WHOLE)


async def test_a_session_that_the_calendar_is_sure_to_have_no_more_is_cancelled(
    facility, processor, caplog
) -> None:
    book = Book(processor.entry(id="1"), processor.entry(id="2"))
    run = facility.harvest(book)
    await run.once()
    book.says[1] = DeletedEntry("2")
    await run.once()
    await run.once()
    assert book.windows[1].expected == {"1", "2"}
    assert (await facility.history("book-2"))[-1] == "session-cancelled"
    assert len(await facility.history("book-2")) == len(WHOLE) + 1
    assert "no longer lists" not in caplog.text
    book.says[1] = processor.entry(id="2")
    await run.once()
    assert (await facility.history("book-2"))[-1] == "session-revised"


async def test_half_a_character_is_a_dead_letter(facility, processor) -> None:
    broken = processor.entry(id="1", title="half: \ud800")
    await facility.harvest(Book(broken, processor.entry(id="2"))).once()
    assert await facility.history("book-2") == WHOLE
    (letter,) = await facility.dead_letters()
    assert letter.subject == "calendar book, session 1"


async def test_a_session_of_another_calendar_is_not_missed(facility, processor, caplog) -> None:
    await facility.harvest(Book(processor.entry(), name="other")).once()
    await facility.harvest(Book()).once()
    assert "no longer lists" not in caplog.text


async def test_two_harvesters_at_once_state_each_session_once(facility, processor) -> None:
    books = [Book(*(processor.entry(id=str(number)) for number in range(5))) for _ in range(2)]
    await asyncio.gather(*(facility.harvest(book).once() for book in books))
    for number in range(5):
        assert sorted(await facility.history(f"book-{number}")) == sorted(WHOLE)


# --- windows ---------------------------------------------------------------------------------


async def test_the_first_harvest_asks_for_everything(facility, processor) -> None:
    book = Book(processor.entry())
    await facility.harvest(book).once()
    assert book.windows[0].since is None
    assert abs(book.windows[0].until - datetime.now(UTC)) < HOUR


async def test_the_next_goes_on_where_the_log_ends(facility, processor) -> None:
    last = processor.entry(id="2", start=processor.entry().start + HOUR)
    await facility.harvest(Book(last, processor.entry(id="1"))).once()
    book = Book()
    await facility.harvest(book).once()
    assert book.windows[0].since == last.start - OVERLAP
    other = Book(name="other")
    await facility.harvest(other).once()
    assert other.windows[0].since is None, "each calendar has its own end"


async def test_with_a_clock_of_the_past_nothing_is_stated_before_its_time(
    facility, processor, monkeypatch
) -> None:
    class Past(datetime):
        @classmethod
        def now(cls, tz=None):
            return processor.entry().start - HOUR

    run = facility.harvest(Book(processor.entry()))
    with monkeypatch.context() as patch:
        patch.setattr(harvest, "datetime", Past)
        await run.once()
    assert await facility.history() == []
    await run.once()
    assert await facility.history() == WHOLE


async def test_a_harvest_that_breaks_off_leaves_nothing_behind_its_mark(
    facility, processor
) -> None:
    class Broken(MemoryEventStore):
        async def append(self, envelope, *, expect=None):
            if envelope.event.session == "book-2":
                raise BrokerUnavailableError("the broker does not answer")
            return await super().append(envelope, expect=expect)

    context = ServiceContext(
        facility.context.settings,
        store := Broken(),
        facility.people,
        facility.letters,
        None,  # type: ignore[arg-type]
    )
    entries = [
        processor.entry(id=str(number), start=processor.entry().start + number * HOUR, end=None)
        for number in (3, 2, 1)
    ]
    with pytest.raises(BrokerUnavailableError):
        await Harvest(context, Book(*entries)).once()
    assert {item.event.session async for item in store.read()} == {"book-1"}


# --- trouble ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "failure", [CalendarUnavailableError("gone"), KeyError("a fault"), OSError("no route")]
)
async def test_a_calendar_in_trouble_is_asked_again_and_holds_up_no_other(
    facility, processor, monkeypatch, failure, caplog
) -> None:
    sick, well = Book(processor.entry(), name="sick"), Book(processor.entry(), name="well")
    sick.failure = failure
    monkeypatch.setattr(app, "calendars", lambda settings: [sick, well])
    async with app._work(facility.context, []):
        for _ in range(2):
            sick.asked.clear()
            await asyncio.wait_for(sick.asked.wait(), 5)
        assert await facility.history("well-1") == WHOLE
        sick.failure = None
        await until(facility, lambda events: "sick-1" in {one.session for one in events})
    assert "calendar sick: " in caplog.text


async def test_the_service_is_ready_once_each_calendar_was_tried(
    facility, processor, monkeypatch
) -> None:
    answer, rests = asyncio.Event(), asyncio.Event()

    class Slow(Book):
        async def entries(self, window):
            await answer.wait()
            return await super().entries(window)

        async def changed(self) -> None:
            rests.set()
            await super().changed()

    sick, slow = Book(name="sick"), Slow(processor.entry(), name="slow")
    sick.failure = CalendarUnavailableError("gone")
    monkeypatch.setattr(app, "calendars", lambda settings: [sick, slow])
    service = app.create(facility.context.settings)
    (check,) = service.checks
    assert await check.problem() == "not asked yet: sick, slow"
    async with service.work(facility.context):
        await asyncio.wait_for(sick.asked.wait(), 5)
        assert "slow" in await check.problem()
        answer.set()
        await asyncio.wait_for(rests.wait(), 5)
        assert await check.problem() == ""
        assert await facility.history("slow-1") == WHOLE


async def test_without_calendars_there_is_nothing_to_wait_for(facility, monkeypatch) -> None:
    monkeypatch.setattr(app, "calendars", lambda settings: [])
    (check,) = app.create(facility.context.settings).checks
    assert await check.problem() == ""


async def until(facility: Facility, condition) -> None:
    async with asyncio.timeout(5):
        async for _ in facility.store.follow():
            if condition(await facility.events()):
                return


async def test_a_calendar_that_hangs_is_given_up_for_now(facility, monkeypatch) -> None:
    class Hanging(Book):
        async def entries(self, window):
            await asyncio.Event().wait()

    monkeypatch.setattr(harvest, "PATIENCE_S", 0.01)
    with pytest.raises(CalendarUnavailableError, match="no answer within"):
        await facility.harvest(Hanging()).once()


async def test_a_calendar_that_cannot_tell_of_changes_is_asked_at_the_interval(facility) -> None:
    class Blind(Book):
        async def changed(self) -> None:
            raise OSError("no route")

    book = Blind()
    run = asyncio.create_task(facility.harvest(book).run())
    for _ in range(2):
        book.asked.clear()
        await asyncio.wait_for(book.asked.wait(), 5)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run


async def test_a_change_is_harvested_at_once(facility, processor, monkeypatch) -> None:
    class Watched(Book):
        def __init__(self, *entries) -> None:
            super().__init__(*entries)
            self.news = asyncio.Event()

        async def changed(self) -> None:
            await self.news.wait()
            self.news.clear()

    patient = facility.context.settings.model_copy(update={"harvest_interval": 3600.0})
    context = ServiceContext(patient, facility.store, facility.people, facility.letters, None)  # type: ignore[arg-type]
    book = Watched()
    run = asyncio.create_task(Harvest(context, book).run())
    await asyncio.wait_for(book.asked.wait(), 5)
    book.says.append(processor.entry())
    book.news.set()
    await until(facility, lambda events: isinstance(events[-1], SessionEnded))
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run


async def test_a_fault_of_the_harvester_itself_ends_the_service(
    facility, processor, monkeypatch
) -> None:
    def broken(*args: object, **options: object) -> list[Event]:
        raise ZeroDivisionError

    monkeypatch.setattr(harvest, "decide", broken)
    monkeypatch.setattr(app, "calendars", lambda settings: [Book(processor.entry())])
    with pytest.raises(ExceptionGroup) as died:
        async with asyncio.timeout(5), app._work(facility.context, []):
            await asyncio.Event().wait()
    assert died.group_contains(ZeroDivisionError)


async def test_a_broker_that_is_away_is_waited_for(
    facility, processor, monkeypatch, caplog
) -> None:
    remember = facility.people.remember
    failures = iter([True])

    async def flaky(calendar: str, person: Person) -> str:
        if next(failures, False):
            raise BrokerUnavailableError("the broker does not answer")
        return await remember(calendar, person)

    monkeypatch.setattr(facility.people, "remember", flaky)
    monkeypatch.setattr(app, "calendars", lambda settings: [Book(processor.entry())])
    async with app._work(facility.context, []):
        await until(facility, lambda events: isinstance(events[-1], SessionEnded))
    assert "the broker does not answer" in caplog.text
