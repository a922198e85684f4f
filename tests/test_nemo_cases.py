"""155 sessions of a real NEMO and NEMO-CE: what must come of each, stated in ``nemo/cases.py``."""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from nexuslims_contracts.events import BookingTexts, ReservationMatched
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


def name(key: str) -> str:
    return f"nemo-1-usage-{NUMBERS[key]}"


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
    return fold(await read_session(context.store, name(key)))


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
