"""Every command of the incumbent is answered, by a command that exists."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nexuslims_shared.cli.shell import app

PAGE = Path(__file__).parents[1] / "docs" / "comparison.md"
ROW = re.compile(
    r"^\| `([^`]+)` \| (same|as|refused) \| `nexuslims ([^`]+)` \| .+ \|$", re.MULTILINE
)
THEIRS = {
    "build-records",
    "extract",
    *(f"config {one}" for one in ("dump", "load", "edit", "labarchives-get-uid")),
    *(f"db {one}" for one in ("init", "upgrade", "downgrade", "current", "check", "history")),
    *(f"db {one}" for one in ("alembic", "create-demo", "view")),
    *(f"instruments {one}" for one in ("manage", "list")),
    "support-bundle",
    "completion",
}
ANSWERS = ROW.findall(PAGE.read_text())


def test_each_of_the_incumbents_commands_is_answered():
    assert len(THEIRS) == 19
    assert {theirs for theirs, _, _ in ANSWERS} == THEIRS


@pytest.mark.parametrize(("theirs", "answer", "ours"), ANSWERS)
def test_the_answer_exists(theirs, answer, ours):
    assert CliRunner().invoke(app, [*ours.split(), "--help"]).exit_code == 0
    assert (answer == "same") == (theirs == ours)
