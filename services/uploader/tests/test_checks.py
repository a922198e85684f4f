"""What the uploader adds to ``nexuslims doctor``."""

import asyncio
import json

import pytest
from typer.testing import CliRunner

from nexuslims_shared.cli.shell import app
from nexuslims_shared.doctor import Finding
from nexuslims_uploader import checks
from nexuslims_uploader.checks import destinations
from nexuslims_uploader.testing import FakeDestination


async def test_each_destination_is_asked(settings) -> None:
    assert await destinations(settings) == [Finding("destination archive")]


async def test_what_is_wrong_is_reported(settings, monkeypatch) -> None:
    fake = FakeDestination(faults=["away", "refuses"])
    monkeypatch.setattr(checks, "load_destinations", lambda _: (fake,))
    assert await destinations(settings) == [Finding("destination fake", "fake away; fake refuses")]
    assert fake.closed


class Silent(FakeDestination):
    async def check(self) -> list[str]:
        await asyncio.Event().wait()
        return []


async def test_one_that_does_not_answer_is_named(settings, monkeypatch) -> None:
    monkeypatch.setattr(checks, "load_destinations", lambda _: (Silent(), FakeDestination("b")))
    monkeypatch.setattr(checks, "_PATIENCE_S", 0.01)
    found = {one.what: one.problem for one in await destinations(settings)}
    assert "no answer" in found["destination fake"]
    assert found["destination b"] == ""


class Faulty(FakeDestination):
    async def check(self) -> list[str]:
        raise ZeroDivisionError


async def test_one_whose_check_fails_does_not_hide_the_others(settings, monkeypatch) -> None:
    monkeypatch.setattr(checks, "load_destinations", lambda _: (Faulty(), FakeDestination("b")))
    found = {one.what: one.problem for one in await destinations(settings)}
    assert "ZeroDivisionError" in found["destination fake"]
    assert found["destination b"] == ""


@pytest.mark.parametrize("names", [("nowhere",), ("cdcs",)])
async def test_wrong_settings_are_a_finding(settings, names, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    wrong = settings.model_copy(update={"destinations": names})
    (finding,) = await destinations(wrong)
    assert "NX_" in finding.problem


def test_the_doctor_of_a_container_checks_the_destinations(settings, tmp_path, monkeypatch) -> None:
    def doctor() -> list[dict[str, str]]:
        return json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)["findings"]

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NX_INSTRUMENT_DATA_PATH", str(settings.instrument_data_path))
    monkeypatch.setenv("NX_DATA_PATH", str(settings.data_path))
    monkeypatch.setenv("NX_DESTINATIONS", "archive")
    assert ("destination archive", "ok", "", "") in [
        (one["what"], one["result"], one["problem"], one["detail"]) for one in doctor()
    ]
    monkeypatch.setenv("NX_DESTINATIONS", "cdcs")
    problems = {one["what"]: one["problem"] for one in doctor()}
    assert "NX_CDCS_URL is not set" in problems["destinations"]
