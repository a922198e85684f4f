"""The tools of a NEMO as instruments."""

import httpx
import pytest

from nexuslims_contracts.plugins import installed
from nexuslims_harvester.nemo.client import NemoClient
from nexuslims_harvester.nemo.tools import instruments


@pytest.fixture
def ask(nemo_settings):
    """Asks a NEMO that has these tools."""

    def make(*tools):
        def answer(request):
            assert request.url.path == "/api/tools/"
            return httpx.Response(200, json=list(tools))

        transport = httpx.MockTransport(answer)
        return instruments("1", connect=lambda *given: NemoClient(*given, transport=transport))

    return make


def test_a_tool_is_an_instrument_of_its_calendar(ask, monkeypatch):
    monkeypatch.setenv("NX_NEMO_TZ_1", "America/Denver")
    tool = {"id": 12, "name": "Titan 80-300 (TEM)", "_location": "Room 114", "_serial": "S/1"}
    (entry,) = ask(tool)
    assert entry.model_dump(exclude_defaults=True) == {
        "pid": "Titan-80-300-TEM",
        "name": "Titan 80-300 (TEM)",
        "filestore_path": "Titan-80-300-TEM",
        "timezone": "America/Denver",
        "calendar": "nemo-1",
        "calendar_id": "12",
        "location": "Room 114",
        "property_tag": "S/1",
    }


def test_they_come_in_order_and_those_without_a_name_are_left_out(ask):
    tools = [
        {"id": 3, "name": "../.."},
        {"id": 2},
        {"id": "x", "name": "y"},
        {"id": 1, "name": "B"},
    ]
    assert [(one.pid, one.calendar_id) for one in ask(*tools)] == [("B", "1"), ("tool-3", "3")]


def test_each_tool_has_a_folder_of_its_own(ask):
    names = ["SEM (1)", "SEM 1", "sem-1", "SEM-1-2", "TEM"]
    found = ask(*({"id": number, "name": name} for number, name in enumerate(names, start=1)))
    assert [one.pid for one in found] == ["SEM-1", "SEM-1-2", "sem-1-3", "SEM-1-2-4", "TEM"]
    assert [one.filestore_path for one in found] == [one.pid for one in found]


def test_the_console_finds_it():
    assert installed("nexuslims.instruments")["nemo"].load() is instruments
