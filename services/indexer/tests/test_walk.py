"""What looks through an instrument's folders find, and what they keep."""

import errno
import os
import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from services.indexer.tests.office import failing

from nexuslims_indexer import walk
from nexuslims_indexer.errors import ShareUnavailableError
from nexuslims_indexer.index import FolderIndex
from nexuslims_indexer.listing import list_folder
from nexuslims_indexer.model import FoundFile, Unreadable

SECOND = 10**9


# --- which files -----------------------------------------------------------------------------


def test_a_span_is_after_its_start_and_until_its_end(share) -> None:
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
        stamp = int(share.start.timestamp()) * SECOND + nanoseconds
        os.utime(path, ns=(stamp, stamp))
    assert share.found() == ["Titan/first.dm3", "Titan/last.dm3"]


def test_files_come_in_the_order_of_time_then_path(share) -> None:
    later = share.start + timedelta(minutes=2)
    for name, moment in (("c/a.dm3", later), ("b.dm3", None), ("a.dm3", None)):
        share.write(name, moment)
    assert share.found() == ["Titan/a.dm3", "Titan/b.dm3", "Titan/c/a.dm3"]


def test_size_and_time_are_those_of_the_file(share) -> None:
    path = share.write("a.dm3", content=b"12345")
    assert share.seen().files() == [FoundFile(path.stat().st_mtime_ns, "Titan/a.dm3", 5)]


def test_links_to_nothing_pipes_and_folders_with_a_files_name_are_no_files(share) -> None:
    top = share.root / "Titan"
    (top / "gone.dm3").symlink_to("nowhere.dm3")
    os.mkfifo(top / "pipe.dm3")
    (top / "folder.dm3").mkdir()
    seen = share.seen()
    assert (seen.paths(), seen.last.unreadable) == ([], [])


def test_names_of_any_bytes_are_kept_as_they_are(share) -> None:
    share.write("é.dm3")
    share.write(b"caf\xe9.dm3")
    assert share.found() == ["Titan/caf\udce9.dm3", "Titan/é.dm3"]


# --- identity --------------------------------------------------------------------------------


def test_hard_links_are_one_file_and_equal_inodes_alone_are_not(share, monkeypatch) -> None:
    first = share.write("b.dm3")
    os.link(first, share.root / "Titan" / "a.dm3")
    share.write("other.dm3")
    assert share.found() == ["Titan/a.dm3", "Titan/other.dm3"]
    real = os.stat

    def same_inode(links):
        def status_of(path, **options):
            status = real(path, **options)
            return os.stat_result(
                (status[0], 4711, *status[2:3], links, *status[4:]), status.__reduce__()[1][1]
            )

        return status_of

    for links in (1, 2):  # three names of one file cannot have two links
        monkeypatch.setattr(os, "stat", same_inode(links))
        assert share.found() == ["Titan/a.dm3", "Titan/b.dm3", "Titan/other.dm3"]


# --- where it could not look -----------------------------------------------------------------


def test_an_instrument_folder_that_is_away_is_not_an_empty_one(share) -> None:
    (share.root / "Titan").rmdir()
    with pytest.raises(ShareUnavailableError, match=r"Titan.*is the share mounted"):
        share.seen()


def test_names_that_come_are_noticed_though_the_folders_own_time_is_set_back(share) -> None:
    """A copying program gives a folder the time that it had where it comes from."""
    folder = share.write("deep/a.dm3").parent
    stamp = (share.start.timestamp(),) * 2
    os.utime(folder, stamp)
    seen = share.seen()
    share.write("deep/b.dm3")
    os.utime(folder, stamp)
    seen.look()
    assert seen.paths() == ["Titan/deep/a.dm3", "Titan/deep/b.dm3"]


def test_a_folder_that_was_not_empty_and_is_now_is_a_share_in_trouble(share) -> None:
    path = share.write("a.dm3")
    seen = share.seen()
    path.rename(share.root / "a.dm3")
    with pytest.raises(ShareUnavailableError, match=r"is empty, and was not before.*README"):
        seen.look()
    assert seen.paths() == ["Titan/a.dm3"]
    (share.root / "a.dm3").rename(path)
    seen.look()
    assert seen.paths() == ["Titan/a.dm3"]


def test_an_empty_folder_of_an_instrument_with_records_is_a_share_in_trouble(share) -> None:
    seen = share.seen()
    with pytest.raises(ShareUnavailableError, match="is empty"):
        seen.look(had_files=True)


