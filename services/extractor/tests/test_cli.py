import csv
import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import nexuslims_extractor
from nexuslims_extractor import workers
from nexuslims_extractor.cage import reading
from nexuslims_extractor.cli import _large, extract
from nexuslims_extractor.printing import as_record
from nexuslims_formats.model import InstrumentContext
from nexuslims_formats.registry import installed


@pytest.fixture
def run(monkeypatch):
    # the workers are forks of this process, whose tests may have taken more than a file may
    monkeypatch.setattr(workers.resource, "setrlimit", lambda *_: None)
    app = typer.Typer()
    app.command("extract")(extract)
    yield lambda *args: CliRunner().invoke(app, [str(arg) for arg in args])
    logging.getLogger().setLevel(logging.WARNING)


def test_json_is_one_object_per_file_in_the_order_given(run, tmp_path):
    paths = [tmp_path / name for name in ("b.txt", "a.txt", "gone.txt")]
    for path in paths[:2]:
        path.write_text("words\n")
    result = run(*paths, "--json")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["file"]["path"] for record in records] == [str(path) for path in paths]
    assert [record["outcome"] for record in records] == ["extracted", "extracted", "failed"]
    assert result.exit_code == 1
    first = records[0]
    assert set(first) == {"file", "outcome", "reason", "extractor", "datasets", "previews"}
    assert set(first["file"]) == {"path", "bytes", "mtime", "sha256"}
    assert set(first["extractor"]) == {"name", "version", "reader"}
    assert set(first["datasets"][0]) == {
        "index", "name", "dataset_type", "data_type", "creation_time", "shape", "dtype", "axes",
        "metadata", "extensions", "warnings",
    }  # fmt: skip
    assert records[2]["reason"]


def test_previews_of_files_with_one_name_do_not_collide(run, tmp_path):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.txt").write_text(folder)
    out = tmp_path / "previews"
    result = run(tmp_path / "a/x.txt", tmp_path / "b/x.txt", "--json", "--preview", out)
    assert result.exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == ["2-x.txt.thumb.png", "x.txt.thumb.png"]
    previews = [json.loads(line)["previews"] for line in result.stdout.splitlines()]
    assert previews == [[str(out / "x.txt.thumb.png")], [str(out / "2-x.txt.thumb.png")]]


def test_people_get_a_table_and_no_traceback(run, tmp_path):
    (tmp_path / "empty.dm3").write_bytes(b"")
    result = run(tmp_path / "empty.dm3")
    assert "the file is empty" in " ".join(result.stdout.split())
    assert "Traceback" not in result.output
    assert result.exit_code == 1


def test_an_instrument_places_local_times(run, tmp_path, monkeypatch):
    (tmp_path / "instruments.toml").write_text(
        '[[instrument]]\npid = "titan"\nfilestore_path = "Titan"\ntimezone = "Asia/Tokyo"\n'
    )
    monkeypatch.setenv("NX_INSTRUMENTS_FILE", str(tmp_path / "instruments.toml"))
    (tmp_path / "a.txt").write_text("words")
    result = run(tmp_path / "a.txt", "--json", "--instrument", "titan")
    assert json.loads(result.stdout)["datasets"][0]["creation_time"].endswith("+09:00")


def test_python_gives_what_the_command_line_gives(run, fei_tiff, tmp_path, monkeypatch):
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "mine.py").write_text(
        "from nexuslims_extractor.profiles import Profile\n"
        "MINE = Profile(instrument='titan', metadata={'software': '4.2'})\n"
    )
    (tmp_path / "instruments.toml").write_text(
        '[[instrument]]\npid = "titan"\nfilestore_path = "Titan"\ntimezone = "Asia/Tokyo"\n'
    )
    monkeypatch.setenv("NX_INSTRUMENTS_FILE", str(tmp_path / "instruments.toml"))
    monkeypatch.setenv("NX_LOCAL_PROFILES_PATH", str(tmp_path / "profiles"))
    section = "[User]\nDate=12/18/2017\nTime=01:04:14 PM\n[Beam]\nHV=30000\n"
    path = fei_tiff("a.tif", np.eye(8, dtype=np.uint8), section)
    (tmp_path / "bad.tif").write_bytes(b"II*\0")
    for file in (path, tmp_path / "bad.tif", tmp_path / "gone.tif"):
        answer = json.loads(run(file, "--json").stdout)
        assert answer == json.loads(json.dumps(as_record(nexuslims_extractor.extract(file))))
    titan = InstrumentContext("titan", "Asia/Tokyo")
    answer = json.loads(run(path, "--json", "--instrument", "titan").stdout)
    assert answer == json.loads(
        json.dumps(
            as_record(
                nexuslims_extractor.extract(path, instrument=titan, profiles=tmp_path / "profiles")
            )
        )
    )
    assert answer["datasets"][0]["metadata"]["software"] == "4.2"


