"""A secret in every setting, and nothing of it in anything that is printed or written."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from typer.testing import CliRunner

from nexuslims_contracts.plugins import installed
from nexuslims_shared.accounts.keys import new_seed
from nexuslims_shared.cli.shell import COMMANDS, app
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.network import Network
from nexuslims_shared.secrets import is_secret
from nexuslims_shared.settings import Numbered, Settings, read
from nexuslims_shared.settings.display import GROUP
from tests.system import free_port

MARK = "hunter2"
"""Part of everything secret that these tests plant."""

KEY = new_seed()
"""The seed of a broker's user has a form of its own."""

MODELS = [Settings, Network, *(plugin.load() for plugin in installed(GROUP).values())]
FIELDS = [(model, name) for model in MODELS for name in model.model_fields]
CALLS = {
    "activities": ["activities", "files"],
    "approve": ["approve"],
    "backup": ["backup", "saved"],
    "broker": ["broker", "init", "broker"],
    "build-records": ["build-records", "--timeout", "1"],
    "completion": ["completion", "bash"],
    "config": ["config"],
    "consent": ["consent"],
    "curate": ["curate", "file-1"],
    "datasets": ["datasets", "export", "all.parquet"],
    "dead-letters": ["dead-letters", "list"],
    "doctor": ["doctor"],
    "export": ["export", "file-1"],
    "extract": ["extract", "files/nothing.dm3"],
    "import-legacy": ["import-legacy", "--db", "nothing.db"],
    "init": ["init", "--files", "files", "--yes"],
    "instruments": ["instruments"],
    "notify": ["notify"],
    "people": ["people", "list"],
    "periods": ["periods"],
    "plugin": ["plugin", "new", "format", "acme"],
    "provision": ["provision"],
    "read-model": ["read-model", "rebuild"],
    "rebuild": ["rebuild", "--all"],
    "restore": ["restore", "saved"],
    "retry": ["retry", "file-1"],
    "run": ["run", "nobody"],
    "sanitize": ["sanitize", "files/nothing.dm3"],
    "session": ["session", "file-1"],
    "sessions": ["sessions"],
    "support-bundle": ["support-bundle"],
    "trial": ["trial", "--from", "nothing.env"],
    "up": ["up"],
    "validate": ["validate", "nothing.xml"],
    "verify": ["verify", "--all"],
    "withdraw": ["withdraw", "file-1", "--yes"],
}
"""One call of each command that meets the broker, if it does at all."""

AS_JSON = [[*CALLS[name], "--json"] for name in ("config", "doctor", "sessions", "rebuild")]


def number_of(model):
    return "1" if issubclass(model, Numbered) else ""


@pytest.fixture
def facility(tmp_path, monkeypatch):
    """A facility whose every secret is planted; its broker is away."""
    for name in list(os.environ):
        if name.startswith("NX_") or name == "NATS_URL":
            monkeypatch.delenv(name)
    (tmp_path / "files").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "instruments.toml").write_text("")
    planted = {
        "NX_INSTRUMENT_DATA_PATH": "files",
        "NX_DATA_PATH": "data",
        "NATS_URL": f"nats://nexus:{MARK}-broker@127.0.0.1:1",
        "NX_DATABASE_URL": f"postgresql+psycopg://nexus:{MARK}-database@127.0.0.1:1/nexus",
        "NX_CDCS_URL": "http://127.0.0.1:1",
        "NX_ELABFTW_URL": "http://127.0.0.1:1",
        "NX_LABARCHIVES_URL": "http://127.0.0.1:1/api",
        "NX_LABARCHIVES_PAUSE": "0",
        "NX_NEMO_ADDRESS_1": "http://127.0.0.1:1/api/",
    }
    for model, name in FIELDS:
        if is_secret(name, model.model_fields[name]):
            variable = model.variable(name, number_of(model))
            planted[variable] = f"{MARK}-{variable}"
    planted["NX_NATS_NKEY"] = KEY
    planted["NX_ICS_ADDRESS_1"] = f"http://127.0.0.1:1/{MARK}.ics"
    for variable, value in planted.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written_below(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def wrong_values():
    """Values that hold a secret, for every setting: addresses, and for a secret one plain text."""
    addresses = (
        f"nats://me:{MARK}@x.example.org:notaport/?token={MARK}",
        f"https://me:{MARK}@x.example.org/?token={MARK}#{MARK}",
        f"https://{MARK}@x.example.org/",
    )
    for model, name in FIELDS:
        secret = is_secret(name, model.model_fields[name])
        for value in (*addresses, *([f"{MARK}\nno token: ä"] if secret else ())):
            yield pytest.param(model, name, value, id=f"{model.__name__}.{name}-{value[:9]!r}")


@pytest.mark.parametrize(("model", "name", "value"), list(wrong_values()))
def test_an_error_about_a_setting_never_repeats_a_secret(monkeypatch, tmp_path, model, name, value):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(model.variable(name, number_of(model)), value)
    message = ""
    try:
        read(model, number_of(model))
    except SettingsError as error:
        message = str(error)
    assert MARK not in message


def test_which_settings_are_secret():
    assert {
        model.variable(name, number_of(model))
        for model, name in FIELDS
        if is_secret(name, model.model_fields[name])
    } == {
        "NX_EMAIL_SMTP_PASSWORD",
        "NX_WEBHOOK_TOKEN",
        "NX_WEBHOOK_URL",
        "NX_CDCS_TOKEN",
        "NX_CONSOLE_OIDC_CLIENT_SECRET",
        "NX_CONSOLE_SECRET",
        "NX_ELABFTW_API_KEY",
        "NX_ICS_ADDRESS_1",
        "NX_LABARCHIVES_ACCESS_KEY_ID",
        "NX_LABARCHIVES_ACCESS_PASSWORD",
        "NX_LABARCHIVES_NOTEBOOK_ID",
        "NX_LABARCHIVES_USER_ID",
        "NX_NATS_NKEY",
        "NX_NEMO_TOKEN_1",
    }


def test_every_command_is_called():
    assert set(CALLS) == set(installed(COMMANDS))


@pytest.mark.parametrize("arguments", [*CALLS.values(), *AS_JSON], ids=" ".join)
def test_no_command_prints_or_writes_a_secret_when_the_broker_is_away(facility, arguments):
    result = CliRunner().invoke(app, arguments)
    assert result.output
    assert not [secret for secret in (MARK, KEY) if secret in result.output]
    assert not [one for one in (MARK, KEY) if one.encode() in written_below(facility)]


def test_a_service_that_waits_for_the_broker_keeps_its_secrets(facility):
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "nexuslims_shared", "run", "indexer"],
        env={**os.environ, "NX_HTTP_PORT": str(port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        first = "".join(until_waiting(process.stdout))
        health = until_answered(port)
    finally:
        process.terminate()
        rest, _ = process.communicate(timeout=20)
    assert "not connected" in health
    assert not [secret for secret in (MARK, KEY) if secret in first + rest + health]


def until_waiting(lines):
    """Read the log until the service reports that it waits for the broker."""
    for line in lines:
        yield line
        if json.loads(line)["message"].startswith("waiting: "):
            return
    raise AssertionError("the service ended")


def until_answered(port):
    """Ask for readiness until the service listens."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5)
        except urllib.error.HTTPError as answer:  # 503: not ready
            return answer.read().decode()
        except urllib.error.URLError:
            continue
    raise AssertionError("the service never listened")
