"""iCalendar: recurrence, zones, who and where; and what cannot be read."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexuslims_harvester.calendar import CalendarEntry, EntryProblem, Window
from nexuslims_harvester.consent import ConsentReader
from nexuslims_harvester.errors import CalendarUnavailableError
from nexuslims_harvester.ics import calendar as ics_calendar
from nexuslims_harvester.ics.calendar import IcsCalendar
from nexuslims_harvester.ics.entries import Places, Wanted, parse_ics
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.instruments import InstrumentEntry
from nexuslims_shared.people import Person

TITAN = InstrumentEntry(
    pid="FEI-Titan", name="Titan", filestore_path="Titan", timezone="America/New_York",
    calendar="ics-1",
)  # fmt: skip
QUANTA = TITAN.model_copy(update={"pid": "FEI-Quanta", "name": "Quanta", "calendar_id": "Room 7"})
SPRING = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC))
READER = ConsentReader.accepting(["yes"])


def wanted_of(places: Places, window: Window = SPRING, **more: bool) -> Wanted:
    return Wanted(places, window, READER, **more)


ALONE = wanted_of(Places([TITAN]))


def ics(*events: str) -> bytes:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//"]
    for event in events:
        lines += ["BEGIN:VEVENT", *event.strip().splitlines(), "END:VEVENT"]
    return "\r\n".join([*lines, "END:VCALENDAR", ""]).encode()


ONE = """UID:1@x
DTSTART;TZID=America/New_York:20260316T090000
DTEND;TZID=America/New_York:20260316T110000"""


def read(*events: str, wanted: Wanted = ALONE) -> list[CalendarEntry]:
    entries = parse_ics(ics(*events), wanted)
    assert all(isinstance(one, CalendarEntry) for one in entries), entries
    return entries  # type: ignore[return-value] # asserted


def problem(*events: str, wanted: Wanted = ALONE) -> str:
    (entry,) = parse_ics(ics(*events), wanted)
    assert isinstance(entry, EntryProblem)
    return str(entry)


def starts(entries: list[CalendarEntry]) -> list[str]:
    return [entry.start.isoformat() for entry in entries]


def test_an_entry_says_what_who_and_why() -> None:
    (entry,) = read(
        ONE
        + """
SUMMARY:Layers\\, thin
DESCRIPTION:Thickness µm by µm
ORGANIZER;CN="Hall, Ned":mailto:ned@example.org
ATTENDEE;CN=Ann Moss;CUTYPE=INDIVIDUAL:mailto:ann@example.org
ATTENDEE;CN=Ned Hall:mailto:ned@example.org
ATTENDEE;CN=Titan;CUTYPE=ROOM:mailto:titan@example.org
URL:https://example.org/1
X-NEXUSLIMS-SAMPLE:gold
X-NEXUSLIMS-SAMPLE:silver
X-NEXUSLIMS-PROJECT:641
X-NEXUSLIMS-CONSENT:Yes"""
    )
    assert entry.id == "1@x"
    assert entry.instrument is TITAN
    assert entry.start.isoformat() == "2026-03-16T09:00:00-04:00"
    assert entry.end == entry.start + timedelta(hours=2)
    assert (entry.title, entry.purpose) == ("Layers, thin", "Thickness µm by µm")
    ned = Person(
        username="ned@example.org", first_name="Ned", last_name="Hall", email="ned@example.org"
    )
    assert entry.user == ned
    assert [one.last_name for one in entry.collaborators] == ["Moss"]
    assert [sample.name for sample in entry.samples] == ["gold", "silver"]
    assert len({sample.id for sample in entry.samples}) == 2
    assert [project.project_id for project in entry.projects] == ["641"]
    assert entry.url == "https://example.org/1"
    assert entry.consent is True
    assert not entry.cancelled


@pytest.mark.parametrize(
    ("words", "everybody", "consent"),
    [("", False, None), ("", True, True), ("yes", False, True), ("no", True, False),
     ("maybe", True, False)],
)  # fmt: skip
def test_consent_is_given_or_known_of_everybody(
    words: str, *, everybody: bool, consent: bool | None
) -> None:
    line = f"\nX-NEXUSLIMS-CONSENT:{words}" if words else ""
    wanted = wanted_of(Places([TITAN]), everybody_consents=everybody)
    (entry,) = read(ONE + line, wanted=wanted)
    assert entry.consent is consent


@pytest.mark.parametrize(
    ("times", "start", "hours"),
    [
        ("DTSTART:20260316T130000Z\nDTEND:20260316T150000Z", "2026-03-16T13:00:00+00:00", 2),
        ("DTSTART:20260316T090000\nDURATION:PT90M", "2026-03-16T09:00:00-04:00", 1.5),
        ("DTSTART;TZID=Europe/Paris:20260316T090000\nDURATION:PT1H",
         "2026-03-16T09:00:00+01:00", 1),
        ("DTSTART;TZID=Eastern Standard Time:20260316T090000\nDURATION:PT1H",
         "2026-03-16T09:00:00-04:00", 1),
        ("DTSTART;VALUE=DATE:20260316", "2026-03-16T00:00:00-04:00", 24),
        ("DTSTART;VALUE=DATE:20260308\nDTEND;VALUE=DATE:20260309", "2026-03-08T00:00:00-05:00", 23),
    ],
)  # fmt: skip
def test_times_are_where_they_were_meant(times: str, start: str, hours: float) -> None:
    (entry,) = read(f"UID:1@x\n{times}")
    assert entry.start.isoformat() == start
    assert entry.end == entry.start + timedelta(hours=hours)


WEEKLY = """UID:w@x
DTSTART;TZID=America/New_York:20260302T090000
DTEND;TZID=America/New_York:20260302T110000
RRULE:FREQ=WEEKLY"""


def test_a_series_without_end_gives_the_occurrences_of_the_window_across_summer_time() -> None:
    entries = read(WEEKLY + "\nEXDATE;TZID=America/New_York:20260316T090000")
    assert starts(entries) == [
        "2026-03-02T09:00:00-05:00",
        "2026-03-09T09:00:00-04:00",
        "2026-03-23T09:00:00-04:00",
        "2026-03-30T09:00:00-04:00",
    ]
    assert [entry.id for entry in entries][:2] == ["w@x-20260302T140000Z", "w@x-20260309T130000Z"]


def test_an_occurrence_that_was_moved_or_cancelled_keeps_its_id() -> None:
    moved = """UID:w@x
