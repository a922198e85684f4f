"""Completion in shells, and the bundle for support."""

import errno
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from nats.js.errors import BucketNotFoundError, NoStreamResponseError, NotFoundError
from typer.testing import CliRunner

from nexuslims_shared.cli import shell
from nexuslims_shared.cli.shell import app

MARK = "planted-for-the-test"


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script(name: str) -> None:
    printed = CliRunner().invoke(app, ["completion", name]).stdout
    assert "_NEXUSLIMS_COMPLETE" in printed


def test_a_shell_that_asks_is_answered() -> None:
    asked = {
        "_NEXUSLIMS_COMPLETE": "complete_bash",
        "COMP_WORDS": "nexuslims sup",
        "COMP_CWORD": "1",
    }
    code = "from nexuslims_shared.cli.shell import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout.split() == ["support-bundle"]


@pytest.mark.parametrize("refused", [errno.EROFS, errno.ENOSPC, errno.EMFILE, errno.EACCES])
def test_what_the_host_refuses_is_one_line(monkeypatch: pytest.MonkeyPatch, refused: int) -> None:
    def fails() -> None:
        raise OSError(refused, os.strerror(refused), "state/up.lock")

    monkeypatch.setattr(shell, "_command", lambda _: shell._as_command("config", fails))
    done = CliRunner().invoke(app, ["config"])
    assert done.exit_code == 1
    assert done.output == f"nexuslims: [Errno {refused}] {os.strerror(refused)}: 'state/up.lock'\n"
    assert isinstance(CliRunner().invoke(app, ["--debug", "config"]).exception, OSError)


@pytest.mark.parametrize(
    ("error", "known"),
    [
        (NotFoundError(code=404, err_code=10059, description="stream not found"), True),
        (NotFoundError(code=404, err_code=10014, description="consumer not found"), True),
        (BucketNotFoundError(), True),
        (NoStreamResponseError(), True),
        (NotFoundError(code=404, err_code=10037, description="no message found"), False),
    ],
)
def test_what_a_broker_lacks_is_one_line(
    monkeypatch: pytest.MonkeyPatch, error: Exception, known: bool
) -> None:
    def fails() -> None:
        raise ExceptionGroup("of a task", [error])

    monkeypatch.setattr(shell, "_command", lambda _: shell._as_command("config", fails))
    done = CliRunner().invoke(app, ["config"])
    assert ("run `nexuslims provision`" in done.output) is known
    assert isinstance(done.exception, SystemExit) is known


@pytest.fixture
def facility(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("NX_") or name == "NATS_URL":
            monkeypatch.delenv(name)
    logs = tmp_path / "state" / "logs"
    logs.mkdir(parents=True)
    (tmp_path / "files").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "instruments.toml").write_text("")
    (tmp_path / ".env").write_text(
        "NX_INSTRUMENT_DATA_PATH=files\nNX_DATA_PATH=data\n"
        f"NATS_URL=nats://me:{MARK}-1@127.0.0.1:1\nNX_NATS_NKEY={MARK}-2\n"
        f"NX_NO_SUCH_TOKEN={MARK}-3\n"
    )
    (logs / "indexer.log").write_text(f"tokens {MARK}-1, {MARK}-2 and {MARK}-3 are wrong\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_bundle_holds_what_support_needs_and_no_secret(facility: Path) -> None:
    done = CliRunner().invoke(app, ["support-bundle"])
    assert done.exit_code == 0, done.output
    with zipfile.ZipFile(facility / "nexuslims-support.zip") as bundle:
        texts = {name: bundle.read(name).decode() for name in bundle.namelist()}
    assert texts.keys() == {
        "versions.json",
        "settings.json",
        "variables.json",
        "doctor.json",
        "instruments.toml",
        "logs/indexer.log",
    }
    assert "are wrong" in texts["logs/indexer.log"]
    assert "NX_NO_SUCH_TOKEN" in texts["variables.json"]
    assert not [name for name, text in texts.items() if MARK in text]


def test_a_bundle_replaces_nothing_unasked(facility: Path) -> None:
    (facility / "nexuslims-support.zip").write_text("other")
    assert CliRunner().invoke(app, ["support-bundle"]).exit_code == 2
    assert (facility / "nexuslims-support.zip").read_text() == "other"


def test_a_bundle_is_made_where_settings_are_missing(facility: Path) -> None:
    (facility / ".env").unlink()
    assert CliRunner().invoke(app, ["support-bundle"]).exit_code == 0
    with zipfile.ZipFile(facility / "nexuslims-support.zip") as bundle:
        assert "NX_DATA_PATH" in bundle.read("settings.json").decode()
