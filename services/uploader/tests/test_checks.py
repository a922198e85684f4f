"""What the doctor is told of the destinations."""

import asyncio

import pytest

from nexuslims_shared.__main__ import _run
from nexuslims_uploader import checks
from nexuslims_uploader.checks import destinations
from nexuslims_uploader.testing import FakeDestination


async def test_each_destination_is_asked(settings) -> None:
    assert await destinations(settings) == {"destination archive": ""}


async def test_what_is_wrong_is_said(settings, monkeypatch) -> None:
    fake = FakeDestination(faults=["away", "refuses"])
    monkeypatch.setattr(checks, "load_destinations", lambda _: (fake,))
    assert await destinations(settings) == {"destination fake": "fake away; fake refuses"}
    assert fake.closed


class Silent(FakeDestination):
    async def check(self) -> list[str]:
        await asyncio.Event().wait()
        return []


async def test_one_that_does_not_answer_is_named(settings, monkeypatch) -> None:
    monkeypatch.setattr(checks, "load_destinations", lambda _: (Silent(), FakeDestination("b")))
    monkeypatch.setattr(checks, "_PATIENCE_S", 0.01)
    found = await destinations(settings)
    assert "no answer" in found["destination fake"]
    assert found["destination b"] == ""


class Faulty(FakeDestination):
    async def check(self) -> list[str]:
        raise ZeroDivisionError


async def test_one_whose_check_fails_does_not_hide_the_others(settings, monkeypatch) -> None:
    monkeypatch.setattr(checks, "load_destinations", lambda _: (Faulty(), FakeDestination("b")))
    found = await destinations(settings)
    assert "ZeroDivisionError" in found["destination fake"]
    assert found["destination b"] == ""


@pytest.mark.parametrize("names", [("nowhere",), ("cdcs",)])
async def test_wrong_settings_are_a_finding(settings, names, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    wrong = settings.model_copy(update={"destinations": names})
    (problem,) = (await destinations(wrong)).values()
    assert "NX_" in problem


def test_a_container_says_what_is_wrong(settings, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NX_INSTRUMENT_DATA_PATH", str(settings.instrument_data_path))
    monkeypatch.setenv("NX_DATA_PATH", str(settings.data_path))
    monkeypatch.setenv("NX_DESTINATIONS", "archive")
    assert _run(["doctor"]) == 0
    assert "destination archive: ok" in capsys.readouterr().out
    monkeypatch.setenv("NX_DESTINATIONS", "cdcs")
    assert _run(["doctor"]) == 1
    assert "NX_CDCS_URL is not set" in capsys.readouterr().out