RECURRENCE-ID;TZID=America/New_York:20260309T090000
DTSTART;TZID=America/New_York:20260310T140000
DTEND;TZID=America/New_York:20260310T150000
STATUS:CANCELLED"""
    whole = {entry.id: entry for entry in read(WEEKLY)}
    changed = {entry.id: entry for entry in read(WEEKLY, moved)}
    assert changed.keys() == whole.keys()
    entry = changed["w@x-20260309T130000Z"]
    assert entry.start.isoformat() == "2026-03-10T14:00:00-04:00"
    assert entry.cancelled
    assert not whole[entry.id].cancelled


def test_only_what_the_window_holds_is_read() -> None:
    until = datetime(2026, 3, 16, 14, tzinfo=UTC)  # while it lasts
    (entry,) = read(ONE, wanted=wanted_of(Places([TITAN]), Window(SPRING.since, until)))
    assert entry.end is not None
    before = Window(None, datetime(2026, 3, 16, 13, tzinfo=UTC))
    assert read(ONE, wanted=wanted_of(Places([TITAN]), before)) == []
    assert len(read(ONE, wanted=wanted_of(Places([TITAN]), Window(None, until)))) == 1


@pytest.mark.parametrize(
    ("line", "pid"),
    [
        ("LOCATION:room  7", "FEI-Quanta"),
        ("LOCATION:Titan", "FEI-Titan"),
        ("RESOURCES:Tweezers,FEI-Titan", "FEI-Titan"),
        ("ATTENDEE;CUTYPE=RESOURCE;CN=Quanta:mailto:q@example.org", "FEI-Quanta"),
    ],
)
def test_an_entry_names_one_of_several_instruments(line: str, pid: str) -> None:
    (entry,) = read(f"{ONE}\n{line}", wanted=wanted_of(Places([TITAN, QUANTA])))
    assert entry.instrument.pid == pid


@pytest.mark.parametrize(
    ("event", "complaint"),
    [
        (ONE + "\nLOCATION:Kitchen", "entry 1@x: its place is Kitchen, and no instrument"),
        ("UID:1@x\nDTSTART:20260316T090000", "entry 1@x: it starts and ends at"),
        ("UID:1@x\nDTSTART:20260316T090000\nDTEND:20260315T090000", "ends before it begins"),
        ("UID:1@x\nDTSTART:yesterday\nDTEND:20260315T090000", "entry 1@x: it cannot be read"),
        ("UID:1@x\nSUMMARY:no times", "entry 1@x: it cannot be read"),
        ("SUMMARY:no id\nDTSTART:never", "entry number 1: it cannot be read"),
        (WEEKLY.replace("WEEKLY", "SECONDLY"), "repeats by the minute"),
        (WEEKLY.replace("WEEKLY", "SOMETIMES"), "entry w@x: it cannot be read"),
    ],
)
def test_a_wrong_entry_is_named_and_costs_no_other(event: str, complaint: str) -> None:
    wanted = wanted_of(Places([TITAN, QUANTA]) if "Kitchen" in event else Places([TITAN]))
    assert complaint in problem(event, wanted=wanted)
    place = "\nLOCATION:Titan"
    good = ONE.replace("1@x", "2@x") + place
    assert [one for one in parse_ics(ics(event, good), wanted) if isinstance(one, CalendarEntry)]


def test_a_series_that_would_never_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nexuslims_harvester.ics.entries.MOST", 50)
    hourly = WEEKLY.replace("WEEKLY", "HOURLY").replace("110000", "093000")
    wanted = wanted_of(Places([TITAN]), Window(None, datetime(2030, 1, 1, tzinfo=UTC)))
    assert "repeats more than 50 times" in problem(hourly, wanted=wanted)


@given(st.binary(max_size=200) | st.binary(max_size=80).map(lambda junk: ics(ONE)[:-40] + junk))
def test_whatever_is_no_icalendar_is_a_value_error(content: bytes) -> None:
    try:
        entries = parse_ics(content, ALONE)
    except ValueError:
        return
    assert isinstance(entries, list)


# --- the edge --------------------------------------------------------------------------------

Make = Callable[..., IcsCalendar]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, settings: object) -> Make:
    def make_one(address: str, handler: Callable[..., httpx.Response] | None = None) -> IcsCalendar:
        monkeypatch.setenv("NX_ICS_ADDRESS_1", address)
        transport = httpx.MockTransport(handler) if handler else None
        return IcsCalendar("ics-1", settings, {TITAN.pid: TITAN}, transport)  # type: ignore[arg-type] # of a fixture

    return make_one


async def test_a_file_is_read_and_read_again(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexuslims_harvester.watch._LOOK_AGAIN_S", 0.001)
    monkeypatch.setenv("NX_ICS_CONSENT_1", "all")
    path = tmp_path / "titan.ics"
    path.write_bytes(ics(ONE))
    calendar = make(str(path))
    (entry,) = await calendar.entries(SPRING)
    assert isinstance(entry, CalendarEntry)
    assert entry.consent is True
    path.write_bytes(ics(ONE, WEEKLY))
    await asyncio.wait_for(calendar.changed(), 5)
    assert len(await calendar.entries(SPRING)) == 6
    path.unlink()
    with pytest.raises(CalendarUnavailableError, match=r"titan.ics.*NX_ICS_ADDRESS_1"):
        await calendar.entries(SPRING)


SECRET = "https://calendar.example.org/private-k3y/titan.ics"


async def test_an_address_is_asked(make: Make) -> None:
    calendar = make(SECRET, lambda _: httpx.Response(200, content=ics(ONE)))
    assert len(await calendar.entries(SPRING)) == 1
    (wrong,) = await make(SECRET, lambda _: httpx.Response(200, text="<html>")).entries(SPRING)
    assert "is no iCalendar" in str(wrong)


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
async def test_a_server_that_refuses_is_named_without_its_address(make: Make, status: int) -> None:
    calendar = make(SECRET, lambda _: httpx.Response(status))
    with pytest.raises(CalendarUnavailableError, match=f"{status}: check NX_ICS_ADDRESS_1") as info:
        await calendar.entries(SPRING)
    assert "k3y" not in str(info.value)


async def test_a_server_that_is_away_or_sends_too_much_is_named(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout(f"no answer from {request.url}")

    with pytest.raises(CalendarUnavailableError, match="ConnectTimeout") as info:
        await make(SECRET, away).entries(SPRING)
    assert "k3y" not in repr(info.value)
    assert info.value.__suppress_context__
    monkeypatch.setattr(ics_calendar, "LONGEST", 10)
    with pytest.raises(CalendarUnavailableError, match="longer than 10 bytes"):
        await make(SECRET, lambda _: httpx.Response(200, content=ics(ONE))).entries(SPRING)


@pytest.mark.parametrize("address", ["ftp://example.org/a.ics", "https://", ""])
def test_a_wrong_address_stops_the_service(make: Make, address: str) -> None:
    with pytest.raises(SettingsError, match=r"NX_ICS_ADDRESS_1=\(hidden\)"):
        make(address)


def test_webcal_is_https(make: Make) -> None:
    make("webcal://example.org/a.ics", lambda _: httpx.Response(200))
