"""Repairs: each is tried, whatever becomes of another."""

from collections.abc import Awaitable, Callable

from nexuslims_shared.doctor import Finding, Repair, Repaired, repair


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
