"""Entries of the instruments' file are added, changed and removed; the rest of it stays."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from nexuslims_shared.cli.shell import app
from nexuslims_shared.instruments import read_instruments

FILE = """# our microscopes
[[instrument]]
pid = "Titan"  # the old one
filestore_path = "Titan"
"""


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    for name in list(os.environ):
        if name.startswith("NX_") or name == "NATS_URL":
            monkeypatch.delenv(name)
    (tmp_path / ".env").write_text("NX_INSTRUMENT_DATA_PATH=.\nNX_DATA_PATH=data\n")
    (tmp_path / "instruments.toml").write_text(FILE)
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["instruments", *arguments])

    return invoke


def test_an_instrument_is_added(call: Callable[..., Result], tmp_path: Path) -> None:
    assert call("add", "Quanta", "filestore_path=Quanta", "clock_offset=1.5").exit_code == 0
    text = (tmp_path / "instruments.toml").read_text()
    assert text.startswith(FILE)
    assert read_instruments(tmp_path / "instruments.toml")["Quanta"].clock_offset == 1.5


def test_an_instrument_is_changed(call: Callable[..., Result], tmp_path: Path) -> None:
    assert call("edit", "Titan", "location=Building 223").exit_code == 0
    text = (tmp_path / "instruments.toml").read_text()
    assert "# the old one" in text
    assert 'location = "Building 223"' in text
    assert call("edit", "Titan", "location=").exit_code == 0
    assert (tmp_path / "instruments.toml").read_text() == FILE


def test_an_instrument_is_removed(call: Callable[..., Result], tmp_path: Path) -> None:
    assert call("remove", "Titan").exit_code == 1
    assert (tmp_path / "instruments.toml").read_text() == FILE
    assert call("remove", "Titan", "--yes").exit_code == 0
    assert read_instruments(tmp_path / "instruments.toml") == {}


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "Titan", "filestore_path=X"),
        ("add", "Quanta"),
        ("add", "Quanta", "filestore_path=X", "timezone=Nowhere"),
        ("edit", "Titan", "colour=red"),
        ("edit", "Nobody", "location=X"),
        ("edit", "Titan", "location"),
        ("remove", "Nobody", "--yes"),
    ],
)
def test_what_is_wrong_changes_nothing(
    call: Callable[..., Result], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    assert call(*arguments).exit_code in (1, 2)
    assert (tmp_path / "instruments.toml").read_text() == FILE
