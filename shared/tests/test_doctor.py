"""Repairs: each is tried, whatever becomes of another."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from nexuslims_shared import doctor
from nexuslims_shared.doctor import Finding, Repair, Repaired, repair
from nexuslims_shared.settings import Settings


class ForeignError(Exception):
    """An error of somebody else's package."""


def finding(name: str, order: int, act: Callable[[], Awaitable[str]]) -> Finding:
    return Finding(name, "it is broken", repair=Repair(name, order, act))


async def test_a_repair_that_fails_does_not_keep_others_from_trying() -> None:
    async def fails() -> str:
        raise ForeignError("nobody is there")

    async def says_nothing() -> str:
        raise TimeoutError

    async def mends() -> str:
        return "it is whole again"

    wanted = [("third", 3, mends), ("first", 1, fails), ("second", 2, says_nothing)]
    assert await repair(finding(*one) for one in wanted) == [
        Repaired("first", False, "nobody is there"),
        Repaired("second", False, "TimeoutError"),
        Repaired("third", True, "it is whole again"),
    ]


async def test_a_broker_is_not_ended_that_could_not_start_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(instrument_data_path=tmp_path, data_path=tmp_path, state_path=tmp_path)
    monkeypatch.setattr(doctor, "running_broker", lambda _: "nats://127.0.0.1:1")
    monkeypatch.setattr(doctor, "has_room", lambda *_: False)
    monkeypatch.setattr(doctor, "end_running_broker", lambda _: pytest.fail("it was ended"))
    mending = doctor._broker_repairs(settings)["broker stores"]
    (done,) = await repair([Finding("broker stores", "it refuses", repair=mending)])
    assert (done.repair, done.done) == ("restart the broker", False)
    assert "make room, or have its disk mounted for writing" in done.what
