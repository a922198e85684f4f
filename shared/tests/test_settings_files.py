"""Settings are dumped without secrets, and taken over only if they are right."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nexuslims_shared.cli.shell import app

RIGHT = "NX_INSTRUMENT_DATA_PATH=files\nNX_DATA_PATH=data\nNX_NATS_NKEY=planted\n"


@pytest.fixture
def facility(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("NX_") or name == "NATS_URL":
            monkeypatch.delenv(name)
    (tmp_path / ".env").write_text(RIGHT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_dump_is_an_env_without_secrets(facility: Path) -> None:
    done = CliRunner().invoke(app, ["config", "dump", "--output", "dump.env"])
    assert done.exit_code == 0
    text = (facility / "dump.env").read_text()
    assert "NX_DATA_PATH='data'\n" in text
    assert "# NX_NATS_NKEY is set, and secret\n" in text
    assert "planted" not in text
    assert CliRunner().invoke(app, ["config", "dump", "--output", "dump.env"]).exit_code == 2


def test_right_settings_are_taken_over_and_the_former_kept(facility: Path) -> None:
    (facility / "new").write_text(RIGHT.replace("data", "other"))
    assert CliRunner().invoke(app, ["config", "load", "new"]).exit_code == 0
    assert (facility / ".env").read_text() == (facility / "new").read_text()
    assert (facility / ".env.kept").read_text() == RIGHT


def test_unknown_settings_are_not_taken_over(facility: Path) -> None:
    (facility / "new").write_text(RIGHT + "NX_DATA_PAHT=x\n")
    done = CliRunner().invoke(app, ["config", "load", "new"])
    assert done.exit_code == 2
    assert "NX_DATA_PATH" in done.output
    assert (facility / ".env").read_text() == RIGHT


def test_edited_settings_are_checked(facility: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", "sed -i s/NX_DATA_PATH/NX_DATA_PAHT/")
    done = CliRunner().invoke(app, ["config", "edit", "--plain"])
    assert done.exit_code == 1
    assert "NX_DATA_PAHT" in (facility / ".env").read_text()
