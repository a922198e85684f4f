"""The local archive after a crash: the next attempt leaves what one without a crash does."""

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from services.uploader.tests.archive.pages import listed, mortal, snapshot

from nexuslims_uploader.archive import ArchiveDestination
from nexuslims_uploader.testing import (
    record_to_upload,
    small_record_xml,
)

DECEMBER = datetime(2018, 12, 24, 9, tzinfo=ZoneInfo("America/Denver"))


@pytest.mark.parametrize("survives", range(20))
@pytest.mark.parametrize(
    "case",
    [(moves, alone) for moves in ("to a file", "to a month", "away") for alone in (True, False)],
)
async def test_a_crash_between_any_two_changes_is_made_good(
    destination, tmp_path, monkeypatch, survives, case
) -> None:
    """The next attempt leaves what one without a crash does."""
    (moves, alone), records = case, destination._records
    elsewhere = tmp_path / "other" / "records"
    clean = ArchiveDestination(elsewhere, elsewhere.parent)
    old = record_to_upload(small_record_xml("Old"))
    new = record_to_upload(small_record_xml("New"), file_name="2018-11-14_FEI-Titan-TEM_204.xml")
    if moves == "to a month":
        new = replace(new, start=DECEMBER)
    for one in (destination, clean):
        if not alone:
            await one.upload(record_to_upload(session="file-2", file_name="b.xml"), {})
        await one.upload(old, {})
    work = "_take_out" if moves == "away" else "_store"
    with mortal(monkeypatch, survives):
        getattr(destination, work)(new if moves != "away" else old)
    for one in (destination, clean):
        if moves == "away":
            await one.withdraw(old, {})
        else:
            await one.upload(new, {})
    assert snapshot(records) == snapshot(elsewhere)
    assert len(listed(records)) == (moves != "away") + (not alone)


@pytest.mark.parametrize("survives", range(12))
async def test_a_crash_in_the_first_upload_is_made_good(
    destination, records, tmp_path, monkeypatch, survives
) -> None:
    record = record_to_upload()
    with mortal(monkeypatch, survives):
        destination._store(record)
    cut_short = snapshot(records)
    await destination.upload(record, {})
    whole = snapshot(records)
    elsewhere = tmp_path / "other" / "records"
    await ArchiveDestination(elsewhere, elsewhere.parent).upload(record, {})
    assert whole == snapshot(elsewhere)
    assert (cut_short == whole) == (survives >= 8)


@pytest.mark.parametrize("survives", range(12))
async def test_a_first_upload_that_was_cut_short_is_withdrawn(
    destination, records, monkeypatch, survives
) -> None:
    record = record_to_upload()
    with mortal(monkeypatch, survives):
        destination._store(record)
    await destination.withdraw(record, {})
    assert set(snapshot(records)) <= {"index.html", "uploaded/.lock"}
