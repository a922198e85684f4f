import json
import logging

import pytest
import typer
from typer.testing import CliRunner

from nexuslims_extractor.cli import extract


@pytest.fixture
def run():
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


def test_an_unknown_instrument_is_named(run, tmp_path, monkeypatch):
    (tmp_path / "instruments.toml").write_text("")
    monkeypatch.setenv("NX_INSTRUMENTS_FILE", str(tmp_path / "instruments.toml"))
    result = run(tmp_path / "a.txt", "--instrument", "nobody")
    assert result.exit_code == 2
    assert "nobody" in result.output
