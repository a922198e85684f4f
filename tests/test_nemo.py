"""Harvesting a real NEMO into the event stream: twenty cases, faults, changes, long absence."""

import asyncio
import json
import logging
import os
import subprocess
import sysconfig
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from nexuslims_builder.assemble import assemble
from nexuslims_builder.decide import is_due, people_of, record_input
from nexuslims_builder.validation import validate
from nexuslims_contracts.envelope import Recorded, envelop
from nexuslims_contracts.events import (
    Event,
    ExtractionFailed,
    FileIndexed,
    ReservationMatched,
    SessionIndexed,
    SessionStarted,
)
from nexuslims_contracts.identifiers import digest, file_token
from nexuslims_contracts.record import NAMESPACE
from nexuslims_contracts.record.writer import write_record
from nexuslims_harvester.errors import CalendarUnavailableError
from nexuslims_harvester.harvest import Harvest
from nexuslims_harvester.harvested import HarvestedSessions
from nexuslims_harvester.nemo.calendar import NemoCalendar
from nexuslims_harvester.nemo.tools import instruments
from nexuslims_shared.calendar_notes import CalendarNotes
from nexuslims_shared.service import ServiceContext
from nexuslims_shared.session.state import SessionState, fold
from nexuslims_shared.session.status import Status, progress
from nexuslims_shared.store.port import read_session
from tests.nemo.harvest import INSTRUMENTS, empty_stream, nemo_or_skip
from tests.nemo.lab import HARVESTER, NOBODY, Nemo
from tests.system import running

pytestmark = [pytest.mark.nemo, pytest.mark.broker, pytest.mark.timeout(400)]

YES, NO, UNKNOWN = Status.TO_BE_BUILT, Status.NO_CONSENT, Status.NO_RESERVATION
GOLD, PID, WELD = "Gold on carbon", "20.500.1/abc-123", "Fe\u2013Cr weld, \u00a72"
CASES: dict[int, tuple[Status, str, str, list[str]]] = {
    1: (YES, "reservation", "Clock change", [GOLD]),
    2: (YES, "reservation", "Dislocations", [GOLD, PID, WELD]),
    3: (YES, "reservation", "Particle sizes", [GOLD]),
    4: (NO, "reservation", "", []),
    5: (UNKNOWN, "", "", []),
    6: (NO, "reservation", "", []),
    7: (YES, "reservation", "Flat layout", ["S-1"]),
    9: (YES, "reservation", "By staff", [GOLD]),
    10: (YES, "post-run", "After", [GOLD, PID]),
    11: (YES, "pre-run", "Before", [PID]),
    12: (NO, "post-run", "", []),
    13: (YES, "reservation", "Early", [GOLD]),
    14: (YES, "reservation", "Two sittings", [PID]),
    15: (YES, "reservation", "Two sittings", [PID]),
    16: (NO, "post-run", "", []),
    17: (YES, "post-run", "Not ticked", ["X-9"]),
    18: (YES, "reservation", "No samples", []),
    19: (Status.WAITING_FOR_END, "pre-run", "Running", [GOLD]),
    20: (NO, "reservation", "", []),
}
"""By usage event: status, and for what the session was. Event 8 is of no instrument."""


def name(number: int) -> str:
    return f"nemo-1-usage-{number}"


@pytest.fixture(scope="module")
def nemo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nemo]:
    """A NEMO that nobody changes."""
    with nemo_or_skip(tmp_path_factory.mktemp("nemo")) as running_one:
        yield running_one


@pytest.fixture
def own_nemo(tmp_path: Path) -> Iterator[Nemo]:
    """A NEMO to change."""
    folder = tmp_path / "nemo"
    folder.mkdir()
    with nemo_or_skip(folder) as running_one:
        yield running_one


@pytest.fixture
async def context(tmp_path: Path) -> AsyncIterator[ServiceContext]:
    """An empty stream."""
    async with empty_stream(tmp_path / "state") as made:
        yield made


@pytest.fixture
def harvest(context: ServiceContext, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Harvest]:
    """Make a harvest of a NEMO that knows no more than the events tell."""

    def make(nemo: Nemo, *, since: str = "2025-01-01", token: str = HARVESTER) -> Harvest:
        monkeypatch.setenv("NX_NEMO_ADDRESS_1", nemo.address)
        monkeypatch.setenv("NX_NEMO_TOKEN_1", token)
        if since:
            monkeypatch.setenv("NX_NEMO_SINCE_1", since)
        return harvest_of(context)

    return make


