"""The uploader verifies slowly by itself; a metric says what is not well, also after a restart."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from nexuslims_contracts.testing import SessionEvents
from nexuslims_shared.artifacts import write_artifact
from nexuslims_shared.leases import MemoryLeases
from nexuslims_shared.store.port import read_session
from nexuslims_shared.telemetry.metrics import VERIFIED, VERIFY_FINDINGS
from nexuslims_uploader.rounds import Rounds
from nexuslims_uploader.testing import FakeDestination, small_record_xml
from nexuslims_uploader.verify import Verifier
from nexuslims_uploader.verify_files import FileVerifier
from nexuslims_uploader.verifying import FINDINGS, keep_verifying, slow_verification

SESSIONS = [f"file-{number}" for number in range(4)]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WEEK = timedelta(hours=168)


@pytest.fixture
async def held(harness):
    """Four records at a destination; the clock stands at noon."""
    VERIFY_FINDINGS.clear()
    harness.fake = FakeDestination()
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


def verifier_of(held) -> Verifier:
    files = FileVerifier(held.context(), hashing=False, repair=False)
    leases = MemoryLeases()
    return Verifier(held.context(), [held.fake], leases, repair=False, files=files)


def verifying(held) -> Rounds:
    return slow_verification(held.context(), verifier_of(held), now=lambda: held.now)


async def go_round(held, rounds: Rounds) -> None:
    for _ in SESSIONS:
        await rounds.step()
        held.now += WEEK / len(SESSIONS)


def found() -> dict[tuple[str, str], float]:
    (metric,) = VERIFY_FINDINGS.collect()
    return {
        (one.labels["place"], one.labels["problem"]): one.value
        for one in metric.samples
        if one.value
    }


async def test_what_is_well_is_not_counted(held) -> None:
    await go_round(held, verifying(held))
    assert found() == {}
    assert len(next(iter(VERIFY_FINDINGS.collect())).samples) == 3 * 5, "zeros are published"
    assert VERIFIED._value.get() == (NOON + WEEK * 3 / 4).timestamp()


async def test_what_is_missing_is_counted_until_it_is_back(held) -> None:
    rounds = verifying(held)
    kept = dict(held.fake.records)
    for session in SESSIONS[:2]:
        del held.fake.records[session]
    held.fake.records["file-2"] = b"theirs"
    await go_round(held, rounds)
    assert found() == {("fake", "missing"): 2, ("fake", "changed"): 1}
    again = verifying(held)
    assert found() == {("fake", "missing"): 2, ("fake", "changed"): 1}, "after a restart"
    held.fake.records |= kept
    await go_round(held, again)
    assert found() == {}


async def test_a_lost_record_file_is_counted_and_nothing_is_requested(held) -> None:
    (held.settings.records / "1.xml").unlink()
    before = len(await read_session(held.store, "file-1"))
    await go_round(held, verifying(held))
    assert found() == {("artifacts", "missing"): 1, ("fake", "unknown"): 1}
    assert len(await read_session(held.store, "file-1")) == before


@pytest.mark.parametrize("content", ["", "[]", '{"file-1": 7}'])
async def test_what_cannot_be_read_after_a_restart_is_found_again(held, content) -> None:
    (held.settings.records / FINDINGS).write_text(content)
    del held.fake.records["file-0"]
    rounds = verifying(held)
    assert found() == {}
    await go_round(held, rounds)
    assert found() == {("fake", "missing"): 1}


async def test_without_an_interval_nothing_is_verified(held) -> None:
    context = held.context()
    settings = context.settings.model_copy(update={"verify_hours": 0.0})
    held.fake.records.clear()
    context = replace(context, settings=settings)
    await keep_verifying(context, verifier_of(held), MemoryLeases())
    assert found() == {}
