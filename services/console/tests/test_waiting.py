"""What a command waits for, and what it says came of it."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nexuslims_console.actions import build_records
from nexuslims_console.dry_run import Entry
from nexuslims_console.views import SessionRow, session_row
from nexuslims_console.waiting import may_get_files, not_rebuilt, outcomes, unsettled
from nexuslims_shared.cli.dates import read_date
from nexuslims_shared.people import MemoryPeople
from nexuslims_shared.service import ServiceContext
from nexuslims_shared.session.state import SessionState
from nexuslims_shared.session.window import Window
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.memory import MemoryEventStore

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
END = START + timedelta(hours=4)
NOW = END + timedelta(days=1)
ENTRY = Entry("file-1", "FEI-Titan-TEM", START, END, "Gold", problem="")
DONE = replace(
    session_row(SessionState(session="file-1", through=9)),
    start=START,
    end=END,
    status="COMPLETED",
    phase="done",
    built_at=8,
)
LOOKING = replace(DONE, status="TO_BE_BUILT", phase="looking for files", built_at=0)


@pytest.mark.parametrize(
    ("entry", "rows", "waited_for"),
    [
        (ENTRY, [DONE], False),
        (ENTRY, [], True),
        (ENTRY, [LOOKING], True),
        (ENTRY, [replace(DONE, end=None, status="WAITING_FOR_END")], True),
        (ENTRY, [replace(DONE, end=END + timedelta(hours=1))], True),
        (replace(ENTRY, end=None), [replace(DONE, end=None, status="WAITING_FOR_END")], False),
        (replace(ENTRY, end=None), [], True),
        (replace(ENTRY, start=NOW + timedelta(1), end=NOW + timedelta(2)), [], False),
        (replace(ENTRY, start=None, end=None, problem="reversed"), [], False),
        (replace(ENTRY, problem="no consent"), [], True),
        (ENTRY, [replace(DONE, status="ERROR")], False),
    ],
)
def test_what_is_waited_for(entry: Entry, rows: list[SessionRow], waited_for: bool) -> None:
    assert bool(unsettled([entry], rows, NOW)) == waited_for


def test_a_record_older_than_its_request_is_waited_for() -> None:
    assert not_rebuilt({"file-1": 10}, [DONE]) == {"file-1"}
    assert not_rebuilt({"file-1": 7}, [DONE]) == frozenset()
    assert not_rebuilt({"file-1": 7}, [replace(DONE, status="TO_BE_BUILT")]) == {"file-1"}
    assert not_rebuilt({"file-1": 7}, []) == {"file-1"}


def test_files_may_come_late_but_not_for_ever() -> None:
    assert may_get_files(LOOKING, timedelta(days=2), NOW)
    assert not may_get_files(LOOKING, timedelta(hours=2), NOW)
    assert not may_get_files(DONE, timedelta(days=2), NOW)


def results(rows: list[SessionRow], **keywords: Any) -> list[tuple[str, bool, str]]:
    found = outcomes([ENTRY], rows, **{"unfinished": (), "late": (), **keywords})
    return [(one.session, one.ok, one.detail) for one in found]


def test_what_came_of_it() -> None:
    assert results([DONE]) == [("file-1", True, "done")]
    assert results([replace(DONE, status="ERROR", reason="bad")]) == [("file-1", False, "bad")]
    assert results([LOOKING], late={"file-1"})[0][1]
    ((_, ok, detail),) = results([LOOKING], unfinished={"file-1"})
    assert not ok
    assert detail == "not done in time: looking for files"
    ((_, ok, detail),) = results([], unfinished={"file-1"})
    assert not ok
    assert "not harvested" in detail


def test_a_wrong_entry_is_never_well() -> None:
    (one,) = outcomes([replace(ENTRY, start=None, problem="reversed")], [], unfinished=(), late=())
    assert (one.status, one.detail, one.ok) == ("ERROR", "reversed", False)


def test_dates_are_local_and_a_day_has_an_end() -> None:
    day = read_date("2026-03-02", option="--from")
    assert day.utcoffset() is not None
    assert (day.hour, day.day) == (0, 2)
    assert read_date("2026-03-02", option="--to", end_of_day=True) - day == timedelta(days=1)
    assert read_date("2026-03-02T09:00:00+00:00", option="--from") == START


def test_a_window_holds_what_overlaps_it() -> None:
    window = Window(START, END)
    assert window.holds(START - timedelta(hours=1), START + timedelta(hours=1))
    assert window.holds(END - timedelta(hours=1), None)
    assert not window.holds(END, None)
    assert not window.holds(START - timedelta(hours=1), START)


class _Model:
    """A read model in which nothing ever arrives."""

    def sessions(self, *, window: Window) -> list[SessionRow]:
        return [DONE]


async def test_what_two_harvests_did_not_take_up_is_waited_for_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_records, "POLL_S", 0.0)
    monkeypatch.setattr(build_records, "_HARVEST_S", 0.0)
    monkeypatch.setattr(build_records._Wait, "_is_current", _yes)
    settings = Settings(instrument_data_path=tmp_path, data_path=tmp_path, harvest_interval=0.01)
    context = ServiceContext(settings, MemoryEventStore(), MemoryPeople(), None, None)  # type: ignore[arg-type]
    ready = asyncio.create_task(asyncio.sleep(0))
    await ready
    entries = [ENTRY, replace(ENTRY, session="file-2")]
    wait = build_records._Wait(context, _Model(), Window(), entries, ready)  # type: ignore[arg-type]
    assert await asyncio.wait_for(wait.until_settled(3600.0), 5) == {"file-2"}


async def _yes(_: object) -> bool:
    return True