def harvest_of(context: ServiceContext) -> Harvest:
    """Return a harvest of the NEMO in the environment."""
    calendar = NemoCalendar("nemo-1", context.settings, INSTRUMENTS)
    notes, sessions = CalendarNotes.on(context.jetstream), HarvestedSessions(context.store)
    return Harvest(context, calendar, notes, sessions)


async def states(context: ServiceContext) -> dict[str, SessionState]:
    """All sessions."""
    return {
        session: fold(await read_session(context.store, session))
        for session in {event.session for event in await events(context)}
    }


async def events(context: ServiceContext) -> list[Event]:
    """All events, in order."""
    async with aclosing(context.store.read()) as items:
        return [item.event async for item in items if isinstance(item, Recorded)]


async def kinds(context: ServiceContext, number: int) -> list[str]:
    """What was stated of a session, in order."""
    return [item.event.kind() for item in await read_session(context.store, name(number))]


async def statements(context: ServiceContext) -> list[str]:
    """All events as text, people by name: their ids differ from broker to broker."""
    texts = "\n".join(f"{one.subject} {one.model_dump_json()}" for one in await events(context))
    bucket = await context.jetstream.key_value("NEXUS_PEOPLE")
    for key in await bucket.keys():
        if key.startswith("person-"):
            person = await context.people.find(key)
            texts = texts.replace(key, person.username if person else "?")
    return texts.splitlines()


async def test_every_case_comes_out_as_its_table_says(context, harvest, nemo, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="httpx")  # whoever else ran here may have quieted it
    nemo.requests()
    await harvest(nemo).once()
    assert "usage_events" in caplog.text
    assert HARVESTER not in caplog.text
    assert len(nemo.requests()) <= 8
    found = await states(context)
    assert {session: progress(state).status for session, state in found.items()} == {
        name(number): case[0] for number, case in CASES.items()
    }
    for number, (_, tier, title, samples) in CASES.items():
        booking: Any = found[name(number)].booking.event
        assert getattr(booking, "tier", "") == tier, number
        if isinstance(booking, ReservationMatched):
            assert booking.title == title, number
            assert [one.name or one.ref for one in booking.samples] == samples, number
    first = found[name(1)].schedule.event
    assert (first.end - first.start).total_seconds() == 4 * 3600 + 58 * 60
    second = found[name(2)].schedule.event
    assert (second.start.microsecond, second.end.microsecond) == (123456, 654321)


async def test_people_and_projects(context, harvest, nemo) -> None:
    await harvest(nemo).once()
    booking: Any = (await states(context))[name(9)].booking.event
    user = await context.people.find(booking.experimenter)
    operator = await context.people.find(booking.collaborators[0])
    assert (user.display, user.email) == ("Ana Ribeiro (ana)", "ana@example.org")
    assert operator.display == "Wei Chen (chen)"
    assert [(one.project_id, one.name) for one in booking.projects] == [
        ("PRJ-7", ""),
        ("AF-2025", "Alloy fatigue"),
    ]
    assert booking.url == f"{nemo.address.removesuffix('api/')}event_details/reservation/9/"
    assert booking.payload.fields["question_data"]["experiment_title"] == {"user_input": "By staff"}
    log = "".join(one.model_dump_json() for one in await events(context))
    assert [secret for secret in ("Ribeiro", "ana@", HARVESTER) if secret in log] == []


def test_its_tools_can_be_imported(nemo, monkeypatch) -> None:
    monkeypatch.setenv("NX_NEMO_ADDRESS_1", nemo.address)
    monkeypatch.setenv("NX_NEMO_TOKEN_1", HARVESTER)
    found = [(one.calendar_id, one.pid, one.location) for one in instruments("1")]
    assert found == [
        ("1", "Titan-80-300-TEM", "Room 114"),
        ("2", "Sigma-300-FESEM", "Room 114"),
        ("3", "Carbon-coater", "Room 114"),
    ]


