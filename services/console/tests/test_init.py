"""The files of a new facility are written from a few answers, and none is replaced."""

import os
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from nexuslims_shared.cli.shell import app
from nexuslims_shared.instruments import read_instruments
from nexuslims_shared.settings import read_settings
from nexuslims_shared.settings.groups import variables

WRITTEN = (".env", "calendar.toml", "instruments.toml")


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    for name in list(os.environ):
        if name.startswith("NX_") or name == "NATS_URL":
            monkeypatch.delenv(name)
    for folder in ("store/Titan", "store/Quanta's", "store/.snapshots"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str, answers: str = "") -> Result:
        return CliRunner().invoke(app, ["init", *arguments], input=answers)

    return invoke


def test_each_folder_of_the_store_becomes_an_instrument(call: Callable[..., Result]) -> None:
    result = call("--files", "store", "--timezone", "America/Denver", "--yes")
    assert result.exit_code == 0, result.output
    settings = read_settings()
    assert settings.instrument_data_path == Path("store")
    assert settings.data_path.is_dir()
    found = read_instruments(settings.instruments_file)
    assert {one.pid: one.filestore_path for one in found.values()} == {
        "Quanta's": "Quanta's",
        "Titan": "Titan",
    }
    assert found["Titan"].timezone == "America/Denver"


def test_the_calendar_has_a_session_to_fill_in(call: Callable[..., Result]) -> None:
    call("--files", "store", "--instrument", "FEI-Titan=Titan", "--yes")
    text = Path("calendar.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text) == {}
    example = "\n".join(line.removeprefix("# ") for line in text.splitlines()[1:])
    assert tomllib.loads(example)["session"][0]["instrument"] == "FEI-Titan"


def test_answers_are_asked_for_and_asked_again(call: Callable[..., Result]) -> None:
    answers = "nowhere\nstore\nresults\nMars/Base\nEurope/Berlin\n\nn\ny\n"
    result = call(answers=answers)
    assert result.exit_code == 0, result.output
    assert "nowhere is no folder" in result.output
    assert "not an IANA time zone" in result.output
    assert read_settings().data_path == Path("results")
    (only,) = read_instruments(Path("instruments.toml")).values()
    assert (only.pid, only.timezone) == ("Titan", "Europe/Berlin")


def test_nemo_lists_the_instruments(call: Callable[..., Result]) -> None:
    nemo = "https://nemo.example.org/api/"
    result = call(answers=f"store\n\n\n{nemo}\n/run/secrets/nemo\n")
    assert result.exit_code == 0, result.output
    assert variables()["NX_NEMO_ADDRESS_1"] == nemo
    assert variables()["NX_NEMO_TOKEN_1_FILE"] == "/run/secrets/nemo"
    assert read_instruments(Path("instruments.toml")) == {}
    assert "instruments import --from-nemo" in result.output


def test_no_file_is_replaced(call: Callable[..., Result]) -> None:
    Path(".env").write_text("NX_DATA_PATH=mine\n", encoding="utf-8")
    result = call("--files", "store", "--yes")
    assert result.exit_code == 0
    assert ".env is there already and stays as it is" in result.output
    before = {name: Path(name).read_bytes() for name in WRITTEN}
    assert before[".env"] == b"NX_DATA_PATH=mine\n"
    call("--files", "store", "--instrument", "Other=Titan", "--yes")
    assert {name: Path(name).read_bytes() for name in WRITTEN} == before


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--yes"], "--files"),
        (["--files", "nowhere", "--yes"], "nowhere is no folder"),
        (["--files", "store", "--instrument", "Titan", "--yes"], "is not PID=FOLDER"),
        (["--files", "store", "--instrument", "T=../T", "--yes"], "must stay below"),
        (["--files", "store", "--timezone", "Mars", "--yes"], "not an IANA time zone"),
    ],
)
def test_what_cannot_be_right_writes_nothing(
    call: Callable[..., Result], arguments: list[str], reason: str
) -> None:
    result = call(*arguments)
    assert result.exit_code != 0
    assert reason in str(result.exception) + result.output
    assert sorted(one.name for one in Path().iterdir()) == ["store"]
