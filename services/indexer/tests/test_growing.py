"""Files that are written for long, seen by many looks; the clock is the test's."""

import os
import time
from datetime import UTC, datetime, timedelta

import pytest
from services.indexer.tests.office import Office, looked_through

from nexuslims_indexer import instrument, walk
from nexuslims_indexer.app import indexing


def grow(path, size: int, moment) -> None:
    """Write a file further."""
    path.write_bytes(b"x" * size)
    os.utime(path, (moment.timestamp(),) * 2)


@pytest.mark.parametrize("through", ["look", "look_at"])
def test_a_file_that_grows_for_hours_counts_once_and_from_its_beginning(share, through) -> None:
    seen = share.seen(settle=30)
    began = seen.now
    path = share.write("series.dm3", began, b"")
    look = seen.look if through == "look" else lambda after: seen.look_at("Titan", seconds=after)
    for size in range(1, 200):
        look(20)
        grow(path, size, seen.now)
        assert list(seen.last.growing) == ["Titan/series.dm3"]
        assert seen.all_paths() == []
    look(20)
    look(29)
    assert seen.all_paths() == []
    look(1)
    (file,) = seen.files(began - timedelta(hours=1), seen.now)
    assert (file.size, file.began_ns) == (199, round(began.timestamp()) * 10**9)
    assert seen.last.growing == {}


def test_one_that_pauses_longer_than_it_takes_to_rest_counts_each_time_it_rests(share) -> None:
    seen = share.seen(settle=5)
    path = share.write("series.dm3", seen.now, b"x")
    sizes = []
    for size in range(2, 6):
        seen.look(1)
        seen.look(6)
        sizes += [file.size for file in seen.files(share.start, seen.now)]
        grow(path, size, seen.now)
        seen.look(1)
        assert seen.all_paths() == []
    assert sizes == [1, 2, 3, 4]


def test_what_is_read_with_a_file_may_grow_for_long(share) -> None:
    """Such as the data of an ``.rpl``, which is written after it."""
    seen = share.seen(settle=30)
    share.write("map.rpl", seen.now)
    raw = share.write("map.raw", seen.now, b"")
    for size in range(1, 50):
        seen.look_at("Titan", seconds=20)
        assert list(seen.last.growing) == ["Titan/map.rpl"]
        assert seen.all_paths() == []
        grow(raw, size, seen.now)
    seen.look_at("Titan", seconds=1)
    seen.look_at("Titan", seconds=30)
    (file,) = seen.files(share.start, seen.now)
    assert [(name, size) for name, size, _ in file.beside] == [("map.raw", 49)]
    assert file.began_ns == 0


async def test_one_in_a_folder_that_cannot_be_read_any_more_is_not_asked_for_without_end(
    settings, facts, share, monkeypatch
) -> None:
    """It waits for the next look at everything."""
    still = {"file_settle_seconds": 3600, "file_watch": "off"}
    office = Office(settings.model_copy(update=still), facts)
    grow(share.write("deep/a.dm3"), 1, datetime.now(UTC))
    await office.state(*facts.over())
    async with indexing(office.context, office.kinds) as indexer:
        await looked_through(indexer)
        (one,) = indexer.instruments.values()
        assert one._due_growing() < instrument._NEVER
        later = time.time_ns() + 7200 * 10**9
        monkeypatch.setattr(instrument, "time_ns", lambda: later)
        monkeypatch.setattr(walk, "list_folder", refuse)
        await looked_through(indexer)
        assert list(one._growing) == ["Titan/deep/a.dm3"]
        assert one._due_growing() == instrument._NEVER


def refuse(path, choose):
    raise PermissionError(13, "Permission denied")
