"""Moving over: the incumbent's database becomes instruments and events."""

import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from services.console.tests.legacy_facility import (
    NEMO,
    RELEASES,
    add_session,
    add_upload,
    insert,
    make_database,
    make_facility,
    usage,
)
from typer.testing import CliRunner

from nexuslims_console.errors import ConsoleError
from nexuslims_console.legacy.database import read_database
from nexuslims_console.legacy.plan import Plan, make_plan, nemo_addresses, statements
from nexuslims_console.legacy.records import LegacyRecords
from nexuslims_console.views import session_row
from nexuslims_contracts.events import SessionEnded, SessionImported, SessionStarted
from nexuslims_contracts.testing import recorded
from nexuslims_shared.cli.shell import app
from nexuslims_shared.session.importing import reopening
from nexuslims_shared.session.state import fold
from nexuslims_shared.session.status import progress


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "nexuslims.db"
    make_database(path)
    return path


@pytest.fixture
def plan(database: Path) -> Callable[[], Plan]:
    def make() -> Plan:
        records = LegacyRecords(database.parent / "records")
        return make_plan(read_database(database), records, {NEMO: "nemo-1"})

    return make


def events_of(plan: Plan, number: int = 0) -> Any:
    instruments = {one.pid: one for one in plan.instruments}
    planned = plan.sessions[number]
    return statements(planned, instruments[planned.session.instrument], "person-1")


@pytest.mark.parametrize("release", RELEASES)
def test_the_database_of_each_release_is_read(tmp_path: Path, release: str) -> None:
    path = tmp_path / "nexuslims.db"
    make_database(path, release)
    add_session(path, usage(7), "COMPLETED")
    found = read_database(path)
    assert [one.name for one in found.instruments] == ["FEI Titan TEM", "JEOL 3010"]
    assert [one.status for one in found.sessions] == ["COMPLETED"]
    assert found.problems == ()


def test_instruments_keep_their_calendar_and_number(plan: Callable[[], Plan]) -> None:
    made = plan()
    titan, jeol = made.instruments
    assert (titan.calendar, titan.calendar_id, titan.filestore_path) == ("nemo-1", "10", "Titan")
    assert (jeol.calendar, jeol.calendar_id, jeol.filestore_path) == ("file", "", "JEOL")
    assert [what for what, _ in made.problems] == ["calendar of instrument JEOL-3010"]


@pytest.mark.parametrize(
    "status",
    ["COMPLETED", "BUILT_NOT_EXPORTED", "ERROR", "NO_FILES_FOUND", "NO_CONSENT", "NO_RESERVATION"],
)
def test_an_outcome_stays_what_it_was(
    database: Path, plan: Callable[[], Plan], status: str
) -> None:
    add_session(database, usage(7), status)
    state = fold(recorded(events_of(plan())))
    assert progress(state).status == status
    assert progress(state).waits_for == ""
    row = session_row(state)
    assert (row.session, row.instrument_pid) == ("nemo-1-usage-7", "FEI-Titan-TEM")


def test_a_session_that_waits_is_opened_here(database: Path, plan: Callable[[], Plan]) -> None:
    add_session(database, usage(7), "TO_BE_BUILT")
    assert [type(one) for one in events_of(plan())] == [SessionStarted, SessionEnded]


def test_a_session_of_another_calendar_keeps_its_outcome(
    database: Path, plan: Callable[[], Plan]
) -> None:
    add_session(database, "1d7a3b2c-uuid", "COMPLETED", instrument="JEOL-3010")
    add_session(database, "9f8e7d6c-uuid", "TO_BE_BUILT", instrument="JEOL-3010")
    made = plan()
    assert [one.token for one in made.sessions] == ["legacy-1d7a3b2c-uuid"]
    assert "session 9f8e7d6c-uuid" in dict(made.problems)