async def test_samples_people_and_projects_reach_the_record(context, harvest, nemo) -> None:
    await harvest(nemo).once()
    session = name(2)
    instrument = INSTRUMENTS["titan"].as_contract()
    schedule: Any = (await states(context))[session].schedule.event
    token, common = file_token("a.dm3", 1, 1), {"session": session}
    file = {**common, "file": token}
    begun = int(schedule.start.timestamp() * 1e9)
    for event in (
        FileIndexed(**file, path="titan/a.dm3", size=1, mtime_ns=begun, instrument=instrument),
        SessionIndexed(
            **common,
            start=schedule.start,
            end=schedule.end,
            strategy="exclusive",
            count=1,
            files_digest=digest([token]),
            after=0,
        ),
        ExtractionFailed(**file, failure="unsupported", reason="nobody reads it"),
    ):
        await context.store.append(envelop(event, source="test"))
    state = fold(await read_session(context.store, session))
    assert is_due(state)
    found = {one: await context.people.find(one) for one in people_of(state)}
    names = {one: person.display for one, person in found.items() if person}
    content = write_record(assemble(record_input(state, names, {})))
    assert validate(content) == []
    record = etree.fromstring(content)
    held = {"nx": NAMESPACE}
    samples = record.findall("nx:sample", held)
    assert [(one.findtext("nx:name", "", held), one.get("ref")) for one in samples] == [
        (GOLD, None),
        ("", PID),
        (WELD, None),
    ]
    assert [etree.QName(one).localname for one in samples[2].find("nx:elements", held)] == [
        "Cr",
        "Fe",
    ]
    assert samples[0].findtext("nx:description", "", held) == "5 nm"
    ids = [one.get("id") for one in samples]
    (activity,) = record.findall("nx:acquisitionActivity", held)
    assert activity.findtext("nx:sampleID", "", held) in ids
    assert len(set(ids)) == len(ids)
    assert record.findtext("nx:title", "", held) == "Dislocations"
    assert record.findtext("nx:summary/nx:experimenter", "", held) == "Ana Ribeiro (ana)"
    assert [one.findtext("nx:project_id", "", held) for one in record.findall("nx:project", held)]


FAULTS: dict[str, tuple[Callable[[Nemo], None], int]] = {
    "503 twice": (lambda nemo: nemo.fail(status=503, count=2, retry_after="1"), 2),
    "429": (lambda nemo: nemo.fail(status=429, count=1), 1),
    "cut in the middle": (lambda nemo: nemo.cut(3), 1),
    "300 ms delay": (lambda nemo: nemo.delay(300), 0),
}
"""Faults, and how many requests have to be repeated."""


@pytest.mark.parametrize("fault", FAULTS)
async def test_faults_change_nothing(context, harvest, nemo, tmp_path, fault) -> None:
    nemo.requests()
    await harvest(nemo).once()
    expected, asked = await statements(context), len(nemo.requests())
    begin, repeated = FAULTS[fault]
    begin(nemo)
    async with empty_stream(tmp_path / "other") as other:
        await harvest_of(other).once()
        found = await statements(other)
    nemo.delay(0)
    assert len(nemo.requests()) == asked + repeated
    assert found == expected


async def test_harvesting_again_states_nothing(context, harvest, nemo) -> None:
    first = harvest(nemo)
    await first.once()
    before = await events(context)
    await first.once()
    await harvest(nemo).once()
    assert await events(context) == before


@pytest.fixture
def facility(tmp_path: Path, nemo: Nemo) -> dict[str, str]:
    """Settings of a facility that has that NEMO, in its folder."""
    tables = [
        f'[[instrument]]\npid = "{one.pid}"\nfilestore_path = "{one.pid}"\n'
        f'calendar = "nemo-1"\ncalendar_id = "{one.calendar_id}"\n'
        for one in INSTRUMENTS.values()
    ]
    (tmp_path / "instruments.toml").write_text("\n".join(tables))
    return {
        "NX_INSTRUMENT_DATA_PATH": str(tmp_path),
        "NX_DATA_PATH": str(tmp_path),
        "NX_NEMO_ADDRESS_1": nemo.address,
        "NX_NEMO_TOKEN_1": HARVESTER,
        "NX_NEMO_SINCE_1": "2025-01-01",
    }


def test_a_dry_run_shows_sessions_and_files_and_writes_nothing(tmp_path, facility) -> None:
    image = tmp_path / "titan" / "image.dm3"
    image.parent.mkdir()
    image.touch()
    during = datetime(2025, 3, 10, 16, tzinfo=UTC).timestamp()
    os.utime(image, (during, during))
    before = set(tmp_path.rglob("*"))
    done = subprocess.run(
        [f"{sysconfig.get_path('scripts')}/nexuslims", "build-records", "-n", "--json"],
        cwd=tmp_path,
        env={**os.environ, **facility},
        capture_output=True,
        check=False,
        text=True,
    )
    listed = {one["session"]: one for one in json.loads(done.stdout)}
    assert set(listed) == {name(number) for number in CASES}
    assert listed[name(2)]["files"] == ["titan/image.dm3"]
    assert (listed[name(2)]["title"], listed[name(2)]["problem"]) == ("Dislocations", "")
    assert listed[name(4)]["problem"] == "no consent"
    assert set(tmp_path.rglob("*")) == before
    assert HARVESTER not in done.stdout + done.stderr


