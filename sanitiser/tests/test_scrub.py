"""Which words are written over, and how."""

import pytest

from nexuslims_sanitiser.plan import SanitiseError
from nexuslims_sanitiser.scrub import scrub, scrubbed, words_of


@pytest.mark.parametrize(
    ("tree", "name", "words"),
    [
        ({"signals": [{"metadata": {"operator": "j.doe"}}]}, "operator", {"j.doe"}),
        ({"MAIN": {"FullUserName": "Jane Doe"}}, "UserName", {"Jane Doe"}),
        ({"MAIN": {"FullUserName": "Jane Doe"}}, "Name", {"Jane Doe"}),
        ({"MAIN": {"FullUserName": "Jane Doe"}}, "ame", set()),
        ({"SV_USER_NAME": "User Name = Jane", "SV_NAME": "Name ="}, "name", {"Jane"}),
        ({"voltage": 300.0, "mode": "TEM"}, "voltage", set()),
        ({"a": "C:\\Jane Doe\\my image.tif"}, "paths", {"C:\\Jane Doe\\my image.tif"}),
        ({"a": "read from /mnt/jane/x.dm3, twice"}, "paths", {"/mnt/jane/x.dm3"}),
        ({"a": "on \\\\server\\share\\x.tif\nnext"}, "paths", {"\\\\server\\share\\x.tif"}),
        ({"a": "http://www.example.org/data"}, "paths", set()),
    ],
)
def test_words_of_a_field(tree, name, words):
    assert set(words_of(tree, [name])[name]) == words


def test_words_too_short_to_be_found_are_refused():
    with pytest.raises(SanitiseError, match="too short"):
        words_of({"operator": "JD"}, ["operator"])


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16-le", "utf-16-be"])
def test_words_are_found_in_every_encoding_and_keep_their_length(tmp_path, encoding):
    path = tmp_path / "file"
    before = b"\x01\x02" + "by Jörg, Jörg Müller".encode(encoding) + b"\xff"
    path.write_bytes(before)
    assert scrub(path, {"Jörg": "xxxx", "Jörg Müller": "xxxxxxxxxxx"}) == 2
    after = path.read_bytes()
    assert len(after) == len(before)
    assert "Jörg".encode(encoding) not in after
    assert after.startswith(b"\x01\x02" + "by ".encode(encoding))
    assert after.endswith(b"\xff")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_longer_words_stay(tmp_path, encoding):
    copy = tmp_path / "copy"
    text = "Name=semidetector;User=sem;file=sem_01.tif;assem 3sem sem2 (sem)"
    copy.write_bytes(b"\1\2\3\4" + text.encode(encoding) + b"\xff")
    assert scrub(copy, {"sem": "xxx"}) == 3
    expected = "Name=semidetector;User=xxx;file=xxx_01.tif;assem 3sem sem2 (xxx)"
    assert copy.read_bytes() == b"\1\2\3\4" + expected.encode(encoding) + b"\xff"
    assert scrubbed(text, {"sem": "xxx"}) == expected
