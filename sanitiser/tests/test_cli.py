"""`nexuslims sanitize`: what people and scripts see of it."""

import gzip
import json
import os
import signal
import tarfile

import h5py
import numpy as np
import pytest
import tifffile
import typer
from typer.testing import CliRunner

from nexuslims_sanitiser import isolated
from nexuslims_sanitiser.cli import sanitize
from nexuslims_sanitiser.job import sanitise


@pytest.fixture
def run():
    app = typer.Typer()
    app.command("sanitize")(sanitize)
    return lambda *args: CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, np.full((64, 64), 7, "u1"), metadata=None)
    return path


@pytest.mark.parametrize("companion", ["image.hdr", "data.h5"])
def test_what_lies_outside_the_folder_is_neither_read_nor_copied(run, image, tmp_path, companion):
    """A header file that is a link, and data that are."""
    store, out = tmp_path / "store", tmp_path / "out"
    store.mkdir()
    source = image.rename(store / image.name)
    secret = tmp_path / "secret.hdr"
    secret.write_text("[MAIN]\nDevice=secret\n")
    if companion.endswith(".hdr"):
        (store / companion).symlink_to(secret)
    else:
        source = store / companion
        with h5py.File(source, "w") as file:
            file["part"] = h5py.ExternalLink(str(secret), "/x")
    result = run(source, "--json", "--out", out)
    assert result.exit_code == 1
    assert "outside its folder" in json.loads(result.stdout)["reason"]
    assert not list(out.iterdir())


def test_a_file_that_is_a_link_is_sanitised(run, image, tmp_path):
    (tmp_path / "here").mkdir()
    link = tmp_path / "here" / "link.tif"
    link.symlink_to(image)
    assert run(link, "--out", tmp_path / "out").exit_code == 0


