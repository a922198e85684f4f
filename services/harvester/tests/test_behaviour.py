"""Every kind of calendar behaves as the port says."""

import json
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path

import httpx
import pytest

from nexuslims_harvester.calendar import Calendar
from nexuslims_harvester.file_calendar import FileCalendar
from nexuslims_harvester.ics.calendar import IcsCalendar
from nexuslims_harvester.testing import CalendarBehaviour, GivenSession, Source


class _File:
    """A source that is one file."""

    def __init__(self, path: Path, instrument: str) -> None:
        self.path = path
        self.instrument = instrument

    def disappear(self) -> None:
        self.path.unlink(missing_ok=True)


class TableFile(_File):
    """``calendar.json``."""

    def hold(self, sessions: Sequence[GivenSession]) -> None:
        tables = [
            {
                "id": str(one.number),
                "instrument": self.instrument,
                "start": one.start.isoformat(),
                **({"end": one.end.isoformat()} if one.end else {}),
                "user": one.user,
                "title": one.title,
                "consent": one.answer,
            }
            for one in sessions
        ]
        self.path.write_text(json.dumps({"session": tables}))


class TestFileCalendar(CalendarBehaviour):
    """Tables in a file."""

    @pytest.fixture
    def source(self, settings) -> Source:
        return TableFile(settings.calendar_file.with_suffix(".json"), "FEI-Titan-TEM")

    @pytest.fixture
    def calendar(self, settings, instruments, source: TableFile) -> Calendar:
        moved = settings.model_copy(update={"calendar_file": source.path})
        return FileCalendar("file", moved, instruments)


class IcsFile(_File):
    """``room.ics``."""

    def hold(self, sessions: Sequence[GivenSession]) -> None:
        lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//"]
        for one in sessions:
            assert one.end is not None
            lines += [
                "BEGIN:VEVENT",
                f"UID:{one.number}",
                f"DTSTART:{one.start.astimezone(UTC):%Y%m%dT%H%M%SZ}",
                f"DTEND:{one.end.astimezone(UTC):%Y%m%dT%H%M%SZ}",
                f"SUMMARY:{one.title}",
                f"ORGANIZER:mailto:{one.user}@example.org",
                f"X-NEXUSLIMS-CONSENT:{one.answer.replace(',', chr(92) + ',')}",
                "END:VEVENT",
            ]
        self.path.write_text("\r\n".join([*lines, "END:VCALENDAR", ""]))


class TestIcsCalendar(CalendarBehaviour):
    """An iCalendar in a file."""

    lasting = False

    @pytest.fixture
    def source(self, tmp_path) -> Source:
        return IcsFile(tmp_path / "room.ics", "titan")

    @pytest.fixture
    def calendar(self, settings, titan, source: IcsFile, monkeypatch) -> Calendar:
        monkeypatch.setenv("NX_ICS_ADDRESS_1", str(source.path))
        room = titan.model_copy(update={"calendar": "ics-1", "calendar_id": ""})
        return IcsCalendar("ics-1", settings, {room.pid: room})


class NemoServer:
    """A NEMO that holds usage events, each with its answers."""

    instrument = "titan"

    def __init__(self) -> None:
        self.sessions: Sequence[GivenSession] | None = None

    def hold(self, sessions: Sequence[GivenSession]) -> None:
        self.sessions = sessions

    def disappear(self) -> None:
        self.sessions = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.sessions is None:
            return httpx.Response(403)
        name = request.url.path.strip("/").rpartition("/")[2]
        known = {
            "tools": [{"id": 1, "name": "Titan"}],
            "users": [{"id": 1, "username": self.sessions[0].user}] if self.sessions else [],
            "usage_events": [self._event(one, request) for one in self.sessions],
        }
        return httpx.Response(200, json=[one for one in known.get(name, []) if one])

    def _event(self, one: GivenSession, request: httpx.Request) -> dict[str, object]:
        if ("end__isnull" in request.url.params) != (one.end is None):
            return {}
        answers = {"data_consent": one.answer, "experiment_title": one.title}
        form = {name: {"user_input": answer} for name, answer in answers.items()}
        return {
            "id": one.number,
            "start": one.start.isoformat(),
            "end": one.end.isoformat() if one.end else None,
            "user": 1,
            "tool": 1,
            "run_data": json.dumps(form),
        }


class TestNemoCalendar(CalendarBehaviour):
    """A NEMO."""

    @pytest.fixture
    def source(self) -> Source:
        return NemoServer()

    @pytest.fixture
    def calendar(self, nemo_calendar, source: NemoServer) -> Calendar:
        return nemo_calendar(source)
