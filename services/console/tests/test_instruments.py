"""Taking over instruments from a calendar."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from nexuslims_console.actions import instruments
from nexuslims_console.actions.instruments import added, missing
from nexuslims_console.errors import ConsoleError
from nexuslims_shared.cli import shell as cli
from nexuslims_shared.instruments import InstrumentEntry, read_instruments

OWN = """\
# ours
[[instrument]]
pid = "Titan"   # the big one
filestore_path = "Titan_TEM"
"""


def tool(number: int, name: str, **more: str) -> InstrumentEntry:
    return InstrumentEntry(
        pid=name, name=name, filestore_path=name, calendar="nemo-1", calendar_id=str(number), **more
    )


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command line in a facility whose NEMO has two tools."""
    (tmp_path / "files").mkdir()
    (tmp_path / ".env").write_text("NX_INSTRUMENT_DATA_PATH=files\nNX_DATA_PATH=data\n")
    (tmp_path / "instruments.toml").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    tools = [tool(1, "Titan"), tool(2, "Sigma", location='Room "1"')]
    monkeypatch.setattr(instruments, "_ask", lambda kind, number: tools)
    return lambda *words: CliRunner().invoke(cli.app, ["instruments", *words])


def test_what_is_new_is_added_and_what_was_there_stays(call: Callable[..., Result]) -> None:
    result = call("import", "--from-nemo", "--json")
    assert result.exit_code == 0
    assert [one["pid"] for one in json.loads(result.stdout)] == ["Titan-1", "Sigma"]
    assert "correct filestore_path" in result.stderr
    path = Path("instruments.toml")
    assert path.read_text().startswith(OWN)
    entries = read_instruments(path)
    assert entries["Sigma"] == tool(2, "Sigma", location='Room "1"')
    assert entries["Titan"].calendar == "file"
    again = call("import", "--from-nemo")
    assert "has all of them" in again.stdout
    assert len(read_instruments(path)) == 3


def test_one_may_be_chosen_and_nothing_written(call: Callable[..., Result]) -> None:
    result = call("import", "--from-nemo", "--tool", "2", "-n", "--json")
    assert [one["pid"] for one in json.loads(result.stdout)] == ["Sigma"]
    assert Path("instruments.toml").read_text() == OWN
    assert call("import", "--from-nemo", "--tool", "2").exit_code == 0
    assert set(read_instruments(Path("instruments.toml"))) == {"Titan", "Sigma"}


def test_a_tool_that_is_not_there_is_named(call: Callable[..., Result]) -> None:
    result = call("import", "--from-nemo", "--tool", "7")
    assert result.exit_code == 1
    assert "nemo-1 has no 7; it has 1 (Titan), 2 (Sigma)" in result.stderr


def test_a_facility_may_begin_with_it(call: Callable[..., Result]) -> None:
    Path("instruments.toml").unlink()
    assert call("import", "--from-nemo").exit_code == 0
    assert set(read_instruments(Path("instruments.toml"))) == {"Titan", "Sigma"}


def test_a_source_is_asked_for(call: Callable[..., Result]) -> None:
    result = call("import")
    assert result.exit_code == 2
    assert "--from-nemo" in result.stderr


def test_two_tools_of_one_name_get_two_pids() -> None:
    found = missing([], [tool(1, "SEM"), tool(2, "SEM")])
    assert [one.pid for one in found] == ["SEM", "SEM-2"]
    folders = [one.filestore_path.casefold() for one in found]
    assert len(set(folders)) == len(folders)


def test_a_folder_that_is_taken_is_given_to_no_other() -> None:
    known = [tool(1, "SEM").model_copy(update={"calendar": "nemo-2", "pid": "other"})]
    (found,) = missing(known, [tool(1, "sem")])
    assert found.filestore_path.casefold() != known[0].filestore_path.casefold()


def test_a_list_on_one_line_is_left_to_whoever_wrote_it() -> None:
    with pytest.raises(ConsoleError, match=r"as an \[\[instrument\]\] table"):
        added('instrument = [{pid = "a", filestore_path = "a"}]', [tool(1, "SEM")])


def test_any_text_is_written_so_that_it_is_read_again() -> None:
    name = 'Zeiss "Σ" \\ 300\u007f\t\U0001f52c'
    (table,) = tomllib.loads(added("", [tool(1, name)]))["instrument"]
    assert table["name"] == name
