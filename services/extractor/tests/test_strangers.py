"""Files of another system in the places of artifacts are kept."""

from pathlib import Path

from nexuslims_extractor.strangers import keep_strangers

OURS = b'{"nx_meta": {}, "extractor": {"name": "dm", "version": "1.0", "reader": "own 1"}}'
THEIRS = b'{"nx_meta": {"Data Type": "TEM_Imaging"}, "ImageList": {}}'
NEW = {"Titan/a.dm3.thumb.png": b"picture", "Titan/a.dm3.json": OURS}


def facility(root: Path, document: bytes | None, preview: bytes | None) -> set[str]:
    """Put files into the places of artifacts; return what is in the folder then."""
    folder = root / "Titan"
    folder.mkdir()
    for name, content in (("a.dm3.json", document), ("a.dm3.thumb.png", preview)):
        if content is not None:
            (folder / name).write_bytes(content)
    keep_strangers(root, NEW)
    return {path.name for path in folder.iterdir()}


def test_what_another_system_wrote_is_kept(tmp_path: Path) -> None:
    kept = facility(tmp_path, THEIRS, b"their picture")
    assert kept == {"a.dm3.json.kept", "a.dm3.thumb.png.kept"}
    assert (tmp_path / "Titan" / "a.dm3.json.kept").read_bytes() == THEIRS


def test_what_is_the_same_stays(tmp_path: Path) -> None:
    assert facility(tmp_path, None, b"picture") == {"a.dm3.thumb.png"}


def test_what_we_wrote_may_be_replaced(tmp_path: Path) -> None:
    earlier = OURS.replace(b"1.0", b"0.9")
    assert facility(tmp_path, earlier, b"earlier") == {"a.dm3.json", "a.dm3.thumb.png"}


def test_nothing_there_is_nothing_to_keep(tmp_path: Path) -> None:
    assert facility(tmp_path, None, None) == set()


def test_a_second_one_gets_another_name(tmp_path: Path) -> None:
    facility(tmp_path, THEIRS, None)
    (tmp_path / "Titan" / "a.dm3.json").write_bytes(THEIRS)
    keep_strangers(tmp_path, NEW)
    names = {path.name for path in (tmp_path / "Titan").iterdir()}
    assert names == {"a.dm3.json.kept", "a.dm3.json.kept1"}
