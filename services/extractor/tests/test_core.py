import json
import os
import subprocess
import sys

import dask.array
import numpy as np
import pytest

from nexuslims_extractor import extraction
from nexuslims_extractor.core import extract_file
from nexuslims_formats import registry
from nexuslims_formats.json_tree import json_safe, to_json_bytes
from nexuslims_formats.locales.encodings import decode
from nexuslims_formats.model import InstrumentContext, ParsedFile, Signal

TITAN = InstrumentContext("titan", "America/New_York")


def a_signal(**more):
    return Signal(name="s", dataset_type="Image", data_type="SEM_Imaging", **more)


class Made:
    name, version, priority, extensions = "made", "9.9", 500, ("made",)

    def __init__(self, result, meanwhile):
        self.result = result
        self.meanwhile = meanwhile

    def supports(self, path, head):
        return path.suffix == ".made"

    def open(self, path):
        self.meanwhile(path)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Extract a file through a plugin that gives or raises what the test says."""
    others = registry.installed()

    def run(result, meanwhile=lambda _path: None, **options):
        plugin = Made(result, meanwhile)
        monkeypatch.setattr(registry, "installed", lambda: (plugin, *others))
        path = tmp_path / "file.made"
        path.write_bytes(b"content")
        os.utime(path, (1542131372, 1542131372))
        return extract_file(path, **options)

    return run


def test_artifacts_lie_in_the_incumbents_layout(fei_tiff, tmp_path):
    path = fei_tiff("image.tif", np.eye(20, dtype=np.uint8), "[User]\nDate=12/18/2017\n")
    data = tmp_path / "data"
    done = extract_file(
        path, artifacts_root=data, relative_path="Titan/2018/image.tif", previews=True
    )
    assert done.outcome == "extracted"
    assert [ref.path for ref in done.metadata_artifacts] == ["Titan/2018/image.tif.json"]
    assert done.datasets[0].preview.path == "Titan/2018/image.tif.thumb.png"
    document = json.loads((data / "Titan/2018/image.tif.json").read_bytes())
    assert next(iter(document)) == "nx_meta"
    assert document["original_metadata"]["sections"]["User"]["Date"] == "12/18/2017"
    assert sorted(p.name for p in (data / "Titan/2018").iterdir()) == [
        "image.tif.json",
        "image.tif.thumb.png",
    ]


def test_several_signals_have_numbered_artifacts(made, tmp_path):
    parsed = ParsedFile(signals=[a_signal(), a_signal()])
    done = made(parsed, artifacts_root=tmp_path / "data", relative_path="a.made")
    names = [ref.path for ref in done.metadata_artifacts]
    assert names == ["a.made_signal0.json", "a.made_signal1.json"]
    assert [item.index for item in done.datasets] == [0, 1]


def test_the_same_file_gives_the_same_bytes(fei_tiff, tmp_path):
    path = fei_tiff("image.tif", np.eye(64, dtype=np.uint8), "[User]\nUser=x\n")
    first, second = (
        extract_file(path, artifacts_root=tmp_path / name, previews=True) for name in "ab"
    )
    assert first == second


def test_an_exception_names_extractor_and_cause(made):
    done = made(ZeroDivisionError("division by zero"))
    assert (done.outcome, done.failure) == ("failed", "failed")
    assert done.reason == (
        "file.made: made 9.9: the file is damaged, or of an unknown variant"
        " (ZeroDivisionError: division by zero)"
    )
    assert done.extractor.name == "made"


@pytest.mark.parametrize("result", [ParsedFile(signals=[a_signal()]), ValueError("too short")])
@pytest.mark.parametrize("content", [b"con", b"content and more"])
def test_a_file_that_changes_while_it_is_read(made, result, content):
    done = made(result, lambda path: path.write_bytes(content))
    assert (done.outcome, done.failure, done.datasets) == ("failed", "changed", ())
    assert done.reason == "file.made: the file changed while it was read"


def test_a_broken_preview_costs_only_itself(made, tmp_path):
    def broken():
        raise OSError("disk on fire")

    parsed = ParsedFile(signals=[a_signal(pixels=broken)])
    done = made(parsed, artifacts_root=tmp_path / "data", previews=True)
    assert done.outcome == "partial"
    assert "disk on fire" in done.reason
    assert len(done.datasets) == 1
    assert done.previews == ()


def test_what_a_plugin_could_not_read_is_reported(made):
    done = made(ParsedFile(signals=[a_signal()], problems=("half is missing",)))
    assert (done.outcome, done.reason) == ("partial", "file.made: half is missing")


def test_a_bad_core_value_costs_only_itself(made):
    parsed = ParsedFile(signals=[a_signal(metadata={"acceleration_voltage": (30.0, "kV")})])
    assert made(parsed).outcome == "extracted"
    metadata = made(parsed).datasets[0].metadata
    assert metadata["acceleration_voltage"] == {"value": 30.0, "unit": "kV"}


def test_without_a_time_of_its_own_a_file_has_its_modification_time(made):
    (dataset,) = made(ParsedFile(signals=[a_signal()]), instrument=TITAN).datasets
    assert dataset.creation_time.isoformat() == "2018-11-13T12:49:32-05:00"
    assert dataset.extensions["creation_time_source"] == "file modification time"


def test_control_characters_and_undefined_numbers_never_get_out(made):
    signal = a_signal(
        metadata={"specimen": "ab\x00c\x1f"}, extensions={"v\x07": float("nan"), "w": "\ud800x"}
    )
    (dataset,) = made(ParsedFile(signals=[signal])).datasets
    assert dataset.metadata["specimen"] == "abc"
    assert dataset.extensions["v"] == "NaN"
    assert dataset.extensions["w"] == "x"
    assert json.loads(to_json_bytes({"a": float("inf"), "b": b"\x01\x02"})) == {
        "a": "Infinity",
        "b": "0102",
    }
    assert json_safe(np.float32(1.5)) == 1.5


@pytest.mark.parametrize(
    ("name", "content"),
    [("empty.dm3", b""), ("empty.tif", b""), ("empty.txt", b"")],
)
def test_an_empty_file_fails_with_a_reason(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    done = extract_file(path)
    assert (done.outcome, done.failure) == ("failed", "unreadable")
    assert "empty" in done.reason


@pytest.mark.parametrize("name", ["missing.dm3", ".", "pipe"])
def test_what_is_no_regular_file_is_not_opened(tmp_path, name):
    if name == "pipe":
        os.mkfifo(tmp_path / name)
    done = extract_file(tmp_path / name)
    assert done.outcome == "failed"
    assert done.reason


def test_an_unreadable_file_fails_with_a_reason(tmp_path, monkeypatch):
    path = tmp_path / "locked.dm3"
    path.write_bytes(b"x")

    def denied(*_args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(extraction.os, "open", denied)
    done = extract_file(path)
    assert (done.failure, done.reason) == ("unreadable", "locked.dm3: Permission denied")


def test_content_decides_over_a_wrong_name(tmp_path, dm_file, caplog):
    path = tmp_path / "renamed.tar.gz"
    data = {"Data": b"\0" * 16, "DataType": (5, 2), "Dimensions": {"a": (5, 2), "b": (5, 2)}}
    path.write_bytes(dm_file(3).bytes({"ImageList": {"a": {"ImageData": data}}}))
    with caplog.at_level("DEBUG", "nexuslims_formats.registry"):
        assert extract_file(path).extractor.name == "digital_micrograph"
    assert "read by digital_micrograph (priority 100)" in caplog.text


def test_unknown_content_falls_back(tmp_path):
    path = tmp_path / "notes.xyz"
    path.write_bytes(b"\x00\x01\x02 something")
    (dataset,) = extract_file(path).datasets
    assert (dataset.dataset_type, dataset.name) == ("Unknown", "notes")


def test_the_package_is_light_until_used():
    code = (
        "import sys, nexuslims_extractor.cli; print('numpy' in sys.modules, 'pint' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False", "False"]


def test_a_code_page_is_not_taken_for_a_text_that_was_cut(tmp_path):
    assert decode(b"caf\xe9\r\n") == ("caf\xe9\r\n", "cp1252")
    assert decode(b"caf\xc3", cut=True) == ("caf", "utf-8")


def test_bytes_and_lazy_arrays_become_what_people_read():
    lazy = dask.array.from_array(np.arange(3))
    many = dask.array.zeros((100, 100), dtype="f4")
    tree = {"a": b"NXentry\0", "b": b"\1\2", "c": lazy, "d": many}
    assert json_safe(tree) == {
        "a": "NXentry", "b": "0102", "c": [0, 1, 2], "d": "float32 array (100, 100)"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"shape": (2, 2), "undrawn": "events are not decoded"}, "events are not decoded"),
        ({"shape": (2, 2), "problems": ("it is cut",)}, "it is cut"),
        ({"shape": (2, 2)}, "its values cannot be read"),
        ({}, "it holds no image"),
    ],
)
def test_a_preview_that_is_not_there_has_its_reason(made, tmp_path, more, words):
    done = made(ParsedFile(signals=[a_signal(**more)]), artifacts_root=tmp_path, previews=True)
    assert done.previews == ()
    assert f"no preview: {words}" in done.datasets[0].warnings
    asked = made(ParsedFile(signals=[a_signal(**more)]))
    assert not [one for one in asked.datasets[0].warnings if "preview" in one]


@pytest.mark.parametrize(
    ("value", "word"),
    [(float("nan"), "NaN"), ((-float("inf"), "mm"), "-Infinity"), (float("inf"), "Infinity")],
)
def test_a_number_that_is_not_finite_is_named_or_kept_as_a_word(made, value, word):
    extensions = {"list": [1.0, float("nan")]}
    signal = a_signal(metadata={"working_distance": value}, extensions=extensions)
    done = made(ParsedFile(signals=[signal]))
    (dataset,) = done.datasets
    assert (done.outcome, "working_distance" in dataset.metadata) == ("extracted", False)
    assert dataset.extensions["list"] == [1.0, "NaN"]
    words = f"working_distance is left out: the file has {word}, which is no number"
    assert words in dataset.warnings
