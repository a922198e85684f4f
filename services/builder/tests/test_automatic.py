"""Records of an earlier release: found in the log, rebuilt in a share of the time, only once."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexuslims_builder.build import builder_version
from nexuslims_builder.rebuild import automatic
from nexuslims_builder.rebuild.automatic import (
    LEASE,
    earlier_sessions,
    is_earlier,
    keep_up_to_date,
    rebuild_earlier,
    rest_after,
)
from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.events import RecordBuilt, RecordRejected
from nexuslims_contracts.testing import SessionEvents
from nexuslims_shared.leases import MemoryLeases
from nexuslims_shared.people import MemoryPeople
from nexuslims_shared.service import ServiceContext
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.memory import MemoryEventStore

OLD, NOW, NEXT = "0.0.1", builder_version(), "99.0"


class Facility:
    """A log of sessions, each with a record of some release."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.context = ServiceContext(
            Settings(
                instrument_data_path=folder,
                data_path=folder,
                **{"earlier_records_share": 1.0, **settings},
            ),
            MemoryEventStore(),
            MemoryPeople(),
            None,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
        )

    async def build(self, *sessions: str, by: str) -> None:
        for session in sessions:
            made = SessionEvents(session)
            built = made.built(await self.context.store.last_sequence() + 1)
            for event in (*made.inputs(), built.model_copy(update={"builder": by})):
                await self.context.store.append(envelop(event, source="test"))

    async def rebuilt(self) -> list[RecordBuilt]:
        read = self.context.store.read(filters=(RecordBuilt.filter(),))
        return [item.event async for item in read if item.event.replaces]


@pytest.fixture
def facility(tmp_path: Path) -> Facility:
    return Facility(tmp_path)


async def test_records_of_earlier_releases_only_are_rebuilt(facility: Facility) -> None:
    await facility.build("a", "b", by=OLD)
    await facility.build("c", by=NOW)
    await facility.build("d", by=NEXT)
    assert await earlier_sessions(facility.context.store, NOW) == ("a", "b")
    assert sum((await rebuild_earlier(facility.context)).values()) == 2
    assert [(one.session, one.builder) for one in await facility.rebuilt()] == [
        ("a", NOW),
        ("b", NOW),
    ]
    assert await rebuild_earlier(facility.context) == Counter()


async def test_a_job_that_was_stopped_goes_on_with_what_is_left(
    facility: Facility, monkeypatch: pytest.MonkeyPatch
) -> None:
    await facility.build("a", "b", "c", by=OLD)
    rebuild = automatic.Rebuilder.rebuild

    async def stop_at_second(self: automatic.Rebuilder, session: str) -> object:
        if session == "b":
            raise asyncio.CancelledError
        return await rebuild(self, session)

    monkeypatch.setattr(automatic.Rebuilder, "rebuild", stop_at_second)
    with pytest.raises(asyncio.CancelledError):
        await rebuild_earlier(facility.context)
    monkeypatch.undo()
    await rebuild_earlier(facility.context)
    assert [one.session for one in await facility.rebuilt()] == ["a", "b", "c"]


@pytest.mark.parametrize(("setting", "uploads"), [("rebuild", False), ("upload", True)])
async def test_destinations_keep_theirs_unless_the_setting_says_otherwise(
    tmp_path: Path, setting: str, uploads: bool
) -> None:
    facility = Facility(tmp_path, earlier_records=setting)
    await facility.build("a", by=OLD)
    await keep_up_to_date(facility.context, MemoryLeases())
    assert [one.upload for one in await facility.rebuilt()] == [uploads]


async def test_it_can_be_switched_off(tmp_path: Path) -> None:
    facility = Facility(tmp_path, earlier_records="off")
    await facility.build("a", by=OLD)
    await keep_up_to_date(facility.context, MemoryLeases())
    assert await facility.rebuilt() == []


async def test_one_builder_of_several_does_it(
    facility: Facility, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one waits, and goes on if the first one died."""
    monkeypatch.setattr(automatic, "_AGAIN_S", 0.01)
    await facility.build("a", by=OLD)
    leases = MemoryLeases()
    async with leases.hold(LEASE):
        waiting = asyncio.create_task(keep_up_to_date(facility.context, leases))
        done, _ = await asyncio.wait([waiting], timeout=0.1)
        assert not done
        assert await facility.rebuilt() == []
    await waiting
    assert len(await facility.rebuilt()) == 1


@given(st.floats(0.001, 1000), st.floats(0.01, 1))
def test_live_work_keeps_its_share(worked: float, share: float) -> None:
    rest = rest_after(worked, share)
    assert worked / (worked + rest) == pytest.approx(share)


async def test_a_refusal_of_an_earlier_release_is_tried_again(facility: Facility) -> None:
    made = SessionEvents("a")
    refused = RecordRejected(
        session="a", problems=("line 1",), inputs_through_seq=9, inputs_digest="0", builder=OLD
    )
    for event in (*made.inputs(), refused):
        await facility.context.store.append(envelop(event, source="test"))
    assert await earlier_sessions(facility.context.store, NOW) == ("a",)


@pytest.mark.parametrize(
    ("one", "other", "earlier"),
    [("1.9", "1.10", True), ("1.10", "1.9", False), ("1.0", "1.0", False), ("mine", "1.0", False)],
)
def test_releases_are_compared_as_versions(one: str, other: str, earlier: bool) -> None:
    assert is_earlier(one, other) is earlier
