"""Symbolic links: what they lead to is found once, and never what is another instrument's."""

import errno
from pathlib import Path

import pytest
from services.indexer.tests.office import failing

from nexuslims_indexer import links
from nexuslims_indexer.model import Unreadable


def test_linked_folders_are_searched_in_addition(share, tmp_path: Path) -> None:
    share.write("real/a.dm3")
    elsewhere = tmp_path / "elsewhere"
    share.write(elsewhere / "deep" / "b.dm3")
    (share.root / "Titan" / "linked").symlink_to(elsewhere)
    (share.root / "Titan" / "again").symlink_to(elsewhere / "deep")
    assert share.found() == ["Titan/linked/deep/b.dm3", "Titan/real/a.dm3"]


def test_a_linked_file_outside_the_folder_is_found_by_the_name_of_the_link(share, tmp_path) -> None:
    share.write(tmp_path / "elsewhere" / "b.dm3")
    link = share.root / "Titan" / "link.dm3"
    link.symlink_to(tmp_path / "elsewhere" / "b.dm3")
    share.write("own.dm3")
    seen = share.seen()
    assert seen.paths() == ["Titan/link.dm3", "Titan/own.dm3"]
    link.unlink()
    seen.pending()
    seen.look()
    assert seen.paths() == ["Titan/own.dm3"]
    assert len(seen.pending()) == 1


def test_a_linked_file_counts_when_it_rests(share, tmp_path: Path) -> None:
    seen = share.seen()
    target = share.write(tmp_path / "elsewhere" / "b.dm3", seen.now)
    (share.root / "Titan" / "link.dm3").symlink_to(target)
    seen.look(seconds=1)
    assert (seen.all_paths(), list(seen.last.growing)) == ([], ["Titan/link.dm3"])
    share.write(target, seen.now, b"longer")
    seen.look_at("Titan", seconds=1)
    seen.look_at("Titan", seconds=1)
    assert (seen.all_paths(), list(seen.last.growing)) == ([], ["Titan/link.dm3"])
    seen.look_at("Titan", seconds=6)
    assert (seen.all_paths(), list(seen.last.growing)) == (["Titan/link.dm3"], [])


def test_a_linked_file_that_cannot_be_looked_at_is_as_it_was(share, tmp_path, monkeypatch) -> None:
    target = share.write(tmp_path / "elsewhere" / "b.dm3")
    (share.root / "Titan" / "link.dm3").symlink_to(target)
    seen = share.seen()
    refused = PermissionError(errno.EACCES, "Permission denied")
    monkeypatch.setattr(links, "list_linked", failing("Titan", refused))
    seen.look()
    assert seen.paths() == ["Titan/link.dm3"]
    assert seen.last.unreadable == [Unreadable("Titan", "Permission denied")]


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
    seen = share.seen()
    assert seen.paths() == ["Titan/a/b.dm3"]
    assert seen.last.unreadable == []
