"""The corpus that ``make corpus`` makes can be read like the larger one."""

import io
import json
import tarfile

import pytest
from scripts import fetch_corpus

from tests.absent import CorpusFiles, summary
from tests.corpus import Corpus, MissingEntryError, find_corpus

MTIME = 1_542_132_060
SESSION = "Titan_TEM/day"


def _tar(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), MTIME
            archive.addfile(info, io.BytesIO(content))


@pytest.fixture
def cache(tmp_path):
    """A source distribution, unpacked as ``make corpus`` does it."""
    sessions, pair = tmp_path / "sessions.tar.gz", tmp_path / "pair.tar.gz"
    _tar(sessions, {f"{SESSION}/image_008.dm3": b"eight", "JEOL_TEM/image_9.dm3": b"nine"})
    _tar(pair, {"./scan.emi": b"emi", "./._scan.emi": b"macOS", "./scan_1.ser": b"ser"})
    root = "nexuslims-2.8.0"
    sdist = tmp_path / "sdist.tar.gz"
    _tar(
        sdist,
        {
            f"{root}/tests/unit/files/test_record_files.tar.gz": sessions.read_bytes(),
            f"{root}/tests/unit/files/pair.tar.gz": pair.read_bytes(),
            f"{root}/tests/unit/files/plain.dm3": b"plain",
            f"{root}/tests/unit/files/code.py": b"code",
            f"{root}/tests/unit/files/figs/figure.png": b"figure",
            f"{root}/nexusLIMS/schemas/nexus-experiment.xsd": b"<schema/>",
            f"{root}/nexusLIMS/config.py": b"code",
        },
    )
    folder = tmp_path / "cache"
    fetch_corpus.unpack(sdist, folder)
    entries = list(fetch_corpus.describe(folder / "files"))
    (folder / "MANIFEST.json").write_text(json.dumps({"entries": entries}))
    return Corpus(folder)


def test_only_data_files_are_unpacked(cache):
    names = sorted(path.name for path in cache.folder.rglob("*") if path.is_file())
    assert names == [
        "MANIFEST.json",
        "official-nexus-experiment.xsd",
        "pair.tar.gz",
        "plain.dm3",
        "test_record_files.tar.gz",
    ]


def test_a_file_brings_its_companions(cache, tmp_path):
    emi = cache.unpack("emi-ser__scan.emi", tmp_path / "out")
    assert emi.read_bytes() == b"emi"
    assert sorted(path.name for path in emi.parent.iterdir()) == ["scan.emi", "scan_1.ser"]


def test_archived_and_plain_files_are_found_whatever_format_the_id_says(cache, tmp_path):
    archived = cache.unpack("dm3__image_008.dm3", tmp_path / "archived")
    assert (archived.read_bytes(), archived.stat().st_mtime) == (b"eight", MTIME)
    assert cache.unpack("gatan__plain.dm3", tmp_path / "plain").read_bytes() == b"plain"


def test_the_session_is_the_titans_files_and_the_copy_that_the_incumbent_had(cache, tmp_path):
    folder = cache.session_files(tmp_path / "session")
    files = {path.name: path for path in folder.rglob("*") if path.is_file()}
    assert sorted(files) == ["image_008.dm3", "multi_signal_file_001.dm3"]
    assert {path.stat().st_mtime for path in files.values()} == {MTIME}


def test_small_files_are_those_stored_as_they_are(cache):
    assert [path.name for path in cache.small_dm_files()] == ["plain.dm3"]


def test_what_is_missing_is_named(cache, tmp_path):
    with pytest.raises(MissingEntryError, match=r"bcf__map\.bcf"):
        cache.unpack("bcf__map.bcf", tmp_path)
    with pytest.raises(MissingEntryError, match=r"records/other\.xml"):
        cache.record("other.xml")


def test_the_environment_says_where_the_corpus_is(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("NEXUSLIMS_CORPUS", str(cache.folder))
    assert find_corpus() == cache
    monkeypatch.setenv("NEXUSLIMS_CORPUS", str(tmp_path / "nowhere"))
    assert find_corpus() is None


@pytest.mark.corpus
def test_the_files_of_2018_11_13_are_there(corpus, tmp_path):
    folder = corpus.session_files(tmp_path)
    assert len(list(folder.rglob("image_00?.dm3"))) == 8
    assert corpus.file("dm3__Titan_FFT.dm3").stat().st_size == 1_659_245
    assert corpus.record("official-nexus-experiment.xsd").is_file()


def test_one_line_says_how_many_tests_were_left_out_and_why():
    reasons = [f"not at hand: {name} (ask for it)" for name in ("a.dm3", "b.dm3", "c", "d", "d")]
    assert summary(["Skipped: another reason", *reasons]) == (
        "5 tests were left out for want of a.dm3, b.dm3, c and 1 more: ask for it"
    )
    assert summary(["Skipped: another reason"]) == ""


def test_what_a_fresh_clone_cannot_get_fails_nothing_in_ci(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("CI", "true")
    small, large = (CorpusFiles(Corpus(tmp_path / kind), tmp_path) for kind in ("small", "large"))
    for files in (small, large):
        files.corpus.folder.mkdir()
        manifest = {"set": files.corpus.folder.name, "entries": []}
        (files.corpus.folder / "MANIFEST.json").write_text(json.dumps(manifest))
    with pytest.raises(pytest.skip.Exception, match=r"map\.bcf"):
        small.file("bcf__map.bcf")
    with pytest.raises(pytest.fail.Exception, match=r"map\.bcf"):
        large.file("bcf__map.bcf")
