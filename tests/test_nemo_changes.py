"""What changes in a real NEMO long after the session: one sweep finds it, of whatever age it is."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nexuslims_harvester.errors import CalendarUnavailableError
from nexuslims_harvester.harvest import Harvest
from nexuslims_shared.service import ServiceContext
from nexuslims_shared.session.state import SessionState, fold
from nexuslims_shared.session.status import Status, progress
from nexuslims_shared.store.port import read_session
from tests.nemo.cases import CASES, TITAN
from tests.nemo.harvest import case_harvest, empty_stream, nemo_or_skip
from tests.nemo.lab import NEMO, NEMO_CE, Nemo

pytestmark = [pytest.mark.nemo, pytest.mark.broker, pytest.mark.timeout(400)]


@pytest.fixture(params=[NEMO, NEMO_CE])
def nemo(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Nemo]:
    """Each of the two, with the sessions of ``cases.py``, to change."""
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
async def harvest(context: ServiceContext, nemo: Nemo, monkeypatch: pytest.MonkeyPatch) -> Harvest:
    """A harvest that has stated all sessions."""
    made = case_harvest(context, nemo, monkeypatch)
    await made.once()
    return made


@pytest.fixture
def find(context: ServiceContext) -> Callable[..., object]:
    """Return sessions whose booking, schedule or user are as wanted, by number of usage event."""

    async def state(number: int) -> SessionState:
        return fold(await read_session(context.store, f"nemo-1-usage-{number}"))

    return state


def numbers(tier: str) -> list[int]:
    """Usage events with a record that these answers told of, on the first tool."""
    return [n for n, case in enumerate(CASES, start=1) if (case.expect, case.tool) == (tier, TITAN)]


async def test_one_sweep_finds_changes_of_any_age(harvest, context, nemo, find) -> None:
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
    booking = (await find(cancelled)).booking.event.reservation
    nemo.change("reservations", int(booking), cancelled=True)
    await harvest.once()
    assert progress(await find(refused)).status is Status.TO_BE_BUILT, "it is of another month"
    await harvest.sweep()
    statuses = {
        number: progress(await find(number)).status
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
    assert (await find(corrected)).schedule.event.end == datetime(2025, 4, 2, 5, 59, tzinfo=UTC)
    person = (await find(renamed)).booking.event.experimenter
    assert (await context.people.find(person)).display == "Ana Ribeiro (ana.new)"


async def test_a_nemo_that_lost_its_last_sessions_withdraws_nothing(harvest, context, nemo) -> None:
    last = numbers("post-run")[-12:]
    for number in last:
        nemo.delete("usage_events", number)
    before = await context.store.last_sequence()
    await harvest.sweep()
    await harvest.once()
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
