"""Consent that is withdrawn after the upload, and records that an operator withdraws."""

import pytest

from nexuslims_contracts.events import (
    RecordUploaded,
    RecordWithdrawn,
    WithdrawalFailed,
)
from nexuslims_shared.consume import RetryLater
from nexuslims_shared.session.state import fold
from nexuslims_shared.session.status import progress
from nexuslims_uploader.archive import ArchiveDestination
from nexuslims_uploader.guarded_calls import ATTEMPTS_BEFORE_FAILURE
from nexuslims_uploader.testing import Crash, FakeDestination, small_record_xml

TWO = small_record_xml("Two")


async def _standing(harness) -> tuple[str, str, str]:
    at = progress(fold(await harness.history()))
    return at.status, at.phase, at.reason


async def _gone(harness) -> list[RecordWithdrawn | WithdrawalFailed]:
    kinds = RecordWithdrawn | WithdrawalFailed
    return [one.event for one in await harness.history() if isinstance(one.event, kinds)]


@pytest.fixture
async def uploaded(harness):
    """Two destinations that hold the record."""
    harness.fakes = FakeDestination("first", 2), FakeDestination("second", 1)
    harness.use(*harness.fakes)
    await harness.begin()
    await harness.handle()
    return harness


async def test_declined_consent_takes_the_record_away_everywhere(uploaded, facts) -> None:
    await uploaded.append(facts.declined())
    assert await _standing(uploaded) == ("NO_CONSENT", "withdrawing from first, second", "no")
    for _ in range(2):
        await uploaded.handle()
    assert [fake.records for fake in uploaded.fakes] == [{}, {}]
    assert [(one.destination, one.record_id, one.reason) for one in await _gone(uploaded)] == [
        ("first", "file-1", "no"),
        ("second", "file-1", "no"),
    ]
    assert await _standing(uploaded) == ("NO_CONSENT", "no consent", "no")
    assert [len(fake.withdrawals) for fake in uploaded.fakes] == [1, 1]


async def test_a_booking_that_is_gone_takes_the_record_away_everywhere(uploaded, facts) -> None:
    await uploaded.append(facts.unbooked())
    assert await _standing(uploaded) == (
        "NO_RESERVATION",
        "withdrawing from first, second",
        "none",
    )
    await uploaded.handle()
    assert [fake.records for fake in uploaded.fakes] == [{}, {}]
    assert await _standing(uploaded) == ("NO_RESERVATION", "no reservation", "none")


async def test_a_session_left_without_files_has_no_record_until_it_has_some_again(
    uploaded, facts
) -> None:
    """Its clock was corrected, say: all of its files are another session's."""
    await uploaded.append(facts.not_found(notes=("1 file: in the record of another",)))
    reason = "nothing in Titan; 1 file: in the record of another"
    at = await _standing(uploaded)
    assert at == ("NO_FILES_FOUND", "withdrawing from first, second", reason)
    await uploaded.handle()
    assert [fake.records for fake in uploaded.fakes] == [{}, {}]
    assert await _standing(uploaded) == ("NO_FILES_FOUND", "no files", reason)
    scan = await uploaded.store.last_sequence()
    await uploaded.append(facts.indexed(1), facts.manifest(1, after=scan))
    await uploaded.build(TWO, 99)
    await uploaded.handle()
    assert [fake.records for fake in uploaded.fakes] == [{"file-1": TWO}] * 2


async def test_consent_given_again_brings_it_back_and_may_be_declined_again(uploaded, facts):
    await uploaded.append(facts.declined())
    await uploaded.handle()
    await uploaded.append(facts.matched(after=6))
    await uploaded.build(TWO, 9)
    await uploaded.handle()
    assert [fake.records for fake in uploaded.fakes] == [{"file-1": TWO}] * 2
    assert await uploaded.exported() is True
    await uploaded.append(facts.declined(after=9))
    await uploaded.handle()
    assert [fake.records for fake in uploaded.fakes] == [{}, {}]
    assert len(await _gone(uploaded)) == 4


async def test_an_operator_withdraws_and_takes_it_back(uploaded, facts) -> None:
    await uploaded.append(facts.withdraw("1", reason="by mail"))
    await uploaded.handle()
    assert await _standing(uploaded) == ("NO_CONSENT", "withdrawn", "by mail")
    await uploaded.build(TWO, 9)
    await uploaded.handle()
    assert [fake.records for fake in uploaded.fakes] == [{}, {}]
    undo = facts.withdraw("2", withdrawn=False)
    await uploaded.append(undo)
    await uploaded.handle()
    assert [fake.records for fake in uploaded.fakes] == [{"file-1": TWO}] * 2
    assert await uploaded.exported() is True


