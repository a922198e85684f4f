"""An operator's corrections: what they change, that they last, what is refused."""

from collections.abc import Sequence
from typing import Any

import pytest

from nexuslims_builder import session_activities
from nexuslims_builder.errors import CorrectionError
from nexuslims_contracts.envelope import Envelope, envelop
from nexuslims_contracts.testing import SessionEvents

EVENTS = SessionEvents()


async def shape(facility) -> list[list[str]]:
    """Names of the files of each activity of the record."""
    experiment = await facility.record()
    return [[one.name for one in activity.datasets] for activity in experiment.activities]


async def correct(facility, split: Sequence[str] = (), merge: Sequence[str] = ()) -> None:
    """Correct the session as the command does, and let the builder know."""
    await session_activities.correct(
        facility.store, facility.settings, EVENTS.session, split, merge
    )
    await facility.tell()


async def test_an_activity_is_split_where_an_operator_wants_it(facility) -> None:
    await facility.tell(*EVENTS.inputs())
    assert await shape(facility) == [["f1", "f2", "f3"]]
    await correct(facility, split=["f3"])
    assert await shape(facility) == [["f1", "f2"], ["f3"]]
    await correct(facility, split=["f2"])
    assert await shape(facility) == [["f1"], ["f2"], ["f3"]]
    await correct(facility, merge=["f3"])
    assert await shape(facility) == [["f1"], ["f2", "f3"]]


async def test_a_correction_survives_rebuilds_and_late_files(facility) -> None:
    await facility.tell(*EVENTS.inputs())
    await correct(facility, split=["f3"])
    await facility.tell(EVENTS.rebuild())
    late = (EVENTS.indexed(4), EVENTS.manifest(4, after=7), EVENTS.extracted(4))
    await facility.tell(*late)
    assert await shape(facility) == [["f1", "f2"], ["f3", "f4"]]


async def test_activities_that_times_divide_are_merged(facility) -> None:
    apart = [
        EVENTS.indexed(3, mtime_ns=10**15) if one == EVENTS.indexed(3) else one
        for one in EVENTS.inputs()
    ]
    await facility.tell(*apart)
    assert await shape(facility) == [["f1", "f2"], ["f3"]]
    await correct(facility, merge=["f3"])
    assert await shape(facility) == [["f1", "f2", "f3"]]


@pytest.mark.parametrize(
    ("split", "merge", "message"),
    [
        (["f1"], [], "begins with f1 already"),
        (["f9"], [], "no file 'f9'"),
        ([], ["f2"], "these do: none"),
        ([], ["f1"], "no activity after the first begins with f1"),
    ],
)
async def test_a_correction_that_changes_nothing_is_refused(
    facility, split: list[str], merge: list[str], message: str
) -> None:
    await facility.tell(*EVENTS.inputs())
    with pytest.raises(CorrectionError, match=message):
        await correct(facility, split, merge)
    assert len(await facility.outcomes()) == 1


async def test_a_session_that_nobody_knows_is_named(facility) -> None:
    with pytest.raises(CorrectionError, match="no session 'file-9'"):
        await session_activities.correct(facility.store, facility.settings, "file-9")


async def test_of_two_corrections_at_once_one_is_refused(
    facility, monkeypatch: pytest.MonkeyPatch
) -> None:
    await facility.tell(*EVENTS.inputs())
    append = facility.store.append

    async def overtaken(envelope: Envelope, **options: int) -> Any:
        await append(envelop(EVENTS.corrected(splits=[2]), source="test"))
        return await append(envelope, **options)

    monkeypatch.setattr(facility.store, "append", overtaken)
    with pytest.raises(CorrectionError, match="look at it again"):
        await correct(facility, split=["f3"])