def test_a_profile_that_cannot_be_used_stops_it(run, tmp_path, monkeypatch):
    (tmp_path / "instruments.toml").write_text(
        '[[instrument]]\npid = "titan"\nfilestore_path = "Titan"\n'
    )
    monkeypatch.setenv("NX_INSTRUMENTS_FILE", str(tmp_path / "instruments.toml"))
    monkeypatch.setenv("NX_LOCAL_PROFILES_PATH", str(tmp_path / "gone"))
    result = run(tmp_path / "a.txt", "--instrument", "titan")
    assert result.exit_code == 2
    assert "NX_LOCAL_PROFILES_PATH" in result.output


def test_it_tells_why_each_extractor_was_or_was_not_chosen(tmp_path):
    (tmp_path / "a.txt").write_text("words")
    script = "import typer; from nexuslims_extractor.cli import extract; typer.run(extract)"
    command = [sys.executable, "-c", script, str(tmp_path / "a.txt")]
    quiet = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not quiet.stderr
    answer = subprocess.run([*command, "-v"], capture_output=True, text=True, check=True).stderr
    assert "a.txt: read by text (priority 20)" in answer
    for plugin in installed():
        assert f" {plugin.name}" in answer, plugin.name
    assert "a.txt: not fallback, text comes first" in answer


def test_an_unknown_instrument_is_named(run, tmp_path, monkeypatch):
    (tmp_path / "instruments.toml").write_text("")
    monkeypatch.setenv("NX_INSTRUMENTS_FILE", str(tmp_path / "instruments.toml"))
    result = run(tmp_path / "a.txt", "--instrument", "nobody")
    assert result.exit_code == 2
    assert "nobody" in result.output