def test_a_copy_lies_in_the_folder_asked_for(run, image, tmp_path):
    result = run(image, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "image_dataZeroed.tif" in result.stdout
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["image_dataZeroed.tif"]


def test_json_is_one_object_per_file_and_one_failure_is_the_exit_code(run, image, tmp_path):
    gone = tmp_path / "gone.tif"
    result = run(gone, image, "--json", "--out", tmp_path / "out")
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert first == {
        "file": str(gone), "outcome": "failed", "reason": "no such file", "written": [],
        "scrubbed": {},
    }  # fmt: skip
    assert second["outcome"] == "sanitised"
    assert second["written"] == [str(tmp_path / "out/image_dataZeroed.tif")]
    assert result.exit_code == 1


def test_archives_hold_the_copy_alone_and_repeat_byte_for_byte(run, image, tmp_path):
    (tmp_path / "._image.tif").write_bytes(b"of another system")
    for folder in ("one", "two"):
        assert run(image, "--archive", "--out", tmp_path / folder).exit_code == 0
    one, two = (tmp_path / folder / "image_dataZeroed.tar.gz" for folder in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    assert [path.name for path in (tmp_path / "one").iterdir()] == [one.name]
    assert one.stat().st_size < image.stat().st_size
    with tarfile.open(one) as tar:
        (item,) = tar.getmembers()
    assert (item.name, item.mode, item.uid, item.uname) == ("image_dataZeroed.tif", 0o644, 0, "")
    assert item.mtime == int(image.stat().st_mtime)
    assert gzip.decompress(one.read_bytes())


def test_series_and_headers_go_with_the_file_that_needs_them(run, image, tmp_path):
    (tmp_path / "image.hdr").write_text("[MAIN]\nUserName=j.doe\n")
    (tmp_path / "image.txt").write_text("1.0 2.0 3.0 of the spectrum\n")
    result = run(image, "--json", "--out", tmp_path / "out")
    written = [path.rpartition("/")[2] for path in json.loads(result.stdout)["written"]]
    assert written == ["image_dataZeroed.tif", "image_dataZeroed.hdr"]


def test_named_fields_are_written_over_in_the_same_length_and_reported(run, fei_tiff, tmp_path):
    text = "[User]\r\nUser=j.doe\r\nUserText=seen by j.doe\r\n[System]\r\nDnumber=4711\r\n"
    source = fei_tiff("image.tif", np.full((64, 64), 7, "u1"), text)
    out = tmp_path / "out"
    result = run(source, "--json", "--scrub", "operator", "--out", out)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["scrubbed"] == {"operator": 2}
    copy = (out / "image_dataZeroed.tif").read_bytes()
    assert b"j.doe" not in copy
    assert b"UserText=seen by xxxxx\r\n[System]\r\nDnumber=4711" in copy
    assert len(copy) == source.stat().st_size


def test_a_field_that_no_file_tells_is_a_failure(run, image, tmp_path):
    result = run(image, "--scrub", "opertor", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "opertor: no file tells it" in result.stderr


def test_nothing_is_written_over(run, image, tmp_path):
    out = tmp_path / "out"
    assert run(image, "--out", out).exit_code == 0
    result = run(image, "--out", out)
    assert result.exit_code == 1
    assert "exists already" in result.stderr


HOSTILE = {
    "empty.tif": b"",
    "short.tif": b"II*\0",
    "loop.tif": b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
    "huge.tif": b"II*\0\x08\0\0\0\xff\xff" + b"\xff" * 64,
    "big.tif": b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0" + b"\xff" * 64,
    "short.dm3": b"\0\0\0\x03\0\0\0\x10\0\0\0\x01\0\0\xff\xff\xff\xff",
    "short.ser": b"II\x97\x01\x10\x02",
    "many.ser": b"II\x97\x01\x10\x02\x22\x41\x52\x41" + b"\xff" * 40,
    "short.mrc": b"\0" * 208 + b"MAP " + b"\xff" * 20,
    "many.mrc": b"\xff\xff\xff\x7f".ljust(208, b"\1") + b"MAP " + b"\0" * 900,
    "far.mrc": b"\xff" * 208 + b"MAP " + b"\xff" * 900,
    "short.blo": b"IMGBLO\x12\x12",
    "far.spc": b"\xff" * 100,
    "short.h5": b"\x89HDF\r\n\x1a\n" + b"\xff" * 200,
    "noise.emi": bytes(range(256)) * 20,
    "plain.xyz": b"\x01\x02\x03",
    "image.png": b"\x89PNG\r\n\x1a\n",
}


def test_a_file_that_breaks_or_holds_up_its_reader_costs_itself_alone(
    run, image, tmp_path, monkeypatch
):
    def breaking(source, out, **options):
        if source.name == "crash.tif":
            os.kill(os.getpid(), signal.SIGKILL)
        while source.name == "slow.tif":
            pass
        return sanitise(source, out, **options)

    monkeypatch.setattr(isolated, "sanitise", breaking)
    files = [tmp_path / "crash.tif", tmp_path / "slow.tif", image]
    result = run(*files, "--json", "--timeout", 2, "--out", tmp_path / "out")
    answer = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["outcome"] for record in answer] == ["failed", "failed", "sanitised"]
    assert answer[0]["reason"] == "a reader crashed on it: Killed"
    assert "longer than 2 s" in answer[1]["reason"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["image_dataZeroed.tif"]


def test_hostile_files_give_a_reason_and_leave_nothing(run, tmp_path):
    for name, content in HOSTILE.items():
        (tmp_path / name).write_bytes(content)
    os.mkfifo(tmp_path / "fifo.tif")
    out = tmp_path / "out"
    names = [*HOSTILE, "fifo.tif"]
    result = run(*(tmp_path / name for name in names), "--json", "--out", out)
    answer = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["file"] for record in answer] == [str(tmp_path / name) for name in names]
    assert {record["outcome"] for record in answer} == {"failed"}
    assert all(record["reason"] for record in answer)
    assert not list(out.iterdir())
    assert "Traceback" not in result.output
