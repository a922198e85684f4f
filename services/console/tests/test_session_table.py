"""Lists of sessions fit a terminal."""

from datetime import UTC, datetime

import pytest

from nexuslims_console.session_table import Line, print_lines

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
END = datetime(2026, 3, 2, 12, tzinfo=UTC)
REASON = "cdcs: the server refuses the record: 'Voltage' is not expected; correct it, then retry"


def lines(name: str = "nemo-1-usage-5821") -> list[Line]:
    return [
        Line(name, START, END, "FEI Titan TEM", status, reason, 12, f"2026-03-02_{name}.xml")
        for status, reason in (
            ("COMPLETED", "done"),
            ("BUILT_NOT_EXPORTED", REASON),
            ("ERROR", REASON),
        )
    ]


@pytest.mark.parametrize("width", [60, 80, 100, 119, 120, 200])
@pytest.mark.parametrize("name", ["nemo-1-usage-5821", "ics-1-" + "x" * 60 + "-20260302"])
def test_a_session_takes_few_lines_in_any_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int, name: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    print_lines(lines(name), nothing="no sessions")
    printed = capsys.readouterr().out.splitlines()
    if width < 120:
        assert len(printed) <= 12
        assert sum("2026-03-02" in one for one in printed) == 3
    assert max(map(len, printed)) <= width


def test_a_shortened_name_keeps_its_beginning_and_its_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_lines(lines("ics-1-" + "x" * 60 + "-20260302"), nothing="no sessions")
    printed = capsys.readouterr().out
    assert "ics-1-" in printed
    assert "-20260302" in printed


def test_no_sessions_are_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_lines([], nothing="no sessions")
    assert capsys.readouterr().out == "no sessions\n"