def test_a_file_that_may_not_be_read_costs_itself_only(run, tmp_path, monkeypatch):
    for name in ("good.txt", "locked.txt"):
        (tmp_path / name).write_text("words")
    monkeypatch.setattr("os.access", lambda *_args, **_options: False)
    result = run(tmp_path / "good.txt", tmp_path / "locked.txt", tmp_path / "gone.txt", "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [Path(line["file"]["path"]).stem for line in lines] == ["good", "locked", "gone"]
    assert lines[0]["outcome"] == "extracted"
    assert (lines[2]["outcome"], result.exit_code) == ("failed", 1)


@pytest.mark.parametrize("name", ["", "a" * 6000, "b/" * 3000])
def test_what_is_no_name_of_a_file_is_named_shortly(run, name):
    result = run(name, "--json")
    line = json.loads(result.stdout)
    assert (line["outcome"], result.exit_code) == ("failed", 1)
    start, _, cause = line["reason"].partition(": ")
    assert 0 < len(start) < 256
    assert cause


def test_how_much_there_is_to_read_is_told_where_it_takes_long(tmp_path):
    large, small = tmp_path / "large.tif", tmp_path / "small.tif"
    for path, size in ((large, 5 << 30), (small, 5)):
        with path.open("wb") as file:
            file.truncate(size)
    assert _large([large, tmp_path / "gone", Path("a" * 6000)]) == " 5 GiB, all of it for the hash"
    assert _large([small, tmp_path / "gone"]) == ""


def test_folders_are_read_on_request(run, tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("deep/b.txt", "deep/er/a.txt", "deep/.hidden.txt"):
        (tmp_path / name).write_text("words\n")
    result = run(tmp_path / "deep", "-r", "--json")
    names = [Path(json.loads(line)["file"]["path"]).name for line in result.stdout.splitlines()]
    assert names == ["b.txt", "a.txt"]


def test_the_incumbents_spellings_are_taken(run, tmp_path):
    (tmp_path / "a.txt").write_text("words\n")
    assert run(tmp_path / "a.txt", "--no-preview").exit_code == 0
    assert run(tmp_path / "a.txt", "-p", tmp_path / "previews").exit_code == 0
    assert [path.name for path in (tmp_path / "previews").iterdir()] == ["a.txt.thumb.png"]
    assert run(tmp_path / "a.txt", "-p", tmp_path / "x", "--no-preview").exit_code == 2


def test_errors_come_after_the_results_each_kind_under_its_heading(run, tmp_path):
    (tmp_path / "a.txt").write_text("words")
    (tmp_path / "empty.dm3").write_bytes(b"")
    result = run(tmp_path / "empty.dm3", tmp_path / "a.txt", tmp_path / "gone.txt")
    table, heading, errors = result.stdout.partition("Not read (2)")
    assert heading
    assert "a.txt" in table
    assert "empty.dm3" not in table
    assert [line.split(":")[0].strip() for line in errors.strip().splitlines()] == [
        "empty.dm3",
        "gone.txt",
    ]


def test_csv_has_a_line_for_each_dataset_and_units_in_its_head(run, fei_tiff, tmp_path):
    section = "[User]\nUserText==1+1\n[Beam]\nHV=30000\n"
    path = fei_tiff("=a.tif", np.eye(8, dtype=np.uint8), section)
    result = run(path, tmp_path / "gone.txt", "--csv")
    first, second = csv.DictReader(io.StringIO(result.stdout))
    assert first["file"] == str(path)
    assert first["acceleration_voltage (kV)"] == "30.0"
    assert first["name"] == "'=a"
    assert first["shape"] == "8 x 8"
    assert (second["outcome"], second["shape"], result.exit_code) == ("failed", "", 1)
    assert run(path, "--csv", "--json").exit_code == 2


def test_the_instruments_file_and_profiles_of_an_env_file_are_used(run, tmp_path, monkeypatch):
    for name in ("NX_INSTRUMENTS_FILE", "NX_LOCAL_PROFILES_PATH"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "ours.toml").write_text(
        '[[instrument]]\npid = "titan"\nfilestore_path = "Titan"\ntimezone = "Asia/Tokyo"\n'
    )
    (tmp_path / ".env").write_text("NX_INSTRUMENTS_FILE=ours.toml\n")
    (tmp_path / "a.txt").write_text("words")
    monkeypatch.chdir(tmp_path)
    result = run("a.txt", "--json", "--instrument", "titan")
    assert json.loads(result.stdout)["datasets"][0]["creation_time"].endswith("+09:00")
    (tmp_path / ".env").write_text("NX_INSTRUMENTS_FILE=ours.toml\nNX_LOCAL_PROFILES_PATH=gone\n")
    assert "NX_LOCAL_PROFILES_PATH" in run("a.txt", "--instrument", "titan").output


def test_a_name_that_is_no_unicode_costs_neither_its_file_nor_another(run, tmp_path):
    for name in (b"bad\xff.txt", b"esc\x1b[31m.txt", b"new\nline.txt", b"fine.txt"):
        (tmp_path / os.fsdecode(name)).write_text("words\n")
    out = tmp_path / "previews"
    result = run(*sorted(tmp_path.iterdir()), "--json", "--preview", out)
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["outcome"] for record in records] == ["extracted"] * 4
    assert len(list(out.iterdir())) == 4
    assert result.exit_code == 0


def test_a_reader_that_says_what_nobody_understands_costs_its_file_alone(
    run, tmp_path, monkeypatch
):
    real = reading.from_bytes

    def misunderstood(content, path):
        if path.name == "odd.txt":
            raise ValueError("odd")
        return real(content, path)

    monkeypatch.setattr(reading, "from_bytes", misunderstood)
    for name in ("odd.txt", "plain.txt"):
        (tmp_path / name).write_text("words\n")
    result = run(tmp_path / "odd.txt", tmp_path / "plain.txt", "--json")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["outcome"] for record in records] == ["failed", "extracted"]
    assert "nobody understands" in records[0]["reason"]