async def test_one_that_is_away_gives_it_back_later_and_the_others_at_once(uploaded, facts):
    first, second = uploaded.fakes
    first.faults += ["away"] * ATTEMPTS_BEFORE_FAILURE
    await uploaded.append(facts.declined())
    for _ in range(ATTEMPTS_BEFORE_FAILURE):
        with pytest.raises(RetryLater, match="first"):
            await uploaded.handle()
        assert second.records == {}
    failed = [one for one in await _gone(uploaded) if isinstance(one, WithdrawalFailed)]
    assert [(one.destination, one.permanent) for one in failed] == [("first", False)]
    status, phase, reason = await _standing(uploaded)
    assert (status, phase) == ("ERROR", "not withdrawn")
    assert reason == "first: away since 2026-01-01 12:00 UTC: no answer; wait"
    await uploaded.handle()
    assert first.records == {}
    assert await _standing(uploaded) == ("NO_CONSENT", "no consent", "no")


async def test_one_that_refuses_is_asked_again_after_a_retry(uploaded, facts) -> None:
    first, _ = uploaded.fakes
    first.faults.append("refuses")
    await uploaded.append(facts.declined())
    for _ in range(2):
        await uploaded.handle()
    assert await _standing(uploaded) == (
        "ERROR",
        "not withdrawn",
        "first: not wanted; change it",
    )
    assert len(first.withdrawals) == 1
    await uploaded.append(facts.retry())
    await uploaded.handle()
    assert first.records == {}


async def test_an_upload_without_an_event_is_withdrawn(harness, facts) -> None:
    fake = FakeDestination(faults=["crashes after accepting"])
    harness.use(fake)
    await harness.begin()
    with pytest.raises(Crash):
        await harness.handle()
    await harness.append(facts.declined())
    await harness.handle()
    assert fake.records == {}
    assert await _gone(harness) == []


async def test_killed_between_withdrawal_and_event(uploaded, facts) -> None:
    first, _ = uploaded.fakes
    first.faults.append("crashes after accepting")
    await uploaded.append(facts.declined())
    with pytest.raises(Crash):
        await uploaded.handle()
    await uploaded.handle()
    assert len(await _gone(uploaded)) == 2


async def test_a_destination_that_is_no_longer_used_is_named(uploaded, facts) -> None:
    _, second = uploaded.fakes
    uploaded.use(second)
    await uploaded.append(facts.declined())
    for _ in range(2):
        await uploaded.handle()
    gone, refused = await _gone(uploaded)
    assert isinstance(refused, WithdrawalFailed)
    assert "NX_DESTINATIONS" in refused.reason
    assert gone.destination == "second"


async def test_nothing_is_asked_where_no_record_was_ever_built(harness, facts) -> None:
    fake = FakeDestination()
    harness.use(fake)
    await harness.append(facts.matched(), facts.ended(), facts.declined())
    await harness.handle()
    assert not fake.withdrawals


@pytest.mark.parametrize("content", [None, b"", b"<half"])
async def test_a_record_that_cannot_be_read_any_more_is_taken_away(uploaded, facts, content):
    artifact = uploaded.settings.records / "file-1.xml"
    artifact.unlink()
    if content is not None:
        artifact.write_bytes(content)
    await uploaded.append(facts.declined())
    await uploaded.handle()
    assert [fake.records for fake in uploaded.fakes] == [{}, {}]
    assert await _standing(uploaded) == ("NO_CONSENT", "no consent", "no")


async def test_a_session_that_the_calendar_cancels_is_taken_away(uploaded, facts) -> None:
    first, _ = uploaded.fakes
    first.faults.append("refuses")
    await uploaded.append(facts.cancelled(reason="never was", after=2))
    assert await _standing(uploaded) == (
        "CANCELLED",
        "withdrawing from first, second",
        "never was",
    )
    await uploaded.handle()
    assert (await _standing(uploaded))[:2] == ("ERROR", "not withdrawn")
    await uploaded.append(facts.retry())
    await uploaded.handle()
    assert [fake.records for fake in uploaded.fakes] == [{}, {}]
    assert await _standing(uploaded) == ("CANCELLED", "cancelled", "never was")


async def test_a_session_that_was_cancelled_by_mistake_is_brought_again(uploaded, facts) -> None:
    for number in (1, 2):
        after = len(await uploaded.history())
        await uploaded.append(facts.cancelled(reason="no", after=after))
        await uploaded.handle()
        assert [fake.records for fake in uploaded.fakes] == [{}, {}]
        after = len(await uploaded.history())
        await uploaded.append(facts.revised(after=after))
        await uploaded.build(TWO, 20 * number)
        await uploaded.handle()
        assert [fake.records for fake in uploaded.fakes] == [{"file-1": TWO}] * 2


async def test_the_archive_forgets_it(harness, facts) -> None:
    records = harness.settings.records
    harness.use(ArchiveDestination(records, harness.settings.data_path))
    await harness.begin()
    await harness.handle()
    assert "file-1.html" in (records / "index.html").read_text()
    await harness.append(facts.declined())
    await harness.handle()
    assert "file-1.html" not in (records / "index.html").read_text()
    assert not list((records / "uploaded").glob("file-1.*"))
    uploads = [one for one in await harness.history() if isinstance(one.event, RecordUploaded)]
    assert len(uploads) == 1
