"""Files whose times are impossible, or of no session; and folders that are not instruments'."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from services.indexer.tests.office import Office, current

from nexuslims_contracts.events import FilesNotFound
from nexuslims_indexer import listing, strays
from nexuslims_indexer.claims import Booked, Sessions
from nexuslims_indexer.place import nanoseconds

MINUTE = timedelta(minutes=1)


async def test_files_of_a_pc_whose_battery_is_dead_are_named(office, share, monkeypatch) -> None:
    """They came in the session's time, by the server's clock, and are dated long ago."""
    for year in (1980, 2000, 2010):
        share.write(f"{year}.dm3", datetime(year, 1, 1, 0, 5, tzinfo=UTC))
    came = nanoseconds(share.start + MINUTE)
    monkeypatch.setattr(strays, "_came", lambda root, file: came)
    await office.state(*office.facts.over())
    await office.wake()
    (event,) = await office.stated(FilesNotFound)
    assert "3 files came in its time but with a time of no session" in event.notes[0]
    assert "Titan/1980.dm3 (1980-01-01)" in event.notes[0]
    (letter,) = [letter async for letter in office.letters.read()]
    assert "battery" in letter.reason


def test_strays_came_in_the_span_and_are_near_no_session(share) -> None:
    now = datetime.now(UTC)
    share.write("old.dm3", datetime(1980, 1, 1, tzinfo=UTC))
    share.write("sessions.dm3", share.start + MINUTE)
    seen = share.seen()
    booked = Booked("a", nanoseconds(share.start), nanoseconds(share.end))
    span = nanoseconds(now - MINUTE), nanoseconds(now + MINUTE)

    def found(low: int, high: int) -> list[str]:
        sessions = Sessions([booked])
        return [one.path for one in strays.strays(seen.index, share.root, sessions, low, high)]

    assert found(*span) == ["Titan/old.dm3"]
    assert found(span[0] - 10**12, span[0]) == []
    assert found(span[1], span[1] + 10**12) == []
    (share.root / "Titan" / "old.dm3").unlink()
    assert found(*span) == []


@pytest.mark.parametrize("year", [1601, 2400])
def test_times_that_no_clock_shows_hold_up_no_look(share, monkeypatch, year: int) -> None:
    """Windows and its shares give 1601 where there is none."""
    share.write("a.dm3")
    share.write("b.dm3")
    moment = round(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 10**9
    asked = os.stat

    def stat(path, **options):
        if path != "b.dm3":
            return asked(path, **options)
        return SimpleNamespace(st_mtime_ns=moment, st_size=1, st_nlink=1)

    monkeypatch.setattr(listing.os, "stat", stat)
    seen = share.seen()
    assert seen.paths() == ["Titan/a.dm3"]
    assert seen.index.count() == 2
    assert listing.time_of(SimpleNamespace(st_mtime_ns=moment)) in (1 - 2**63, 2**63 - 1)


def test_what_file_servers_keep_for_themselves_is_not_looked_through(share) -> None:
    """Removed files and snapshots are the same files again, under names that come and go."""
    share.write("a.dm3")
    for folder in ("#recycle", "$RECYCLE.BIN", ".snapshot/daily", "lost+found", ".Trash-1000"):
        share.write(f"{folder}/a.dm3")
    assert share.found() == ["Titan/a.dm3"]


async def test_a_folder_of_a_session_is_found_in_upper_and_lower_case(
    facts, settings, share
) -> None:
    settings.instruments_file.write_text(
        settings.instruments_file.read_text() + 'folders = "session"\n'
    )
    one = replace(facts, session="file-s-1")
    office = Office(settings, one)
    share.write("File-S-1/late.dm3", share.end + timedelta(days=30))
    await office.state(*one.over())
    await office.wake()
    assert current(await office.folded()) == ["Titan/File-S-1/late.dm3"]
