"""The command line: lazily assembled, quick, one line for an error."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from nats.js.errors import NotFoundError
from typer.testing import CliRunner, Result

from nexuslims_contracts.plugins import Plugin, installed
from nexuslims_shared.cli import shell as cli
from nexuslims_shared.doctor import Finding, Repair, examine_until_well
from nexuslims_shared.last_run import noted_run

HELP_BAR_S = 0.3
HEAVY = {"rich", "sqlalchemy", "nats", "faststream", "pydantic", "numpy", "lxml", "asyncio"}

INSTRUMENTS = """
[[instrument]]
pid = "FEI-Titan-TEM"
name = "FEI Titan TEM"
filestore_path = "Titan"
timezone = "America/Denver"
"""


@pytest.fixture
def facility(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A facility's folder; nothing runs in it."""
    for name in list(os.environ):
        if name.startswith("NX_") or name == "NATS_URL":
            monkeypatch.delenv(name)
    (tmp_path / "files" / "Titan").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    (tmp_path / ".env").write_text("NX_INSTRUMENT_DATA_PATH=files\nNX_DATA_PATH=data\n")
    (tmp_path / "instruments.toml").write_text(INSTRUMENTS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call() -> Callable[..., Result]:
    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(cli.app, list(arguments))

    return invoke


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    """The bar is for the command itself; a busy machine gets a second and a third look."""
    code = (
        "import sys; sys.argv = ['nexuslims', '--help']\n"
        "import atexit; atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "from nexuslims_shared.cli.shell import main; main()"
    )

    def seconds() -> tuple[float, str]:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return used, done.stderr

    checks = [seconds() for _ in range(3)]
    assert not HEAVY & set(checks[0][1].split())
    assert min(used for used, _ in checks) <= HELP_BAR_S


def test_lists_load_no_server_and_no_other_database() -> None:
    program = (
        "import sys; from nexuslims_console.actions import sessions; "
        "from nexuslims_console.tables import tables_of; tables_of(1); print(*sys.modules)"
    )
    loaded = subprocess.check_output([sys.executable, "-c", program], text=True).split()
    assert "sqlalchemy" in loaded
    assert not {"faststream", "uvicorn", "sqlalchemy.dialects.postgresql"} & {*loaded}


def test_all_commands_are_listed(call: Callable[..., Result]) -> None:
    output = call("--help").stdout
    for name in ("up", "run", "build-records", "sessions", "rebuild", "dead-letters", "doctor"):
        assert f"  {name} " in output


def test_a_broken_command_is_listed_and_breaks_nothing_else(
    call: Callable[..., Result], facility: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = EntryPoint("sanitize", "no_such_module:command", cli.COMMANDS)
    plugins = {**cli._plugins(), "sanitize": Plugin("sanitize", point)}
    monkeypatch.setattr(cli, "_plugins", lambda: plugins)
    listed = call("--help")
    assert listed.exit_code == 0
    assert "sanitize" in listed.stdout
    assert "(broken)" in listed.stdout
    assert call("config").exit_code == 0
    called = call("sanitize")
    assert called.exit_code == 1
    assert "no_such_module" in called.stderr
    assert "Traceback" not in called.stderr


def test_wrong_settings_are_one_line_and_exit_code_2(
    call: Callable[..., Result], facility: Path
) -> None:
    (facility / ".env").write_text("NX_DATA_PATH=data\n")
    result = call("sessions")
    assert result.exit_code == 2
    assert "NX_INSTRUMENT_DATA_PATH is not set" in result.stderr
    assert result.stdout == ""


def test_debug_shows_where_an_error_comes_from(call: Callable[..., Result], facility: Path) -> None:
    (facility / ".env").write_text("NX_DATA_PATH=data\n")
    result = call("--debug", "sessions")
    assert type(result.exception).__name__ == "SettingsError"


def test_the_folder_is_entered_first(
    call: Callable[..., Result], facility: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(facility.parent)
    result = call("-C", str(facility), "instruments", "--json")
    assert [one["pid"] for one in json.loads(result.stdout)] == ["FEI-Titan-TEM"]
    missing = call("-C", str(facility / "nowhere"), "instruments")
    assert missing.exit_code == 2
    assert "nowhere" in missing.stderr


def test_the_version(call: Callable[..., Result]) -> None:
    assert call("--version").stdout.startswith("nexuslims 0.")


def test_secrets_are_not_shown(
    call: Callable[..., Result], facility: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NATS_URL", "nats://nexus:hunter2@broker:4222")
    monkeypatch.setenv("NX_DATABASE_URL", "postgresql+psycopg://nexus:hunter3@db/nexus")
    config = json.loads(call("config", "--json").stdout)
    assert config["NATS_URL"] == "nats://(hidden)@broker:4222"
    assert config["NX_DATABASE_URL"] == "postgresql+psycopg://(hidden)@db/nexus"
    assert config["NX_DATA_PATH"] == "data"
    assert "hunter" not in call("config").stdout


def test_without_a_broker_the_read_model_says_as_of_when(
    call: Callable[..., Result], facility: Path
) -> None:
    result = call("sessions")
    assert result.exit_code == 0
    assert "no sessions" in result.stdout
    assert result.stderr.startswith("as of 20")
    assert "no broker" in result.stderr


def test_where_nothing_runs_a_command_has_a_broker_of_its_own(
    call: Callable[..., Result], facility: Path
) -> None:
    assert call("provision").exit_code == 0
    assert "no dead letters" in call("dead-letters", "list").output
    result = call("retry", "file-1")
    assert result.exit_code == 1
    assert "there is no session 'file-1'" in result.stderr
    assert not (facility / "state" / "broker.json").exists()


def test_a_broker_that_is_configured_and_away_is_named(
    call: Callable[..., Result], facility: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NATS_URL", "nats://127.0.0.1:1")
    for arguments in (["retry", "file-1"], ["dead-letters", "list"], ["provision"]):
        result = call(*arguments)
        assert result.exit_code == 1
        assert "127.0.0.1:1" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["rebuild"], "--session"),
        (["rebuild", "--all", "--session", "x"], "--session"),
        (["rebuild", "--from", "yesterday"], "yesterday"),
        (["build-records", "--from", "2026-03-05", "--to", "2026-03-01"], "not before"),
        (["rebuild", "--to", "9999-12-31"], "9999-12-31"),
        (["sessions", "--status", "LOST"], "LOST"),
        (["retry", "--status", "LOST"], "LOST"),
        (["run", "nobody"], "nobody"),
        (["nothing"], "nothing"),
    ],
)
def test_wrong_use_is_exit_code_2(
    call: Callable[..., Result], facility: Path, arguments: list[str], output: str
) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert output in result.stderr


@pytest.mark.parametrize("command", [["up"], ["build-records"]])
@pytest.mark.parametrize(
    "wrong",
    [
        "NX_DATA_PATH=nowhere",
        "NX_INSTRUMENT_DATA_PATH=nowhere",
        "NX_STATE_PATH=instruments.toml",
        "NX_LOG_PATH=instruments.toml/logs",
    ],
)
def test_folders_that_cannot_be_used_are_named_at_once(
    call: Callable[..., Result],
    facility: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    wrong: str,
) -> None:
    setting, _, value = wrong.partition("=")
    monkeypatch.setenv(setting, value)
    result = call(*command)
    assert result.exit_code == 2
    assert setting in result.stderr
    assert value in result.stderr


@pytest.mark.parametrize("command", ["sessions", "provision", "doctor"])
def test_a_broker_that_is_not_there_is_reported_at_once(
    call: Callable[..., Result], facility: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("NATS_URL", "nats://127.0.0.1:1")
    result = call(command)
    assert isinstance(result.exception, SystemExit | type(None))
    assert "127.0.0.1:1" in result.output
    assert result.exit_code == (command != "sessions")


@pytest.mark.parametrize(
    ("error", "result"), [(ZeroDivisionError(), "failed"), (NotFoundError(), "could not look")]
)
def test_a_check_that_fails_does_not_hide_the_others(
    call: Callable[..., Result],
    facility: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    result: str,
) -> None:
    async def faulty(settings: object) -> list[Finding]:
        raise error

    class Faulty:
        name = "faulty"
        load = staticmethod(lambda: faulty)

    checks = {"faulty": Faulty(), **installed("nexuslims.doctor")}
    monkeypatch.setattr("nexuslims_shared.doctor.installed", lambda _: checks)
    monkeypatch.setenv("NX_STATE_PATH", "instruments.toml")
    findings = {one["what"]: one for one in json.loads(call("doctor", "--json").stdout)["findings"]}
    assert findings["faulty"]["result"] == result
    assert type(error).__name__ in findings["faulty"]["problem"]
    assert "NX_STATE_PATH" in findings["services"]["problem"]
    assert findings["settings"]["problem"] == ""


def test_settings_of_destinations_and_calendars_are_shown(
    call: Callable[..., Result], facility: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NX_CDCS_URL", "https://cdcs.example.org")
    monkeypatch.setenv("NX_CDCS_TOKEN", "hunter2")
    monkeypatch.setenv("NX_NEMO_ADDRESS_12", "https://nemo.example.org/api/")
    (facility / "token").write_text("hunter3")
    monkeypatch.setenv("NX_NEMO_TOKEN_12_FILE", "token")
    config = json.loads(call("config", "--json").stdout)
    assert config["NX_CDCS_URL"] == "https://cdcs.example.org/"
    assert config["NX_CDCS_TOKEN"] == config["NX_NEMO_TOKEN_12"] == "(hidden)"
    assert config["NX_HTTP_TIMEOUT"] == "60.0"
    assert not any(name.startswith("NX_ELABFTW_") for name in config)
    monkeypatch.setenv("NX_ELABFTW_URL", "https://elab.example.org")
    result = call("config", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (1, config)
    assert "NX_ELABFTW_API_KEY is not set" in result.stderr


def test_doctor_names_problem_and_remedy(call: Callable[..., Result], facility: Path) -> None:
    (facility / "files" / "Titan").rmdir()
    result = call("doctor", "--json")
    assert result.exit_code == 1
    findings = {one["what"]: one["problem"] for one in json.loads(result.stdout)["findings"]}
    assert findings["settings"] == ""
    assert "Titan" in findings["instruments"]
    assert findings["broker"] == findings["services"] == "", "it ran for the checks"


@pytest.mark.broker
@pytest.mark.parametrize("killed", [False, True])
def test_a_facility_that_lives_by_cron_is_well_while_nothing_runs(
    call: Callable[..., Result], facility: Path, killed: bool
) -> None:
    (facility / "state").mkdir()
    (facility / "files" / "Titan" / "one.dm3").touch()
    run = noted_run(facility / "state", "build-records")
    run.__enter__()
    if not killed:
        run.__exit__(None, None, None)
    services, broker, code = ask_doctor(call)
    assert (services["problem"], broker["problem"], code) == ("", "", 0)
    assert "build-records" in services["detail"]
    assert ("was killed" in services["detail"]) == killed


async def test_nobody_waits_for_a_repair_where_no_services_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def act() -> str:
        return "tried again"

    letters = Finding("dead letters", "1 waits", repair=Repair("retry", 1, act))
    findings = [Finding("services", detail="none runs now"), letters]

    async def look() -> list[Finding]:
        return findings

    monkeypatch.setattr("nexuslims_shared.doctor.examine", look)
    assert await examine_until_well(patience=3600, pause=3600) == findings


@pytest.mark.broker
def test_services_that_should_run_and_do_not_are_a_problem(
    call: Callable[..., Result], facility: Path
) -> None:
    (facility / "state").mkdir()
    with noted_run(facility / "state", "up"):
        pass
    services, _, code = ask_doctor(call)
    assert code == 1
    assert "`nexuslims up` ended" in services["problem"]


@pytest.mark.broker
def test_a_broker_that_does_not_start_is_named_with_the_reason(
    call: Callable[..., Result], facility: Path
) -> None:
    (facility / "state").mkdir()
    (facility / "state" / "broker").write_text("in the way")
    _, broker, code = ask_doctor(call)
    assert code == 1
    assert "NX_STATE_PATH" in broker["problem"]


def ask_doctor(call: Callable[..., Result]) -> tuple[dict[str, str], dict[str, str], int]:
    """What it finds of the services and the broker, and its exit code."""
    result = call("doctor", "--json")
    findings = {one["what"]: one for one in json.loads(result.stdout)["findings"]}
    return findings["services"], findings["broker"], result.exit_code


def test_a_dry_run_lists_sessions_and_files(
    call: Callable[..., Result], facility: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {
            "session": "file-1",
            "instrument": "FEI-Titan-TEM",
            "start": "2026-03-02T09:00:00-07:00",
            "end": "2026-03-02T13:00:00-07:00",
            "title": "Gold",
            "problem": "",
        },
        {"session": "file-2", "problem": "the entry has no instrument"},
    ]

    async def calendar(settings: Any, store: Any) -> list[dict[str, str]]:
        assert store is None, "no broker runs here"
        return rows

    functions: dict[str, Any] = {
        "calendar": calendar,
        "files": lambda settings, pid, start, end: [f"Titan/{pid}-{end - start}.dm3"],
    }
    monkeypatch.setattr("nexuslims_console.dry_run._function", functions.__getitem__)
    result = call("build-records", "-n", "--json")
    assert result.exit_code == 1
    good, bad = json.loads(result.stdout)
    assert good["files"] == ["Titan/FEI-Titan-TEM-4:00:00.dm3"]
    assert bad["problem"] == "the entry has no instrument"
    later = call("build-records", "-n", "--from", "2026-03-03")
    assert later.exit_code == 1
    assert "file-1" not in later.stdout
