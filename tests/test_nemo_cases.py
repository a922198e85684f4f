"""155 sessions of a real NEMO and NEMO-CE: what comes of each, and what one sweep finds later."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from nexuslims_contracts.events import BookingTexts, ReservationMatched
from nexuslims_harvester.errors import CalendarUnavailableError
from nexuslims_harvester.harvest import Harvest
from nexuslims_shared.artifacts import read_artifact
from nexuslims_shared.service import ServiceContext
from nexuslims_shared.session.state import SessionState, fold
from nexuslims_shared.session.status import Status, progress
from nexuslims_shared.store.port import read_session
from tests.nemo.cases import (
    BOOKED,
    CASES,
    IGNORED,
    NO,
    POST,
    PRE,
    RUNNING,
    TITAN,
    UNBOOKED,
    WRONG,
    Case,
)
from tests.nemo.harvest import case_harvest, empty_stream, nemo_or_skip
from tests.nemo.lab import NEMO, NEMO_CE, Nemo

pytestmark = [pytest.mark.nemo, pytest.mark.broker, pytest.mark.timeout(400)]

BEGIN = datetime(2025, 4, 1, 8, tzinfo=ZoneInfo("America/Denver"))
NUMBERS = {case.key: number for number, case in enumerate(CASES, start=1)}
EXPECTED = {
    POST: Status.TO_BE_BUILT,
    PRE: Status.TO_BE_BUILT,
    BOOKED: Status.TO_BE_BUILT,
    NO: Status.NO_CONSENT,
    UNBOOKED: Status.NO_RESERVATION,
    RUNNING: Status.WAITING_FOR_END,
    WRONG: None,
    IGNORED: None,
}
SUFFIX = {POST: "after", PRE: "before", BOOKED: "booked"}


@pytest.fixture(params=[NEMO, NEMO_CE])
def nemo(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Nemo]:
    """Each of the two, with the sessions, to change."""
    folder = tmp_path / "nemo"
    folder.mkdir()
    with nemo_or_skip(folder, content="cases", requirement=request.param) as running_one:
        yield running_one


@pytest.fixture
async def context(tmp_path: Path) -> AsyncIterator[ServiceContext]:
    """An empty stream."""
    async with empty_stream(tmp_path / "state") as made:
        yield made


@pytest.fixture
def harvest(context: ServiceContext, nemo: Nemo, monkeypatch: pytest.MonkeyPatch) -> Harvest:
    """A harvest of that NEMO."""
    return case_harvest(context, nemo, monkeypatch)


async def state_of(context: ServiceContext, key: str) -> SessionState:
    return await state_of_number(context, NUMBERS[key])


def status_of(state: SessionState) -> Status | None:
    return progress(state).status if state.started else None


async def outcome(context: ServiceContext, case: Case) -> dict[str, Any]:
    """What came of a case, in the words of its expectation."""
    state = await state_of(context, case.key)
    found: dict[str, Any] = {"status": status_of(state)}
    booking = state.booking.event if state.booking else None
    if not isinstance(booking, ReservationMatched):
        return found
    schedule: Any = state.schedule.event
    texts: Any = booking
    if booking.complete is not None:
        content = read_artifact(context.settings.data_path, booking.complete)
        texts = BookingTexts.model_validate_json(content)
    who = await context.people.find(booking.experimenter or "")
    return found | {
        "tier": booking.tier,
        "title": texts.title,
        "samples": tuple(one.name or one.ref for one in texts.samples),
        "projects": tuple(one.project_id for one in texts.projects),
        "who": who.display if who else "",
        "on": schedule.instrument.pid,
        "start": schedule.start,
        "end": getattr(schedule, "end", None),
    }


def expectation(case: Case) -> dict[str, Any]:
    expected: dict[str, Any] = {"status": EXPECTED[case.expect]}
    tier = PRE if case.expect == RUNNING else case.expect
    if tier not in SUFFIX:
        return expected
    start = BEGIN + timedelta(hours=12 * (NUMBERS[case.key] - 1))
    first, last = case.hours
    return expected | {
        "tier": tier,
        "title": case.title if case.title is not None else f"{case.key} {SUFFIX[tier]}",
        "samples": case.samples,
        "projects": case.projects,
        "who": case.who or "Ana Ribeiro (ana)",
        "on": case.on or case.tool,
        "start": start + timedelta(hours=first),
        "end": start + timedelta(hours=last) if last is not None else None,
    }


async def test_all_come_out_as_stated(harvest, context, nemo) -> None:
    nemo.requests()
    await harvest.once()
    assert len(nemo.requests()) <= 10
    wrong = {}
    for case in CASES:
        found, expected = await outcome(context, case), expectation(case)
        if found != expected:
            wrong[case.key] = {one: (found.get(one), expected.get(one)) for one in expected}
    assert wrong == {}
    letters = [letter.subject async for letter in context.dead_letters.read()]
    assert letters == [
        f"calendar nemo-1, nemo-1 usage_events/{NUMBERS[case.key]}"
        for case in CASES
        if case.expect == WRONG
    ]
    before = await context.store.last_sequence()
    await harvest.once()
    await harvest.sweep()
    assert await context.store.last_sequence() == before, "nothing is stated twice"


# --- changes ---


@pytest.fixture
async def harvested(harvest: Harvest) -> Harvest:
    """The same, which has stated all sessions."""
    await harvest.once()
    return harvest


async def state_of_number(context: ServiceContext, number: int) -> SessionState:
    return fold(await read_session(context.store, f"nemo-1-usage-{number}"))


def numbers(tier: str) -> list[int]:
    """Usage events with a record that these answers told of, on the first tool."""
    return [n for n, case in enumerate(CASES, start=1) if (case.expect, case.tool) == (tier, TITAN)]


async def test_one_sweep_finds_changes_of_any_age(harvested, context, nemo) -> None:
    answered_after = numbers("post-run")
    refused, deleted, moved, corrected, renamed = answered_after[:5]
    (cancelled,) = (n for n, case in enumerate(CASES, 1) if case.key == "a minute of overlap")
    (reversed_,) = (n for n in numbers("wrong")[:1])
    answer = json.dumps({"data_consent": {"user_input": "Do not agree"}})
    nemo.change("usage_events", refused, run_data=answer)
    nemo.delete("usage_events", deleted)
    nemo.change("usage_events", moved, tool=3)
    evening, night = "2025-04-01T23:00:00-06:00", "2025-04-01T23:59:00-06:00"
    nemo.change("usage_events", corrected, start=evening, end=night)
    nemo.change("usage_events", reversed_, start=evening, end=night)
    nemo.change("users", 3, username="ana.new")
    late = nemo.add(
        "usage_events", user=3, operator=3, project=1, tool=1, has_ended=999,
        start="2025-02-01T09:00:00-07:00", end="2025-02-01T10:00:00-07:00",
        run_data=json.dumps({"data_consent": {"user_input": "Agree"}}),
    )  # fmt: skip
    booking = (await state_of_number(context, cancelled)).booking.event.reservation
    nemo.change("reservations", int(booking), cancelled=True)
    await harvested.once()
    assert progress(await state_of_number(context, refused)).status is Status.TO_BE_BUILT, (
        "it is of another month"
    )
    await harvested.sweep()
    statuses = {
        number: progress(await state_of_number(context, number)).status
        for number in (refused, deleted, moved, corrected, reversed_, late, cancelled)
    }
    assert statuses == {
        refused: Status.NO_CONSENT,
        deleted: Status.CANCELLED,
        moved: Status.CANCELLED,
        corrected: Status.TO_BE_BUILT,
        reversed_: Status.TO_BE_BUILT,
        late: Status.TO_BE_BUILT,
        cancelled: Status.NO_RESERVATION,
    }
    assert (await state_of_number(context, corrected)).schedule.event.end == datetime(
        2025, 4, 2, 5, 59, tzinfo=UTC
    )
    person = (await state_of_number(context, renamed)).booking.event.experimenter
    assert (await context.people.find(person)).display == "Ana Ribeiro (ana.new)"


async def test_a_nemo_that_lost_its_last_sessions_withdraws_nothing(
    harvested, context, nemo
) -> None:
    last = numbers("post-run")[-12:]
    for number in last:
        nemo.delete("usage_events", number)
    before = await context.store.last_sequence()
    await harvested.sweep()
    await harvested.once()
    assert await context.store.last_sequence() == before
    letters = [letter async for letter in context.dead_letters.read()]
    assert letters[-1].subject == "calendar nemo-1, withdrawals"
    assert "12 sessions" in letters[-1].reason


async def test_a_nemo_that_dies_in_the_middle_leaves_nothing_half(
    context, nemo, monkeypatch
) -> None:
    harvest = case_harvest(context, nemo, monkeypatch)
    nemo.fail(status=503, count=99)
    with pytest.raises(CalendarUnavailableError, match="in trouble"):
        await harvest.once()
    assert await context.store.last_sequence() == 0
    nemo.fail(count=0)
    nemo.cut(3)
    await harvest.once()
    assert await context.store.last_sequence() > 0
