"""Folders that are no longer on what they were on."""

from pathlib import Path

import pytest

from nexuslims_shared.errors import CouldNotLookError
from nexuslims_shared.mounts import Mount, mount_of, mount_problems, read_mounts

LOCAL = "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"


def share(folder: Path, source: str = "nas:/export") -> str:
    """A table of mounts in which something is mounted on a folder."""
    point = str(folder).replace(" ", "\\040")
    return f"{LOCAL}40 22 0:51 / {point} rw,relatime shared:9 - nfs4 {source} rw,vers=4.2\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "instrument data" / "Titan"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mounts.json"


def test_a_share_that_is_not_mounted_any_more_is_noticed_and_forgiven(
    folder: Path, file: Path
) -> None:
    mounted = share(folder.parent)
    assert mount_problems([folder], file, mounted) == []
    (problem,) = mount_problems([folder], file, LOCAL)
    assert f"{folder} was on nas:/export and is on /dev/sda1 now" in problem
    assert str(file) in problem
    assert mount_problems([folder], file, mounted) == []


def test_another_share_in_its_place_is_noticed(folder: Path, file: Path) -> None:
    assert mount_problems([folder], file, share(folder)) == []
    (problem,) = mount_problems([folder], file, share(folder, "nas:/other"))
    assert "was on nas:/export and is on nas:/other now" in problem
    file.unlink()
    assert mount_problems([folder], file, share(folder, "nas:/other")) == []


def test_what_is_mounted_later_is_right(folder: Path, file: Path) -> None:
    assert mount_problems([folder], file, LOCAL) == []
    assert mount_problems([folder], file, share(folder)) == []
    assert len(mount_problems([folder], file, LOCAL)) == 1


def test_a_folder_that_is_not_there_is_for_others_to_name(file: Path, tmp_path: Path) -> None:
    assert mount_problems([tmp_path / "nowhere"], file, LOCAL) == []


def test_of_two_mounts_on_one_point_the_last_one_counts(folder: Path) -> None:
    table = (
        LOCAL + "41 22 0:52 / /data rw - autofs systemd-1 rw\n41 22 0:53 / /data rw - nfs n:/ rw"
    )
    assert mount_of(Path("/data/a"), read_mounts(table)) == Mount("/data", "n:/", "nfs")
    assert mount_of(Path("/database"), read_mounts(table)) == Mount("/", "/dev/sda1", "ext4")


def test_a_damaged_memory_is_not_well(folder: Path, file: Path) -> None:
    file.write_text("{")
    with pytest.raises(CouldNotLookError, match="delete it"):
        mount_problems([folder], file, LOCAL)


def test_where_nothing_can_be_remembered_nothing_is_wrong(folder: Path, tmp_path: Path) -> None:
    assert mount_problems([folder], tmp_path / "no state" / "mounts.json", LOCAL) == []


def test_this_system_says_what_is_mounted(folder: Path, file: Path) -> None:
    assert mount_problems([folder], file) == []
    assert mount_problems([folder], file) == []