def test_a_folder_that_cannot_be_read_keeps_what_was_known_of_it(share, monkeypatch) -> None:
    share.write("a.dm3")
    share.write("private/b.dm3")
    share.write("private/deep/c.dm3")
    seen = share.seen()
    denied = PermissionError(errno.EACCES, "Permission denied")
    monkeypatch.setattr(walk, "list_folder", failing("private", denied))
    share.write("private/new.dm3")
    seen.look(everything=True)
    (place,) = seen.last.unreadable
    assert (place.path, place.reason) == ("Titan/private", "Permission denied")
    assert place.holds("Titan/private/b.dm3")
    assert not place.holds("Titan/private.dm3")
    assert seen.paths() == ["Titan/a.dm3", "Titan/private/b.dm3", "Titan/private/deep/c.dm3"]


def test_a_file_that_cannot_be_looked_at_keeps_what_was_known_of_it(share, monkeypatch) -> None:
    share.write("a.dm3")
    share.write("b.dm3")
    seen = share.seen()
    real = os.stat

    def broken(path, **options):
        if path == "a.dm3":
            raise OSError(errno.EIO, "Input/output error")
        return real(path, **options)

    monkeypatch.setattr(os, "stat", broken)
    seen.look(everything=True)
    assert [(place.path, place.reason) for place in seen.last.unreadable] == [
        ("Titan/a.dm3", "Input/output error")
    ]
    assert seen.paths() == ["Titan/a.dm3", "Titan/b.dm3"]


def test_a_share_that_goes_away_during_the_look_takes_nothing_with_it(share, monkeypatch) -> None:
    share.write("a/a.dm3")
    share.write("sub/b.dm3")
    seen = share.seen()
    seen.pending()
    (share.root / "Titan" / "a" / "a.dm3").rename(share.root / "away.dm3")
    (share.root / "Titan" / "a").rmdir()

    def go_away(path, choose):
        if Path(path).name == "sub":
            (share.root / "Titan").rename(share.root / "away")
            raise OSError(errno.ESTALE, "Stale file handle")
        return list_folder(path, choose)

    monkeypatch.setattr(walk, "list_folder", go_away)
    with pytest.raises(ShareUnavailableError, match="is the share mounted"):
        seen.look(everything=True)
    assert seen.paths() == ["Titan/a/a.dm3", "Titan/sub/b.dm3"]
    assert seen.pending() == []


def test_a_stale_folder_of_a_share_that_is_there_holds_up_no_other(share, monkeypatch) -> None:
    share.write("sub/b.dm3")
    seen = share.seen()
    share.write("a.dm3")
    stale = OSError(errno.ESTALE, "Stale file handle")
    monkeypatch.setattr(walk, "list_folder", failing("sub", stale))
    seen.look(everything=True)
    assert seen.last.unreadable == [Unreadable("Titan/sub", "Stale file handle")]
    assert seen.paths() == ["Titan/a.dm3", "Titan/sub/b.dm3"]


def test_a_share_that_is_unmounted_during_the_look_takes_nothing_with_it(
    share, monkeypatch
) -> None:
    share.write("sub/b.dm3")
    seen = share.seen()

    def unmount(path, choose):
        (share.root / "Titan").rename(share.root / "away")
        (share.root / "Titan").mkdir()
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(walk, "list_folder", unmount)
    with pytest.raises(ShareUnavailableError, match="became another folder"):
        seen.look(everything=True)
    assert seen.paths() == ["Titan/sub/b.dm3"]


def test_a_mount_below_that_is_gone_keeps_what_was_known_of_it(share, monkeypatch) -> None:
    share.write("a.dm3")
    share.write("mounted/b.dm3")
    seen = share.seen()
    (share.root / "Titan" / "mounted" / "b.dm3").unlink()

    def other_device(path, choose):
        listing = list_folder(path, choose)
        return replace(listing, device=7) if path.endswith("mounted") else listing

    monkeypatch.setattr(walk, "list_folder", other_device)
    seen.look(everything=True)
    assert seen.paths() == ["Titan/a.dm3", "Titan/mounted/b.dm3"]
    assert [place.path for place in seen.last.unreadable] == ["Titan/mounted"]


def test_a_folder_that_is_removed_is_gone_and_its_files_are_decided_again(share) -> None:
    share.write("a.dm3")
    gone = share.write("sub/b.dm3")
    seen = share.seen()
    seen.pending()
    time = gone.stat().st_mtime_ns
    gone.unlink()
    gone.parent.rmdir()
    seen.look()
    assert seen.paths() == ["Titan/a.dm3"]
    assert seen.pending() == [time]


# --- what is kept ----------------------------------------------------------------------------


def test_only_folders_that_changed_are_listed_again(share) -> None:
    for number in range(5):
        share.write(f"{number}/a.dm3")
        old = share.root / "Titan" / str(number)
        os.utime(old, (share.start.timestamp(),) * 2)
    os.utime(share.root / "Titan", (share.start.timestamp(),) * 2)
    seen = share.seen()
    assert seen.last.listed == 6
    assert seen.look().listed == 0
    share.write("3/b.dm3")
    assert seen.look().listed == 1
    assert "Titan/3/b.dm3" in seen.paths()
    assert seen.look(everything=True).listed == 6