async def test_two_harvesters_at_once_state_each_fact_once(tmp_path, facility) -> None:
    async with running(tmp_path, ["harvester"], **facility) as system:
        rival = system.processes.pop("harvester")
        system.start("harvester")
        system.processes["rival"] = rival
        last = name(20)
        await system.wait_until(lambda item: item.event.session == last)
        for one in ("harvester", "rival"):
            await asyncio.to_thread(system.terminate, one)
        stated = [item.envelope async for item in system.store.read() if isinstance(item, Recorded)]
    ids = [one.id for one in stated]
    assert len(ids) == len(set(ids))
    assert {one.event.session for one in stated} == {name(number) for number in CASES}
    assert sum(isinstance(one.event, SessionStarted) for one in stated) == len(CASES)


async def test_what_changes_in_nemo_is_stated(context, harvest, own_nemo) -> None:
    await harvest(own_nemo).once()
    agreed = '{"data_consent": {"user_input": "Agree"}}'
    own_nemo.change("usage_events", 13, end="2025-03-17T12:30:00-06:00")
    own_nemo.change("usage_events", 16, run_data=agreed)
    own_nemo.change("usage_events", 17, run_data=agreed.replace("Agree", "Disagree"))
    own_nemo.change("usage_events", 19, end="2025-03-21T11:00:00-06:00", has_ended=19)
    own_nemo.change("reservations", 14, cancelled=True)
    own_nemo.delete("usage_events", 18)
    await harvest(own_nemo).once()
    found = await states(context)
    assert (await kinds(context, 13))[-1] == "session-revised"
    assert found[name(13)].schedule.event.end == datetime(2025, 3, 17, 18, 30, tzinfo=UTC)
    assert (await kinds(context, 16))[-2:] == ["session-ended", "reservation-matched"]
    assert (await kinds(context, 17))[-1] == "consent-declined"
    assert "session-ended" in await kinds(context, 19)
    assert (await kinds(context, 14))[-1] == "reservation-missing"
    assert (await kinds(context, 18))[-1] == "session-cancelled"
    own_nemo.change("reservations", 14, cancelled=False)
    await harvest(own_nemo).once()
    assert (await kinds(context, 14))[-1] == "reservation-matched"


async def test_a_poisoned_event_is_a_dead_letter_and_the_others_go_on(
    context, harvest, own_nemo
) -> None:
    own_nemo.change("usage_events", 13, end="2025-03-17T09:00:00-06:00")
    for _ in range(2):
        await harvest(own_nemo).once()
    assert set(await states(context)) == {name(number) for number in CASES} - {name(13)}
    (letter,) = [letter async for letter in context.dead_letters.read()]
    assert letter.subject == "calendar nemo-1, nemo-1 usage_events/13"
    assert "correct it in NEMO" in letter.reason
    own_nemo.change("usage_events", 13, end="2025-03-17T11:10:00-06:00")
    await harvest(own_nemo).once()
    assert (await states(context)).keys() >= {name(13)}


async def test_a_session_left_open_is_found_however_old(context, harvest, nemo) -> None:
    nemo.requests()
    await harvest(nemo, since="2025-04-10").once()
    assert set(await states(context)) == {name(19)}
    assert [one for one in nemo.requests() if "/reservations/" in one and "user_id__in" in one]


async def test_after_a_long_absence_nothing_is_lost(context, harvest, nemo) -> None:
    """The last that was stated is of March; no setting says since when."""
    for number, pid in enumerate(INSTRUMENTS, start=1):
        started = SessionStarted(
            session=f"nemo-1-usage-{900 + number}",
            calendar="nemo-1",
            calendar_event="elsewhere",
            instrument=INSTRUMENTS[pid].as_contract(),
            start=datetime(2025, 3, 8, tzinfo=UTC),
        )
        await context.store.append(envelop(started, source="test"))
    await harvest(nemo, since="").once()
    assert {name(number) for number in CASES} <= set(await states(context))


async def test_a_harvest_that_breaks_off_goes_on_where_it_was(
    context, harvest, nemo, monkeypatch
) -> None:
    store, append, left = context.store, context.store.append, 20

    async def break_off(envelope: Any, **more: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise ConnectionError("broken off")
        return await append(envelope, **more)

    monkeypatch.setattr(store, "append", break_off)
    with pytest.raises(ConnectionError, match="broken off"):
        await harvest(nemo).once()
    left = 1000
    await harvest(nemo).once()
    assert set(await states(context)) == {name(number) for number in CASES}


async def test_who_may_not_view_is_named_the_setting(harvest, nemo) -> None:
    with pytest.raises(CalendarUnavailableError, match="NX_NEMO_TOKEN_1") as caught:
        await harvest(nemo, token=NOBODY).once()
    assert NOBODY not in str(caught.value)
