"""Which names are files of sessions."""

import pytest

from nexuslims_contracts.file_kinds import Companion, FileKinds
from nexuslims_indexer.names import Names


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("exclusive", ["A.DM3", "b.Tif", "c.h5"]),
        ("inclusive", ["A.DM3", "b.Tif", "c.h5", "notes.txt", "dm3"]),
    ],
)
def test_strategies(strategy, expected: list[str]) -> None:
    names = ["A.DM3", "b.Tif", "c.h5", "notes.txt", "dm3"]
    assert Names(strategy).choose(names).files == expected


def test_ignored_names_are_ignored_in_upper_and_lower_case() -> None:
    ignore = ("*.mib", "thumbs.DB", "*_raw[0-9].tif")
    names = ["a.MIB", "Thumbs.db", "b_raw1.tif", "b_raw.tif", "c.tif", "mib"]
    assert Names("inclusive", ignore).choose(names).files == ["b_raw.tif", "c.tif", "mib"]


@pytest.mark.parametrize(
    ("companion", "beside"),
    [
        ("a.hdr", "a.tif"),
        ("A.HDR", "a.TIF"),
        ("a-tif.hdr", "a.tif"),
        ("a-png.hdr", "a.png"),
        ("a.tif.hdr", "a.tif"),
        ("a.txt", "a.tif"),
        ("a.b.txt", "a.b.bmp"),
    ],
)
def test_a_companion_is_no_dataset_of_its_own(companion: str, beside: str) -> None:
    assert Names("inclusive").choose([companion, beside]).files == [beside]
    assert Names("inclusive").choose([companion, "other.tif"]).files == [companion, "other.tif"]


def test_a_companion_stays_one_though_what_it_belongs_to_is_ignored() -> None:
    assert Names("inclusive", ("*.tif",)).choose(["a.hdr", "a.tif"]).files == []


def test_what_the_readers_know_decides() -> None:
    kinds = FileKinds(endings=("txt", "xyz"), companions=(Companion(ending=".xml", of=("xyz",)),))
    names = ["a.xyz", "a.xml", "b.xml", "c.dm3", "d.txt"]
    assert Names("exclusive", (), kinds).choose(names).files == ["a.xyz", "d.txt"]
    assert Names("inclusive", (), kinds).choose(names).files == ["a.xyz", "b.xml", "c.dm3", "d.txt"]
    assert Names("exclusive").signature != Names("exclusive", (), kinds).signature


def test_what_is_read_with_a_file_is_named_by_it() -> None:
    names = [
        "A.tif",
        "a-TIF.hdr",
        "a.txt",
        "b.tif",
        "map.emi",
        "map_1.ser",
        "map_2.ser",
        "lone.emi",
    ]
    assert Names("exclusive").choose(names).beside == {
        "A.tif": ["a-TIF.hdr", "a.txt"],
        "map_1.ser": ["map.emi"],
        "map_2.ser": ["map.emi"],
    }
    files = Names("inclusive").choose(names).files
    assert files == ["A.tif", "b.tif", "map_1.ser", "map_2.ser", "lone.emi"]


def test_what_is_ignored_is_read_with_a_file_all_the_same() -> None:
    choice = Names("inclusive", ("*.txt",)).choose(["a.tif", "a.txt", "b.txt"])
    assert choice == (["a.tif"], {"a.tif": ["a.txt"]})


@pytest.mark.parametrize("strategy", ["exclusive", "inclusive"])
def test_what_systems_keep_beside_files_is_nobodys(strategy) -> None:
    theirs = ["._a.dm4", "._A.TIF", ".DS_Store", "Thumbs.db", "desktop.ini", "~$notes.docx"]
    theirs += [".nfs00000000012a0004", ".fuse_hidden0000001", ".a.dm4.Xy12aB"]
    ours = ["a.dm4", "a.tif", "_a.dm4", ".hidden.dm4", "nfs.dm4"]
    names = Names(strategy)
    assert names.choose([*theirs, *ours]).files == ours
    assert [name for name in theirs if names.is_wanted(name)] == []