def test_of_several_ends_the_newest_row_counts(database: Path, plan: Callable[[], Plan]) -> None:
    ends = ("T12:00:00-07:00", "T11:30:00-07:00")
    add_session(database, usage(7), "COMPLETED", ends=ends)
    imported = events_of(plan())[-1]
    assert imported.end.isoformat() == "2026-03-02T11:30:00-07:00"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"ends": ()}, "no END"),
        ({"ends": ("T09:00:00-07:00",)}, "no later than it starts"),
        ({"instrument": "unknown"}, "is not in the database"),
    ],
)
def test_what_makes_no_sense_is_reported(
    database: Path, plan: Callable[[], Plan], change: dict[str, Any], why: str
) -> None:
    add_session(database, usage(7), "COMPLETED", **change)
    made = plan()
    assert made.sessions == ()
    assert why in dict(made.problems)[f"session {usage(7)}"]


def test_uploads_say_which_destination_holds_the_record(
    database: Path, plan: Callable[[], Plan]
) -> None:
    add_session(database, usage(7), "COMPLETED")
    add_upload(database, usage(7), "cdcs")
    add_upload(database, usage(7), "elabftw", success=False)
    row = session_row(fold(recorded(events_of(plan()))))
    assert [(one.destination, one.record_id) for one in row.uploads] == [("cdcs", "abc")]


def test_users_are_known_by_their_number_in_nemo(database: Path, plan: Callable[[], Plan]) -> None:
    add_session(database, usage(7), "COMPLETED")
    common = {"nexuslims_username": "ada", "created_at": "2026-01-01"}
    insert(
        database,
        "external_user_identifiers",
        external_system="nemo",
        external_id="41",
        **common,
    )
    insert(
        database,
        "external_user_identifiers",
        external_system="labarchives_eln",
        external_id="x",
        **common,
    )
    made = plan()
    user = made.sessions[0].user
    assert user is not None
    assert (user.username, user.user_id) == ("ada", "41")
    assert "users' ids in labarchives_eln" in dict(made.problems)


def test_a_reopened_session_is_for_what_its_record_says(
    database: Path, plan: Callable[[], Plan]
) -> None:
    make_facility_records(database.parent)
    add_session(database, usage(7), "COMPLETED")
    imported = events_of(plan())[-1]
    assert isinstance(imported, SessionImported)
    assert imported.record is not None
    state = fold(recorded([imported, *reopening(imported)]))
    assert session_row(state).title == "Gold on carbon"
    assert progress(state).phase == "looking for files"


def make_facility_records(folder: Path) -> None:
    (folder / "other").mkdir()
    make_facility(folder / "other")
    (folder / "other" / "data" / "records").rename(folder / "records")


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text " * 200)
    with pytest.raises(ConsoleError, match="no database of NexusLIMS"):
        read_database(tmp_path / "text")


def test_nemos_are_found_by_their_address() -> None:
    variables = {"NX_NEMO_ADDRESS_2": "https://nemo.example.org/api", "NX_DATA_PATH": "/data"}
    assert nemo_addresses(variables) == {NEMO: "nemo-2"}


@pytest.mark.parametrize("release", RELEASES)
def test_importing_twice_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str
) -> None:
    for name in list(os.environ):
        if name.startswith("NX_") or name == "NATS_URL":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    make_facility(tmp_path, release)
    call = ["import-legacy", "--json"]
    dry = json.loads(CliRunner().invoke(app, [*call, "--dry-run"]).stdout)
    assert dry["stated"] == {"COMPLETED": 1}
    assert not (tmp_path / "instruments.toml").exists()

    first = json.loads(CliRunner().invoke(app, call).stdout)
    assert (first["stated"], first["known"]) == ({"COMPLETED": 1}, 0)
    listed = json.loads(CliRunner().invoke(app, ["sessions", "--json"]).stdout)
    assert [(one["session"], one["status"]) for one in listed] == [("nemo-1-usage-7", "COMPLETED")]
    instruments = (tmp_path / "instruments.toml").read_bytes()
    second = json.loads(CliRunner().invoke(app, call).stdout)
    assert (second["stated"], second["known"], second["instruments"]) == ({}, 1, [])
    assert (tmp_path / "instruments.toml").read_bytes() == instruments
    assert sqlite3.connect(tmp_path / "nexuslims.db").execute("PRAGMA integrity_check")
