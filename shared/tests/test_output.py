"""What commands print is shown by a terminal, and not obeyed."""

import json
from collections.abc import Callable

import pytest

from nexuslims_shared.cli import output

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