def test_what_is_new_changed_or_gone_is_to_be_decided_until_it_is(share, tmp_path) -> None:
    first = share.write("a.dm3")
    path = tmp_path / "index.sqlite"
    seen = share.seen(path=path)
    time = first.stat().st_mtime_ns
    assert list(seen.index.pending()[1]) == [time]
    seen.index.close()
    again = FolderIndex(path, seen.names.signature)
    assert list(again.pending()[1]) == [time]
    again.close()


@pytest.mark.parametrize("damage", ["other rules", "not a database", "another version"])
def test_an_index_that_cannot_be_used_is_made_anew(share, tmp_path, damage: str) -> None:
    share.write("a.dm3")
    path = tmp_path / "index.sqlite"
    seen = share.seen(path=path)
    seen.index.close()
    if damage == "not a database":
        path.write_bytes(b"rubbish" * 1000)
    if damage == "another version":
        with sqlite3.connect(path) as database:
            database.execute("UPDATE about SET value = '0' WHERE name = 'version'")
        database.close()
    signature = "other" if damage == "other rules" else seen.names.signature
    again = FolderIndex(path, signature)
    assert again.count() == 0
    again.close()


# --- files at rest ---------------------------------------------------------------------------


def test_a_file_counts_when_size_and_time_hold_still(share) -> None:
    seen = share.seen(settle=30)
    seen.share.write("old.dm3")
    young = share.write("a.dm3", seen.now)
    seen.look(10)
    assert list(seen.last.growing) == ["Titan/a.dm3"]
    assert seen.all_paths() == ["Titan/old.dm3"]
    young.write_bytes(b"longer")
    os.utime(young, (seen.now.timestamp(),) * 2)
    seen.look(10)
    seen.look(29)
    assert seen.all_paths() == ["Titan/old.dm3"]
    seen.look(1)
    assert seen.all_paths() == ["Titan/old.dm3", "Titan/a.dm3"]
    assert seen.last.growing == {}


def test_a_file_that_grew_is_known_to_have_been_begun_before(share) -> None:
    seen = share.seen(settle=5)
    began = seen.now
    path = share.write("a.dm3", began)
    seen.look(1)
    path.write_bytes(b"longer")
    os.utime(path, ((began + timedelta(minutes=10)).timestamp(),) * 2)
    seen.look(600)
    seen.look(6)
    (file,) = seen.files(seen.now - timedelta(hours=1), seen.now)
    assert file.began_ns == round(began.timestamp()) * SECOND
    assert seen.files(began - timedelta(seconds=1), began + timedelta(seconds=1)) == [file]


def test_a_file_that_is_rewritten_is_to_be_decided_again_when_it_rests(share) -> None:
    path = share.write("a.dm3")
    seen = share.seen()
    before = path.stat().st_mtime_ns
    share.write("a.dm3", share.start + timedelta(minutes=9), b"another")
    after = path.stat().st_mtime_ns
    seen.pending()
    seen.look(everything=True)
    assert seen.pending() == [before, after]
    assert seen.paths() == []
    seen.look(6)
    assert seen.pending() == [after]
    assert [file.size for file in seen.files()] == [7]


def test_files_of_the_future_rest_too(share) -> None:
    seen = share.seen()
    future = seen.now + timedelta(days=365)
    share.write("a.dm3", future)
    seen.look()
    assert list(seen.last.growing) == ["Titan/a.dm3"]
    seen.look()
    seen.look()
    assert seen.last.growing == {}
    assert [file.path for file in seen.index.later_than(0)] == ["Titan/a.dm3"]


# --- some folders only -----------------------------------------------------------------------


def test_a_look_at_a_folder_finds_what_is_new_in_it_and_below(share) -> None:
    share.write("a/a.dm3")
    share.write("b/b.dm3")
    seen = share.seen()
    share.write("a/new/deep/c.dm3")
    share.write("b/not-looked-at.dm3")
    assert seen.look_at("Titan/a").listed == 3
    assert seen.paths() == ["Titan/a/a.dm3", "Titan/a/new/deep/c.dm3", "Titan/b/b.dm3"]


def test_a_look_at_a_folder_that_is_gone_forgets_it(share) -> None:
    share.write("b/b.dm3")
    gone = share.write("a/deep/a.dm3")
    seen = share.seen()
    gone.unlink()
    gone.parent.rmdir()
    gone.parent.parent.rmdir()
    seen.look_at("Titan/a")
    assert seen.paths() == ["Titan/b/b.dm3"]


def test_a_look_at_a_folder_of_a_share_that_is_away_forgets_nothing(share) -> None:
    share.write("a/a.dm3")
    seen = share.seen()
    (share.root / "Titan").rename(share.root / "away")
    with pytest.raises(ShareUnavailableError):
        seen.look_at("Titan/a")
    assert seen.paths() == ["Titan/a/a.dm3"]
