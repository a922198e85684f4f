"""Validation says where and what; hostile XML harms nobody. The commands on top of it."""

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from nexuslims_builder import validation
from nexuslims_builder.assemble import assemble
from nexuslims_builder.cli import activities
from nexuslims_builder.cli import validate as validate_command
from nexuslims_builder.inputs import RecordInput
from nexuslims_builder.validation import Problem, validate
from nexuslims_contracts.record import schema_bytes
from nexuslims_contracts.record.writer import write_record


def xml_of(record: RecordInput) -> bytes:
    return write_record(assemble(record))


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    app = typer.Typer()
    app.command("activities")(activities)
    app.command("validate")(validate_command)
    return app


def test_a_problem_has_line_element_and_expectation(make_record) -> None:
    content = xml_of(make_record()).replace(b"<summary", b"<strange/>\n  <summary", 1)
    (problem,) = validate(content)
    assert problem.line == content[: content.index(b"<strange/>")].count(b"\n") + 1
    assert problem.element == "strange"
    assert problem.message == "This element is not expected"
    assert problem.expectation == "summary"


@pytest.mark.parametrize(
    ("old", "new", "element", "message", "expectation"),
    [
        (
            b"2018-11-13T15:00:00-07:00",
            b"{}",
            "reservationEnd",
            "'{}' is not valid",
            "a value of type xs:dateTime",
        ),
        (
            b'type="Image"',
            b'type="Picture"',
            "dataset",
            "attribute 'type': The value 'Picture' is not allowed",
            "one of 'Image', 'Spectrum'",
        ),
        (b"<Ni/>", b"<Zz/>", "Zz", "This element is not expected", ""),
        (
            b'role="Experimental"',
            b'colour="red"',
            "dataset",
            "attribute 'colour': The attribute 'colour' is not allowed",
            "",
        ),
    ],
)
def test_what_is_expected_is_in_the_message(
    make_record, *, old: bytes, new: bytes, element: str, message: str, expectation: str
) -> None:
    problem = validate(xml_of(make_record()).replace(old, new, 1))[0]
    assert (problem.element, problem.message) == (element, message)
    assert problem.expectation.startswith(expectation)
    assert bool(problem.expectation) == bool(expectation)
    assert str(problem).startswith(f"line {problem.line}, {element}: {message}")


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
    good.write_bytes(xml_of(make_record()))
    bad.write_bytes(b"<a/>")
    done = CliRunner().invoke(app, ["validate", str(good), str(bad), "none.xml"])
    assert done.exit_code == 1
    assert "good.xml: valid" in done.output
    assert "bad.xml: invalid" in done.output
    assert "none.xml: invalid\n  cannot be read: No such file" in done.output
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
    nowhere = CliRunner().invoke(app, ["activities", "no/folder"])
    assert (nowhere.exit_code, "there is no folder no/folder" in nowhere.output) == (2, True)
    drawn = CliRunner().invoke(app, ["activities", str(tmp_path), "--plot"]).output
    assert "gaps between files" in drawn
    assert CliRunner().invoke(app, ["activities", "--mtimes", "-"], input="x").exit_code == 2
    assert "0.dm3" in CliRunner().invoke(app, ["activities", str(tmp_path)]).output


def test_times_beyond_the_calendar_and_strange_names_are_shown(
    app: typer.Typer, tmp_path: Path
) -> None:
    result = CliRunner().invoke(app, ["activities", "--mtimes", "-"], input="1\n1e300\n")
    assert result.exit_code == 0
    assert "1e+300 s" in result.output
    (tmp_path / os.fsdecode(b"[x]\xff.dm3")).touch()
    result = CliRunner().invoke(app, ["activities", str(tmp_path)])
    assert result.exit_code == 0
    assert "[x]?.dm3" in result.output


@pytest.mark.parametrize("small", [0, 10**9])
def test_small_and_large_records_are_held_to_the_same_schema(
    make_record, monkeypatch: pytest.MonkeyPatch, small: int
) -> None:
    monkeypatch.setattr(validation, "_SMALL", small)
    valid = write_record(assemble(make_record()))
    assert validation.validate(valid) == []
    (problem,) = validation.validate(valid.replace(b' role="Experimental"', b' role="Other"', 1))
    assert (problem.element, "Other" in problem.message) == ("dataset", True)


def test_many_threads_make_the_schema_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that make it at once break libxml2 for as long as the process lives."""
    made: list[int] = []
    begun = threading.Barrier(8)

    def counted() -> bytes:
        made.append(threading.get_ident())
        return schema_bytes()

    def use() -> list[Problem]:
        begun.wait()
        return validation.validate(b"<no-record/>")

    monkeypatch.setattr(validation, "schema_bytes", counted)
    validation._made_schema.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        found = [one.result() for one in [pool.submit(use) for _ in range(8)]]
    assert len(made) == 1
    assert all(found)
