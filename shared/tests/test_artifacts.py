"""Artifacts: staged before their event, committed after it, whoever is late."""

import itertools
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexuslims_shared.artifacts import (
    Staged,
    commit_artifact,
    discard_staged,
    is_intact,
    keep_aside,
    read_artifact,
    stage_artifact,
    staged_owners,
    write_artifact,
)
from nexuslims_shared.errors import ArtifactError, DiskError

_numbers = itertools.count()


def stage(root: Path, content: bytes, path: str = "a/one.xml", owner: str = "s-1") -> Staged:
    """Stage an artifact later than all that were staged before, whatever the clock's steps."""
    staged = stage_artifact(root, path, content, owner=owner)
    moment = 10**18 + next(_numbers)
    os.utime(staged.path, ns=(moment, moment))
    return staged


def test_what_is_staged_is_not_in_its_place_before_it_is_committed(tmp_path: Path) -> None:
    staged = stage(tmp_path, b"one")
    assert not is_intact(tmp_path, staged.ref)
    assert staged_owners(tmp_path / "a") == {"s-1"}
    assert commit_artifact(tmp_path, staged.ref, owner="s-1")
    assert read_artifact(tmp_path, staged.ref) == b"one"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["one.xml"]
    assert commit_artifact(tmp_path, staged.ref, owner="s-1"), "again, and nothing changes"


def test_what_lost_is_discarded(tmp_path: Path) -> None:
    staged = stage(tmp_path, b"one")
    staged.discard()
    assert not commit_artifact(tmp_path, staged.ref, owner="s-1")
    assert list((tmp_path / "a").iterdir()) == []


def test_another_owner_is_left_alone(tmp_path: Path) -> None:
    other = stage(tmp_path, b"two", "a/two.xml", owner="s-1-1")
    one = stage(tmp_path, b"one")
    assert commit_artifact(tmp_path, one.ref, owner="s-1")
    discard_staged(tmp_path / "a", "s-1")
    assert commit_artifact(tmp_path, other.ref, owner="s-1-1")


def test_only_what_was_staged_before_a_time_is_discarded(tmp_path: Path) -> None:
    staged = stage(tmp_path, b"one")
    discard_staged(tmp_path / "a", "s-1", older_than=1e9)
    assert staged.path.exists()
    discard_staged(tmp_path / "a", "s-1", older_than=2e9)
    assert not staged.path.exists()


@settings(max_examples=60)
@given(data=st.data(), count=st.integers(1, 5))
def test_whoever_commits_late_the_newest_stands(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, count: int
) -> None:
    root = tmp_path_factory.mktemp("root")
    names = st.sampled_from(["a/one.xml", "a/two.xml"])
    events = [stage(root, f"{number}".encode(), data.draw(names)) for number in range(count)]
    late = data.draw(st.lists(st.sampled_from(events)))
    before = data.draw(st.integers(0, len(late)))
    for one in late[:before]:
        commit_artifact(root, one.ref, owner="s-1")
    newest = stage(root, b"newest", data.draw(names))
    assert commit_artifact(root, newest.ref, owner="s-1")
    (root / "a").joinpath("two.xml" if "one" in newest.ref.path else "one.xml").unlink(
        missing_ok=True
    )
    for one in late[before:]:
        assert not commit_artifact(root, one.ref, owner="s-1")
    assert [path.name for path in (root / "a").iterdir()] == [Path(newest.ref.path).name]
    assert read_artifact(root, newest.ref) == b"newest"


def test_what_a_dead_process_staged_of_the_same_content_is_not_left(tmp_path: Path) -> None:
    first, second = stage(tmp_path, b"one"), stage(tmp_path, b"one")
    later = stage(tmp_path, b"two")
    assert commit_artifact(tmp_path, first.ref, owner="s-1")
    assert [one.path.exists() for one in (first, second, later)] == [False, False, True]
    assert read_artifact(tmp_path, first.ref) == b"one"


def test_an_owner_must_be_a_token(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot name a session"):
        stage(tmp_path, b"one", owner="../s")
    with pytest.raises(ArtifactError, match="no path below"):
        stage(tmp_path, b"one", "../one.xml")


def test_files_follow_the_umask(tmp_path: Path) -> None:
    umask = os.umask(0o077)
    os.umask(umask)
    write_artifact(tmp_path, "one.xml", b"one")
    assert (tmp_path / "one.xml").stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_file_in_the_place_of_the_folder_is_an_error_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(DiskError, match="a/"):
        stage(tmp_path, b"one")
    with pytest.raises(DiskError, match="/a"):
        write_artifact(tmp_path, "a/one.xml", b"one")


def test_what_comes_into_a_place_while_it_is_cleared_stays(tmp_path: Path) -> None:
    target = tmp_path / "record.xml"
    target.write_bytes(b"theirs")

    def replaced(content: bytes) -> bool:
        target.write_bytes(b"ours")
        return content == b"ours"

    assert keep_aside(tmp_path, "record.xml", ours=replaced) is None
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"ours"]
