"""Ending tasks that lose their first cancellation."""

import asyncio

import pytest

from nexuslims_shared import tasks


async def test_a_task_that_loses_a_cancellation_still_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_PATIENCE_S", 0.01)
    lost = []

    async def deaf_once() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            lost.append(True)
        await asyncio.Event().wait()

    task = asyncio.create_task(deaf_once())
    other = asyncio.create_task(asyncio.Event().wait())
    await asyncio.sleep(0)
    await tasks.end(task, other)
    assert lost
    assert task.cancelled()
    assert other.cancelled()


async def test_a_task_that_has_ended_is_left_alone() -> None:
    async def nothing() -> int:
        return 1

    task = asyncio.create_task(nothing())
    await task
    await tasks.end(task)
    assert task.result() == 1
