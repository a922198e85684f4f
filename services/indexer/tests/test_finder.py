"""Which files a session has."""

import errno
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from nexuslims_indexer.errors import ShareUnavailableError
from nexuslims_indexer.finder import Found, FoundFile, Search, find_files


def failing(name: str, error: OSError, real=os.scandir):
    """A scandir that fails for folders of a name."""

    def scandir(folder):
        if Path(folder).name == name:
            raise error
        return real(folder)

    return scandir


def test_a_file_belongs_to_the_session_after_its_start_and_until_its_end(share) -> None:
    micro = timedelta(microseconds=1)
    for name, moment in (
        ("before.dm3", share.start - micro),
        ("start.dm3", share.start),
        ("first.dm3", share.start + micro),
        ("last.dm3", share.end),
        ("after.dm3", share.end + micro),
    ):
        path = share.write(name)
        nanoseconds = round((moment - share.start) / micro) * 1000
        stamp = int(share.start.timestamp()) * 10**9 + nanoseconds
        os.utime(path, ns=(stamp, stamp))
    assert share.found() == ["Titan/first.dm3", "Titan/last.dm3"]


def test_the_offset_of_the_session_counts_and_a_missing_one_is_a_mistake(share) -> None:
    share.write("a.dm3")
    denver = timezone(timedelta(hours=-7))
    local = Search(
        share.root,
        "Titan",
        share.start.astimezone(denver),
        share.end.astimezone(denver),
        "exclusive",
    )
    assert [file.path for file in find_files(local).files] == ["Titan/a.dm3"]
    naive = Search(share.root, "Titan", datetime(2018, 1, 1), share.end, "exclusive")  # noqa: DTZ001 - the mistake
    with pytest.raises(TypeError):
        find_files(naive)


def test_files_come_in_the_order_of_time_then_path(share) -> None:
    later = share.start + timedelta(minutes=2)
    for name, moment in (("c/a.dm3", later), ("b.dm3", None), ("a.dm3", None)):
        share.write(name, moment)
    assert share.found() == ["Titan/a.dm3", "Titan/b.dm3", "Titan/c/a.dm3"]


def test_size_and_time_are_those_of_the_file(share) -> None:
    path = share.write("a.dm3", content=b"12345")
    assert share.search().files == (FoundFile(path.stat().st_mtime_ns, "Titan/a.dm3", 5),)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("exclusive", ["A.DM3", "b.Tif", "c.h5"]),
        ("inclusive", ["A.DM3", "b.Tif", "c.h5", "dm3", "notes.txt"]),
    ],
)
def test_strategies(share, strategy: str, expected: list[str]) -> None:
    for name in ("A.DM3", "b.Tif", "c.h5", "notes.txt", "dm3"):
        share.write(name)
    assert share.found(strategy=strategy) == [f"Titan/{name}" for name in expected]


def test_ignored_names_are_ignored_in_upper_and_lower_case(share) -> None:
    for name in ("a.MIB", "Thumbs.db", "b_raw1.tif", "b_raw.tif", "c.tif"):
        share.write(name)
    found = share.found(strategy="inclusive", ignore=("*.mib", "thumbs.DB", "*_raw[0-9].tif"))
    assert found == ["Titan/b_raw.tif", "Titan/c.tif"]


def test_linked_folders_are_searched_in_addition(share, tmp_path: Path) -> None:
    share.write("real/a.dm3")
    elsewhere = tmp_path / "elsewhere"
    share.write(elsewhere / "deep" / "b.dm3")
    (share.root / "Titan" / "linked").symlink_to(elsewhere)
    assert share.found() == ["Titan/linked/deep/b.dm3", "Titan/real/a.dm3"]


@pytest.mark.parametrize("link", ["aaa", "zzz"])
def test_a_file_is_found_once_under_its_own_name_whatever_links_are_called(
    share, link: str
) -> None:
    share.write("real/a.dm3")
    top = share.root / "Titan"
    (top / link).symlink_to(top / "real")
    (top / f"{link}.dm3").symlink_to(top / "real" / "a.dm3")
    assert share.found() == ["Titan/real/a.dm3"]


@pytest.mark.parametrize("target", [".", "..", "../..", "loop"])
def test_loops_end_and_never_lead_to_another_instrument(share, target: str) -> None:
    share.write("a/b.dm3")
    share.write(share.root / "Quanta" / "other.dm3")
    (share.root / "Titan" / "a" / "loop").symlink_to(target)
    assert share.search() == Found(share.search().files)
    assert share.found() == ["Titan/a/b.dm3"]


def test_links_to_nothing_pipes_and_folders_with_a_files_name_are_no_files(share) -> None:
    top = share.root / "Titan"
    (top / "gone.dm3").symlink_to("nowhere.dm3")
    os.mkfifo(top / "pipe.dm3")
    (top / "folder.dm3").mkdir()
    assert share.search() == Found(())


def test_an_instrument_folder_that_is_away_is_not_an_empty_one(share) -> None:
    (share.root / "Titan").rmdir()
    with pytest.raises(ShareUnavailableError, match=r"Titan.*is the share mounted"):
        share.search()


def test_a_folder_that_cannot_be_read_is_named_and_the_others_searched(share, monkeypatch) -> None:
    share.write("a.dm3")
    share.write("private/b.dm3")
    denied = PermissionError(errno.EACCES, "Permission denied")
    monkeypatch.setattr(os, "scandir", failing("private", denied))
    found = share.search()
    assert [file.path for file in found.files] == ["Titan/a.dm3"]
    (place,) = found.unreadable
    assert (place.path, place.reason) == ("Titan/private", "Permission denied")
    assert place.holds("Titan/private/b.dm3")
    assert not place.holds("Titan/private.dm3")


def test_a_share_that_goes_away_during_the_search_leaves_no_half_result(share, monkeypatch) -> None:
    share.write("a.dm3")
    share.write("sub/b.dm3")
    stale = OSError(errno.ESTALE, "Stale file handle")
    monkeypatch.setattr(os, "scandir", failing("sub", stale))
    with pytest.raises(ShareUnavailableError, match="Stale file handle"):
        share.search()


def test_a_folder_that_vanishes_during_the_search_is_gone(share, monkeypatch) -> None:
    share.write("a.dm3")
    share.write("sub/b.dm3")
    monkeypatch.setattr(os, "scandir", failing("sub", FileNotFoundError(errno.ENOENT, "gone")))
    assert share.search() == Found(tuple(share.search().files))
    assert share.found() == ["Titan/a.dm3"]


def test_a_name_that_is_no_unicode_stops_nothing_and_is_told(share) -> None:
    share.write("a.dm3")
    share.write(b"caf\xe9.dm3")
    found = share.search()
    assert [file.path for file in found.files] == ["Titan/a.dm3"]
    assert found.unnameable == ("Titan/caf\\udce9.dm3",)
    assert "é" in share.write("é.dm3").name
    assert "Titan/é.dm3" in share.found()
