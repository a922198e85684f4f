"""The harvester at work: calendars in, sessions stated, whatever happens between."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from nexuslims_contracts.envelope import encode, envelop
from nexuslims_contracts.events import (
    BookingTexts,
    Event,
    ReservationMatched,
    Sample,
    SessionEnded,
)
from nexuslims_harvester import app, harvest, statements
from nexuslims_harvester.calendar import DeletedEntry, EntryProblem
from nexuslims_harvester.errors import CalendarUnavailableError
from nexuslims_harvester.testing import MemoryCalendar
from nexuslims_shared.artifacts import read_artifact
from nexuslims_shared.errors import BrokerUnavailableError, DiskError, PeriodAwayError
from nexuslims_shared.people import MemoryPeople, Person
from nexuslims_shared.service import ServiceContext
from nexuslims_shared.store.memory import MemoryEventStore

WHOLE = ["session-started", "reservation-matched", "session-ended"]
HOUR, OVERLAP = timedelta(hours=1), timedelta(days=7)


async def test_an_entry_is_stated_once_however_often_it_is_read(facility, processor) -> None:
    book = MemoryCalendar(processor.entry())
    for _ in range(2):
        again = facility.harvest(book)
        await again.once()
        await again.once()
    assert await facility.history() == WHOLE


async def test_people_are_in_the_bucket_and_not_in_the_log(facility, processor) -> None:
    ned = Person(username="ned", first_name="Ned", last_name="Land", email="ned@example.org")
    await facility.harvest(MemoryCalendar(processor.entry(user=ned, collaborators=(ned,)))).once()
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
        await facility.harvest(MemoryCalendar(processor.entry()), context).once()
    assert await facility.history() == []


async def test_a_wrong_entry_is_one_dead_letter_and_stops_no_other(facility, processor) -> None:
    wrong = EntryProblem("session 2", "it ends before it starts: swap the times")
    book = MemoryCalendar(wrong, processor.entry())
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


async def test_texts_too_long_for_an_event_are_an_artifact(facility, processor) -> None:
    book = MemoryCalendar(
        processor.entry(id="1", purpose="µ" * 300_000, payload={"purpose": "µ" * 300_000})
    )
    run = facility.harvest(book)
    await run.once()
    assert await facility.history("book-1") == WHOLE
    (matched,) = (one for one in await facility.events() if isinstance(one, ReservationMatched))
    assert (matched.title, matched.payload) == ("Gold", None)
    assert 0 < len(matched.purpose) < 10_000
    data = facility.context.settings.data_path
    texts = BookingTexts.model_validate_json(read_artifact(data, matched.complete))
    assert texts.purpose == "µ" * 300_000
    (data / matched.complete.path).unlink()
    await run.once()
    assert await facility.history("book-1") == WHOLE
    assert read_artifact(data, matched.complete), "whoever finds it missing writes it again"
    book.held = [processor.entry(id="1", consent=False)]
    await run.once()
    assert not (data / matched.complete.path).exists(), "it goes with the consent"


async def test_a_disk_that_is_full_states_nothing_half(facility, processor, monkeypatch) -> None:
    def full(*arguments: object) -> None:
        raise DiskError("no space")

    monkeypatch.setattr(harvest, "write_artifact", full)
    poisoned = processor.entry(id="1", purpose="x" * 300_000)
    await facility.harvest(MemoryCalendar(poisoned, processor.entry(id="2"))).once()
    assert await facility.history() == WHOLE
    (letter,) = await facility.dead_letters()
    assert (letter.subject, letter.reason) == ("calendar book, session book-1", "no space")


async def test_a_session_is_stated_whole_or_not_at_all(facility, processor) -> None:
    many = tuple(Sample(id=f"{number}", name="n" * 399) for number in range(900))
    await facility.harvest(MemoryCalendar(processor.entry(id="1", samples=many))).once()
    assert await facility.history() == []
    (letter,) = await facility.dead_letters()
    assert letter.subject == "calendar book, session 1"
    assert "at most 262144 fit an event" in letter.reason


async def test_a_session_with_an_event_nobody_can_read_is_left_alone(
    facility, processor, caplog
) -> None:
    newer = {"ce-id": "x", "ce-type": "nexuslims.session.ended.v99", "ce-source": "next"}
    await facility.store.append_raw("nexus.events.book-1.session-ended", newer, b"{}")
    await facility.harvest(MemoryCalendar(processor.entry(id="1"), processor.entry(id="2"))).once()
    assert [event.session for event in await readable(facility)] == ["book-2"] * 3
    assert "session book-1 is left alone: its event 1 cannot be read" in caplog.text


async def test_a_message_that_is_no_event_keeps_nobody_from_its_session(
    facility, processor
) -> None:
    await facility.store.append_raw("nexus.events.book-1.session-ended", {"ce-type": "?"}, b"{")
    await facility.harvest(MemoryCalendar(processor.entry(id="1"))).once()
    assert [event.session for event in await readable(facility)] == ["book-1"] * 3


async def readable(facility) -> list[Event]:
    return [item.event async for item in facility.store.read(after=1)]


async def test_a_session_that_is_no_longer_listed_is_left_alone_and_named(
    facility, processor, caplog
) -> None:
    book = MemoryCalendar(processor.entry(id="1"), processor.entry(id="2"))
    run = facility.harvest(book)
    await run.once()
    book.held.pop()
    await run.once()
    await run.once()
    named = [one for one in caplog.messages if "no longer lists session book-2" in one]
    assert len(named) == 1
    assert len(await facility.history()) == 2 * len(WHOLE)


async def test_a_session_that_the_calendar_is_sure_to_have_no_more_is_cancelled(
    facility, processor, caplog
) -> None:
    book = MemoryCalendar(processor.entry(id="1"), processor.entry(id="2"))
    run = facility.harvest(book)
    await run.once()
    book.held[1] = DeletedEntry("2")
    await run.once()
    await run.once()
    assert book.windows[1].expected.keys() == {"1", "2"}
    assert (await facility.history("book-2"))[-1] == "session-cancelled"
    assert len(await facility.history("book-2")) == len(WHOLE) + 1
    assert "no longer lists" not in caplog.text
    book.held[1] = processor.entry(id="2")
    await run.once()
    assert (await facility.history("book-2"))[-1] == "session-revised"


async def test_what_cannot_be_written_is_replaced_visibly(facility, processor) -> None:
    odd = processor.entry(
        title="half \ud800, bell \a", purpose="a\nb\tc\x00", payload={"\x1b": ["\x7f"]}
    )
    run = facility.harvest(MemoryCalendar(odd))
    await run.once()
    await run.once()
    assert await facility.history() == WHOLE
    (matched,) = (one for one in await facility.events() if isinstance(one, ReservationMatched))
    assert matched.title == "half \ufffd, bell \ufffd"
    assert matched.purpose == "a\nb\tc\ufffd"
    assert matched.payload.fields == {"\ufffd": ["\ufffd"]}


async def test_a_number_that_is_used_again_is_named_and_not_obeyed(facility, processor) -> None:
    book = MemoryCalendar(processor.entry())
    run = facility.harvest(book)
    await run.once()
    later = {"start": processor.entry().end, "end": processor.entry().end + HOUR}
    book.held = [processor.entry(**later, user=Person(username="conseil"))]
    await run.once()
    assert await facility.history() == WHOLE
    (letter,) = await facility.dead_letters()
    assert "uses the number of session book-1 again" in letter.reason
    book.held = [processor.entry(**later)]
    await run.once()
    assert "session-revised" in await facility.history(), "the same user: it was moved"


async def test_a_session_of_another_calendar_is_not_missed(facility, processor, caplog) -> None:
    await facility.harvest(MemoryCalendar(processor.entry(), name="other")).once()
    await facility.harvest(MemoryCalendar()).once()
    assert "no longer lists" not in caplog.text


async def test_two_harvesters_at_once_state_each_session_once(facility, processor) -> None:
    books = [
        MemoryCalendar(*(processor.entry(id=str(number)) for number in range(5))) for _ in range(2)
    ]
    await asyncio.gather(*(facility.harvest(book).once() for book in books))
    for number in range(5):
        assert sorted(await facility.history(f"book-{number}")) == sorted(WHOLE)


# --- windows ---------------------------------------------------------------------------------


async def test_the_first_harvest_asks_for_everything(facility, processor) -> None:
    book = MemoryCalendar(processor.entry())
    await facility.harvest(book).once()
    assert book.windows[0].since is None
    assert abs(book.windows[0].until - datetime.now(UTC)) < HOUR


async def test_the_next_goes_on_where_the_log_ends(facility, processor) -> None:
    last = processor.entry(id="2", start=processor.entry().start + HOUR)
    await facility.harvest(MemoryCalendar(last, processor.entry(id="1"))).once()
    book = MemoryCalendar()
    await facility.harvest(book).once()
    assert book.windows[0].since == last.start - OVERLAP
    other = MemoryCalendar(name="other")
    await facility.harvest(other).once()
    assert other.windows[0].since is None, "each calendar has its own end"


async def test_with_a_clock_of_the_past_nothing_is_stated_before_its_time(
    facility, processor, monkeypatch
) -> None:
    class Past(datetime):
        @classmethod
        def now(cls, tz=None):
            return processor.entry().start - HOUR

    run = facility.harvest(MemoryCalendar(processor.entry()))
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
        await facility.harvest(MemoryCalendar(*entries), context).once()
    assert {item.event.session async for item in store.read()} == {"book-1"}


# --- trouble ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "failure", [CalendarUnavailableError("gone"), KeyError("a fault"), OSError("no route")]
)
async def test_a_calendar_in_trouble_is_asked_again_and_holds_up_no_other(
    facility, processor, monkeypatch, failure, caplog
) -> None:
    sick, well = (
        MemoryCalendar(processor.entry(), name="sick"),
        MemoryCalendar(processor.entry(), name="well"),
    )
    sick.failure = failure
    monkeypatch.setattr(app, "calendars", lambda settings: [sick, well])
    async with app._work(facility.context, []):
        for _ in range(2):
            sick.asked.clear()
            await asyncio.wait_for(sick.asked.wait(), 5)
        await until(facility, lambda events: len(events) == len(WHOLE))
        assert await facility.history("well-1") == WHOLE
        sick.failure = None
        await until(facility, lambda events: "sick-1" in {one.session for one in events})
    assert "calendar sick: " in caplog.text


async def until(facility, condition) -> None:
    async with asyncio.timeout(5):
        async for _ in facility.store.follow():
            if condition(await facility.events()):
                return


async def test_a_calendar_that_hangs_is_given_up_for_now(facility, monkeypatch) -> None:
    class Hanging(MemoryCalendar):
        async def entries(self, window):
            await asyncio.Event().wait()

    monkeypatch.setattr(harvest, "PATIENCE_S", 0.01)
    with pytest.raises(CalendarUnavailableError, match="no answer within"):
        await facility.harvest(Hanging()).once()


async def test_a_calendar_that_cannot_tell_of_changes_is_asked_at_the_interval(facility) -> None:
    class Blind(MemoryCalendar):
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
    class Watched(MemoryCalendar):
        def __init__(self, *entries) -> None:
            super().__init__(*entries)
            self.news = asyncio.Event()

        async def changed(self) -> None:
            await self.news.wait()
            self.news.clear()

    patient = facility.context.settings.model_copy(update={"harvest_interval": 3600.0})
    context = ServiceContext(patient, facility.store, facility.people, facility.letters, None)  # type: ignore[arg-type]
    book = Watched()
    run = asyncio.create_task(facility.harvest(book, context).run())
    await asyncio.wait_for(book.asked.wait(), 5)
    book.held.append(processor.entry())
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

    monkeypatch.setattr(statements, "decide", broken)
    monkeypatch.setattr(app, "calendars", lambda settings: [MemoryCalendar(processor.entry())])
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
    monkeypatch.setattr(app, "calendars", lambda settings: [MemoryCalendar(processor.entry())])
    async with app._work(facility.context, []):
        await until(facility, lambda events: isinstance(events[-1], SessionEnded))
    assert "the broker does not answer" in caplog.text


async def test_sessions_of_a_period_that_is_away_hold_up_no_others(facility, processor) -> None:
    """One letter for all of them; they are stated when the period is back."""

    class Away(MemoryEventStore):
        removed = True

        async def append(self, envelope, *, expect=None):
            if self.removed and not envelope.event.session.endswith("-3"):
                raise PeriodAwayError(envelope.event.session, "2019")
            return await super().append(envelope, expect=expect)

    store = Away()
    context = ServiceContext(
        facility.context.settings,
        store,
        facility.people,
        facility.letters,
        None,  # type: ignore[arg-type]
    )
    entries = [processor.entry(id=str(number)) for number in (1, 2, 3)]
    harvesting = facility.harvest(MemoryCalendar(*entries), context=context)
    await harvesting.once()
    await harvesting.once()
    assert {item.event.session[-2:] async for item in store.read()} == {"-3"}
    (letter,) = [one async for one in facility.letters.read()]
    assert "nexuslims periods restore 2019" in letter.reason
    store.removed = False
    await harvesting.once()
    assert len({item.event.session async for item in store.read()}) == 3
