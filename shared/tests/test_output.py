"""What commands print is shown by a terminal, and not obeyed."""

import json
from collections.abc import Callable

import pytest
import typer
from typer.testing import CliRunner

from nexuslims_shared.cli import output
from nexuslims_shared.cli.shell import app

HOSTILE = "\x1b[2J\x1b]0;owned\x07 \x9b31m \u202egnp.exe"
ACTIVE = ("\x1b", "\x07", "\x9b", "\u202e")


@pytest.mark.parametrize(
    "print_it",
    [
        lambda: output.print_table(("session",), [(HOSTILE,)]),
        lambda: output.print_table(("session",), [], nothing=HOSTILE),
        lambda: output.print_json([{"title": HOSTILE}]),
        lambda: output.say(HOSTILE),
        lambda: output.show(HOSTILE),
    ],
    ids=["table", "empty table", "JSON", "message", "line"],
)
def test_nothing_that_a_terminal_obeys_is_printed(
    print_it: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    print_it()
    printed = capsys.readouterr()
    text = printed.out + printed.err
    assert "gnp.exe" in text
    assert not [one for one in ACTIVE if one in text]


def test_json_says_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json({"title": HOSTILE, "unit": "µm"})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"title": HOSTILE, "unit": "µm"}
    assert "µm" in printed


@pytest.mark.parametrize(
    "arguments", [["--dir", f"/{HOSTILE}", "doctor"], [f"--{HOSTILE}"], ["doctor", f"--{HOSTILE}"]]
)
def test_errors_of_use_repeat_nothing_that_a_terminal_obeys(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "gnp.exe" in result.output
    assert not [one for one in ACTIVE if one in result.output]


def test_questions_show_what_a_terminal_would_obey() -> None:
    asking = typer.Typer()
    asking.command()(lambda: output.show(str(output.confirm(HOSTILE))))
    result = CliRunner().invoke(asking, input="y\n")
    assert result.output.endswith("True\n")
    assert "gnp.exe" in result.output
    assert not [one for one in ACTIVE if one in result.output]
