"""When the harvester says that it is ready, and that all is well."""

import asyncio

from tenacity import AsyncRetrying, retry_if_result, stop_after_delay

from nexuslims_harvester import app
from nexuslims_harvester.errors import CalendarUnavailableError
from nexuslims_harvester.testing import MemoryCalendar

WHOLE = ["session-started", "reservation-matched", "session-ended"]


async def test_the_service_is_ready_once_each_calendar_was_tried(
    facility, processor, monkeypatch
) -> None:
    answer, rests = asyncio.Event(), asyncio.Event()

    class Slow(MemoryCalendar):
        async def entries(self, window):
            await answer.wait()
            return await super().entries(window)

        async def changed(self) -> None:
            rests.set()
            await super().changed()

    sick, slow = MemoryCalendar(name="sick"), Slow(processor.entry(), name="slow")
    sick.failure = CalendarUnavailableError("gone")
    monkeypatch.setattr(app, "calendars", lambda settings: [sick, slow])
    service = app.create(facility.context.settings)
    check, _ = service.checks
    assert await check.problem() == "not asked yet: sick, slow"
    async with service.work(facility.context):
        await asyncio.wait_for(sick.asked.wait(), 5)
        assert "slow" in await check.problem()
        answer.set()
        await asyncio.wait_for(rests.wait(), 5)
        assert await check.problem() == ""
        assert await facility.history("slow-1") == WHOLE


async def test_a_calendar_that_is_away_for_long_is_named(facility, monkeypatch) -> None:
    sick = MemoryCalendar(name="sick")
    sick.failure = CalendarUnavailableError("gone since noon")
    monkeypatch.setattr(app, "calendars", lambda settings: [sick])
    short = {"stalled_minutes": 1e-6, "harvest_interval": 1e-3}
    service = app.create(facility.context.settings.model_copy(update=short))
    _, calendars = service.checks
    async with service.work(facility.context):
        await until_so(lambda problem: "gone since noon" in problem, calendars)


async def test_without_calendars_there_is_nothing_to_wait_for(facility, monkeypatch) -> None:
    monkeypatch.setattr(app, "calendars", lambda settings: [])
    check, calendars = app.create(facility.context.settings).checks
    assert await calendars.problem() == ""
    assert await check.problem() == ""


async def until_so(condition, check) -> None:
    """Ask a check until it says something."""
    retrying = AsyncRetrying(
        retry=retry_if_result(lambda problem: not condition(problem)), stop=stop_after_delay(5)
    )
    await retrying(check.problem)
