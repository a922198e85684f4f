"""What the chaos waits for has a limit, also where a cancellation is lost."""

import asyncio

import pytest
from benchmarks.chaos_waits import StalledError, bounded


async def deaf(released: asyncio.Event) -> None:
    """Go on whatever happens, as a loop of `asyncio.wait_for` in Python 3.11 may."""
    while not released.is_set():
        try:
            await released.wait()
        except asyncio.CancelledError:
            continue


async def test_what_heeds_no_cancellation_is_left_at_its_limit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    released = asyncio.Event()
    try:
        with pytest.raises(StalledError, match="a deaf loop: not done within 0 s"):
            await bounded("a deaf loop", 0.01, deaf(released))
    finally:
        released.set()
    printed = capsys.readouterr().out
    assert "a deaf loop: not done" in printed
    assert "await released.wait()" in printed


async def test_what_is_done_in_time_gives_its_result() -> None:
    assert await bounded("a moment", 5, asyncio.sleep(0, "done")) == "done"


async def test_what_fails_raises_its_own_error() -> None:
    async def fail() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await bounded("a failure", 5, fail())
