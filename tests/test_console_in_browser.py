"""The console in a real Chromium: whole, readable by everybody, quick to answer an operator."""

import os
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from scripts.npm import AXE

from tests.absent import absent
from tests.browser import Facility, chromium, facility_with_trouble

pytestmark = [pytest.mark.broker, pytest.mark.browser, pytest.mark.xdist_group("browser")]

PAGES = {
    "sessions": "/",
    "session": "/sessions/file-1001",
    "events": "/sessions/file-1001/events",
    "files": "/sessions/file-1001/files",
    "no-record": "/sessions/file-1003",
    "operation": "/operation",
    "archive": "/archive?q=Au%2C+above+10+kV%2C+dwell+under+5+%C2%B5s",
    "record": "/archive/file-1001",
    "dead-letters": "/dead-letters",
    "instruments": "/instruments",
    "not-found": "/sessions/nobody",
}
THEMES = ("light", "dark")
SCREENSHOTS = os.environ.get("SCREENSHOTS", "")
"""A folder that takes pictures of the pages: docs/images/console keeps some."""
KEPT = {
    *("sessions-light", "session-light", "session-dark", "operation-light", "archive-dark"),
    "record-light",
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def facility(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facility]:
    del browser  # without one, no facility is started
    with facility_with_trouble(tmp_path_factory.mktemp("facility")) as running:
        yield running


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.cached().is_file():
        absent("axe", "`make npm-files`, with npm", required=which("npm") is not None)
    return AXE.cached().read_text(encoding="utf-8")


class Visitor:
    """Somebody with a browser, whose clicks are counted."""

    def __init__(self, browser: Any, facility: Facility, **context: Any) -> None:
        self.context = browser.new_context(viewport={"width": 1440, "height": 900}, **context)
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.problems: list[str] = []
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self._console = facility.console
        self.clicks = 0

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def open(self, path: str) -> Any:
        return self.page.goto(f"{self._console}{path}")

    def click(self, text: str) -> None:
        self.page.get_by_role("link", name=text, exact=True).first.click()
        self.clicks += 1

    def reads(self, selector: str) -> str:
        return str(self.page.locator(selector).first.inner_text())


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_for_everybody(
    browser: Any, facility: Facility, axe: str, name: str, theme: str
) -> None:
    visitor = Visitor(browser, facility, color_scheme=theme)
    visitor.open(PAGES[name])
    visitor.page.evaluate(axe)
    found = visitor.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    serious = [
        (one["id"], one["nodes"][0]["html"][:200], one["nodes"][0].get("failureSummary"))
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []
    assert [one for one in visitor.problems if "404" not in one] == []
    if SCREENSHOTS and f"{name}-{theme}" in KEPT:
        visitor.page.screenshot(path=Path(SCREENSHOTS) / f"{name}-{theme}.png")
    visitor.context.close()


def test_an_operator_finds_answers_within_three_clicks(browser: Any, facility: Facility) -> None:
    visitor = Visitor(browser, facility)
    clicks = {}

    visitor.open("/")
    visitor.click("file-1003")
    assert "No record: no consent" in visitor.reads(".notice")
    assert "declined" in visitor.reads(".notice")
    clicks["why a session has no record"] = visitor.clicks

    visitor.clicks = 0
    visitor.open("/")
    visitor.click("Operation")
    slow = visitor.reads("#slow tbody tr:has-text('file-1004')")
    assert "builder" in slow
    clicks["what is slow now"] = visitor.clicks

    visitor.clicks = 0
    visitor.open("/")
    visitor.click("Operation")
    down = visitor.reads("#destinations tbody tr:has-text('cdcs')")
    assert "breaker open" in down
    assert "ago" in down
    clicks["which destination is down since when"] = visitor.clicks

    visitor.clicks = 0
    visitor.open("/")
    visitor.click("file-1001")
    row = visitor.reads("#files tbody tr")
    assert "np7_019.tif" in row
    assert "failed" in row
    clicks["what an unreadable file said"] = visitor.clicks

    assert max(clicks.values()) <= 3, clicks
    visitor.context.close()


def test_reading_needs_no_script(browser: Any, facility: Facility) -> None:
    visitor = Visitor(browser, facility, java_script_enabled=False)
    for name, path in PAGES.items():
        visitor.open(path)
        assert visitor.reads("h1"), name
    visitor.open("/")
    visitor.page.get_by_label("Search").fill("gold")
    visitor.page.get_by_role("button", name="Apply").click()
    visitor.page.wait_for_url("**q=gold**")
    assert visitor.reads("tbody tr")
    assert visitor.page.locator("tbody tr").count() == 1
    visitor.page.get_by_role("link", name="file-1001").click()
    visitor.page.wait_for_url("**/sessions/file-1001")
    assert visitor.page.locator(".waterfall tr").count() > 10
    visitor.context.close()


def test_a_keyboard_is_enough(browser: Any, facility: Facility) -> None:
    visitor = Visitor(browser, facility)
    visitor.open("/")
    visitor.page.keyboard.press("Tab")
    assert visitor.page.evaluate("document.activeElement.textContent") == "Skip to the content"
    visitor.page.keyboard.press("/")
    visitor.page.keyboard.type("gold")
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url("**/?q=gold*")
    assert visitor.page.locator("tbody tr").count() == 1
    visitor.context.close()


def test_the_list_is_updated_live(browser: Any, facility: Facility) -> None:
    visitor = Visitor(browser, facility)
    visitor.open("/?q=live")
    visitor.page.get_by_text("live", exact=True).wait_for()
    with (facility.folder / "calendar.toml").open("a") as calendar:
        calendar.write(
            '\n[[session]]\nid = "live-1"\ninstrument = "FEI-Titan-TEM"\nuser = "ned"\n'
            "start = 2026-03-06T10:00:00-07:00\nend = 2026-03-06T11:00:00-07:00\n"
            "consent = true\n"
        )
    visitor.page.get_by_role("link", name="file-live-1").wait_for()
    assert visitor.problems == []
    visitor.context.close()
