"""Live updates: a page never misses what came while it was made or while nobody was connected."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from services.console.tests.web import Console

from nexuslims_console.web import live
from nexuslims_contracts.testing import SessionEvents


@pytest.fixture
async def console(tmp_path: Path, history: Any) -> Console:
    made = Console(tmp_path)
    await made.session(history)
    return made


def made_at(console: Console, page: str) -> int:
    found = re.search(r'data-live="(\d+)"', console.client().get(page).text)
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize("page", ["/", "/sessions/a", "/operation"])
async def test_what_came_after_a_page_was_made_is_sent_at_once(
    console: Console, history: Any, page: str
) -> None:
    at = made_at(console, page)
    await console.state(history, [SessionEvents("b").started()])
    messages = console.app.state.positions.stream(asyncio.Event(), at)
    assert await anext(messages) == "retry: 3000\n\n"
    assert await anext(messages) == f"event: position\ndata: {made_at(console, page)}\n\n"
    await messages.aclose()


async def test_nothing_is_sent_before_something_comes(
    console: Console, history: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_INTERVAL_S", 0.0)
    monkeypatch.setattr(live, "_QUIET", 1)
    messages = console.app.state.positions.stream(asyncio.Event(), made_at(console, "/"))
    assert await anext(messages) == "retry: 3000\n\n"
    assert await anext(messages) == ": quiet\n\n"
    await console.state(history, [SessionEvents("b").started()])
    assert (await anext(messages)).startswith("event: position\n")
    await messages.aclose()


async def test_a_listener_is_let_go_when_the_server_stops(console: Console) -> None:
    stopping, positions = asyncio.Event(), console.app.state.positions
    messages = positions.stream(stopping, 0)
    await anext(messages)
    assert positions.listeners == 1
    stopping.set()
    assert [one async for one in messages] == []
    assert positions.listeners == 0
