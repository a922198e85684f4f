"""What people add without an update is found by a slow look that goes on after a restart."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from nexuslims_contracts.datasets import CuratedDataset
from nexuslims_contracts.events import RecordCurated
from nexuslims_contracts.testing import SessionEvents
from nexuslims_shared.artifacts import write_artifact
from nexuslims_shared.errors import BrokerUnavailableError
from nexuslims_shared.leases import MemoryLeases
from nexuslims_shared.store.port import read_session
from nexuslims_shared.telemetry.metrics import CURATION_LOOKED
from nexuslims_uploader.look import NAME, additions_look, keep_looking
from nexuslims_uploader.rounds import Rounds, position_file
from nexuslims_uploader.testing import FakeDestination, small_record_xml

GOLD = CuratedDataset(location="a.dm3", name="a.dm3", descriptions=("Gold",), rating=5)
SESSIONS = [f"file-{number}" for number in range(4)]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PAUSE = timedelta(hours=6)


class Looked(FakeDestination):
    """A destination that says what people added."""

    found: tuple[CuratedDataset, ...] | None = None
    looked_at: list[str]

    async def additions(self, record, previous):
        self.looked_at.append(record.session)
        self._fail(record)
        return self.found


@pytest.fixture
async def held(harness):
    """Four records at a destination; the clock stands at noon."""
    harness.fake = Looked()
    harness.fake.looked_at = []
    harness.use(harness.fake)
    for number, session in enumerate(SESSIONS):
        events, xml = SessionEvents(session), small_record_xml(number=number, session=session)
        artifact = write_artifact(harness.settings.records, f"{number}.xml", xml)
        await harness.append(
            events.matched(), events.ended(), events.built(2, xml, record=artifact)
        )
        await harness.uploader.handle(tuple((await read_session(harness.store, session))[-1:]))
    harness.now = NOON
    return harness


def looking(held) -> Rounds:
    return additions_look(held.context(), held.uploader, now=lambda: held.now)


async def curations(held, session: str) -> list[RecordCurated]:
    history = await read_session(held.store, session)
    return [one.event for one in history if isinstance(one.event, RecordCurated)]


async def test_what_people_added_is_stated_once_without_an_update(held) -> None:
    held.fake.found = (GOLD,)
    look = looking(held)
    for _ in range(2 * len(SESSIONS)):
        await look.step()
        held.now += PAUSE
    assert held.fake.looked_at == SESSIONS * 2
    assert [one.datasets for one in await curations(held, "file-2")] == [(GOLD,)]
    assert len(held.fake.calls) == len(SESSIONS), "nothing was uploaded for it"


async def test_the_records_are_spread_over_the_interval(held) -> None:
    look = looking(held)
    assert await look.step() == PAUSE.total_seconds()
    held.now += PAUSE / 2
    assert await look.step() == PAUSE.total_seconds() / 2
    assert held.fake.looked_at == SESSIONS[:1]
    assert CURATION_LOOKED._value.get() == NOON.timestamp()


async def test_it_goes_on_after_a_restart(held) -> None:
    first = looking(held)
    for _ in range(2):
        await first.step()
        held.now += PAUSE
    again = looking(held)
    await again.step()
    assert held.fake.looked_at == SESSIONS[:3]


@pytest.mark.parametrize("content", ["", "[]", '{"session": "x"}'])
async def test_a_position_that_cannot_be_read_begins_anew(held, content) -> None:
    (held.settings.records / position_file(NAME)).write_text(content)
    await looking(held).step()
    assert held.fake.looked_at == SESSIONS[:1]


async def test_a_destination_that_is_away_or_a_lost_file_keeps_nobody_waiting(held) -> None:
    held.fake.faults += ["away"]
    (held.settings.records / "1.xml").unlink()
    look = looking(held)
    for _ in SESSIONS:
        await look.step()
        held.now += PAUSE
    assert "file-3" in held.fake.looked_at
    assert await curations(held, "file-0") == []


async def test_without_the_broker_the_same_record_is_next(held, monkeypatch) -> None:
    read_back, failures = held.uploader.read_back, [BrokerUnavailableError("away")]

    async def unavailable_once(session):
        if failures:
            raise failures.pop()
        await read_back(session)

    monkeypatch.setattr(held.uploader, "read_back", unavailable_once)
    look = looking(held)
    with pytest.raises(BrokerUnavailableError):
        await look.step()
    await look.step()
    assert held.fake.looked_at == SESSIONS[:1]


async def test_a_withdrawn_record_is_not_asked_for(held) -> None:
    await held.append(SessionEvents("file-0").declined(after=1))
    await looking(held).step()
    assert held.fake.looked_at == []


async def test_without_an_interval_nobody_looks(held) -> None:
    context = held.context()
    settings = context.settings.model_copy(update={"curation_look_hours": 0.0})
    await keep_looking(replace(context, settings=settings), held.uploader, MemoryLeases())
    assert held.fake.looked_at == []
