"""Validation says where and what; hostile XML harms nobody. The commands on top of it."""

import json
import os
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from nexuslims_builder.cli import activities
from nexuslims_builder.cli import validate as validate_command
from nexuslims_builder.record import build_record
from nexuslims_builder.validation import validate


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    app = typer.Typer()
    app.command("activities")(activities)
    app.command("validate")(validate_command)
    return app


def test_a_problem_has_line_element_and_expectation(make_record) -> None:
    content = build_record(make_record()).replace(b"<summary", b"<strange/>\n  <summary", 1)
    (problem,) = validate(content)
    assert problem.line == content[: content.index(b"<strange/>")].count(b"\n") + 1
    assert "strange" in problem.message
    assert "summary" in problem.message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "not well-formed"),
        (b"<a><b></a>", "not well-formed"),
        (b"<a/>", "No matching global declaration"),
        (
            b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
            "document type declaration is not allowed",
        ),
    ],
)
def test_what_is_no_record_is_refused(content: bytes, expected: str) -> None:
    (problem,) = validate(content)
    assert expected in str(problem)


def test_the_command_says_which_of_several_is_wrong(
    app: typer.Typer, tmp_path: Path, make_record
) -> None:
    good, bad = tmp_path / "good.xml", tmp_path / "bad.xml"
    good.write_bytes(build_record(make_record()))
    bad.write_bytes(b"<a/>")
    done = CliRunner().invoke(app, ["validate", str(good), str(bad), "none.xml"])
    assert done.exit_code == 1
    assert "good.xml: valid" in done.output
    assert "bad.xml: 1 problems" in done.output
    assert "none.xml: 1 problems" in done.output
    done = CliRunner().invoke(app, ["validate", str(good), "--json"])
    assert done.exit_code == 0
    assert json.loads(done.output)[0]["valid"] is True


def test_the_activities_command_takes_a_folder_or_times(app: typer.Typer, tmp_path: Path) -> None:
    for number, time in enumerate((0, 1, 2, 5000, 5003, 5005)):
        path = tmp_path / f"{number}.dm3"
        path.touch()
        os.utime(path, (1.5e9 + time, 1.5e9 + time))
    by_folder = CliRunner().invoke(app, ["activities", str(tmp_path), "--json"])
    times = "\n".join(str(1.5e9 + time) for time in (5005, 0, 1, 5000, 2, 5003))
    by_times = CliRunner().invoke(app, ["activities", "--mtimes", "-", "--json"], input=times)
    assert json.loads(by_folder.output) == json.loads(by_times.output)
    assert json.loads(by_folder.output)["activities"] == [[0, 1, 2], [3, 4, 5]]
    assert CliRunner().invoke(app, ["activities"]).exit_code == 2
    assert CliRunner().invoke(app, ["activities", "--mtimes", "-"], input="x").exit_code == 2
    assert "0.dm3" in CliRunner().invoke(app, ["activities", str(tmp_path)]).output
