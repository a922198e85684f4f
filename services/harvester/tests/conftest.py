"""Fixtures of the harvester's tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from nexuslims_harvester.nemo.calendar import NemoCalendar
from nexuslims_harvester.nemo.client import NemoClient
from nexuslims_shared.instruments import InstrumentEntry
from nexuslims_shared.settings import Settings

TOKEN = "0123456789abcdef"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a facility in an empty folder, with one NEMO."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NX_NEMO_ADDRESS_1", "https://nemo.example.org/api")
    monkeypatch.setenv("NX_NEMO_TOKEN_1", TOKEN)
    return Settings(instrument_data_path=tmp_path, data_path=tmp_path)


@pytest.fixture
def titan() -> InstrumentEntry:
    """An instrument that is tool 1 of the NEMO."""
    return InstrumentEntry(pid="titan", filestore_path="Titan", calendar="nemo-1", calendar_id="1")


@pytest.fixture
def nemo_calendar(
    settings: Settings, titan: InstrumentEntry
) -> Callable[[Callable[[httpx.Request], httpx.Response]], NemoCalendar]:
    """Make a calendar whose NEMO is a function, and that does not pause between attempts."""

    def make(answer: Callable[[httpx.Request], httpx.Response], **more: Any) -> NemoCalendar:
        def connect(*told: Any) -> NemoClient:
            return NemoClient(*told, transport=httpx.MockTransport(answer), first_wait=0.0)

        instruments = {titan.pid: titan, **more}
        return NemoCalendar(settings, instruments, "nemo-1", connect=connect)

    return make
