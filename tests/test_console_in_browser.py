"""The console in a real Chromium: whole, readable by everybody, quick to answer an operator."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from scripts.npm import AXE

from tests.absent import absent
from tests.browser import Facility, chromium, facility_with_trouble

pytestmark = [
    pytest.mark.broker,
    pytest.mark.browser,
    pytest.mark.timeout(600),  # a facility is started, which takes long on a busy machine
    pytest.mark.xdist_group("browser"),
]

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
FACILITY = os.environ.get("FACILITY", "")
"""An empty folder for the facility, whose paths are in the pictures; else one of the tests'."""
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
    folder = Path(FACILITY) if FACILITY else tmp_path_factory.mktemp("facility")
    with facility_with_trouble(folder) as running:
        yield running


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.cached().is_file():
        absent("axe", "`make npm-files`, with npm", required=which("npm") is not None)
    return AXE.cached().read_text(encoding="utf-8")


class Visitor:
    """Somebody with a browser, whose clicks are counted.

    Every click on a link, and every sent form, waits for the page that it leads to: what is read
    afterwards is never of the page before.
    """

    def __init__(self, browser: Any, facility: Facility, **context: Any) -> None:
        window = {"viewport": {"width": 1440, "height": 900}, **context}
        self.context = browser.new_context(**window)
        self.page = self.context.new_page()
        self.page.set_default_timeout(120_000)
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

    def click(self, text: str, path: str) -> None:
        self.page.get_by_role("link", name=text, exact=True).first.click()
        self.page.wait_for_url(f"{self._console}{path}")
        self.clicks += 1

    def find(self, text: str, send: Callable[[], None]) -> None:
        """Search for sessions; ``send`` sends the form."""
        send()
        self.page.wait_for_url(lambda url: parse_qs(urlsplit(url).query).get("q") == [text])

    def reads(self, selector: str) -> str:
        return str(self.page.locator(selector).first.inner_text())

    def awaits(self, selector: str) -> str:
        """Read what depends on how others answer; the page is asked for again until it is there."""
        for _ in range(60):
            if self.page.locator(selector).count():
                break
            self.page.reload()
        return self.reads(selector)

    def serious_findings(self, axe: str) -> list[tuple[str, ...]]:
        """Look at the page as axe does."""
        self.page.evaluate(axe)
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            (one["id"], one["nodes"][0]["html"][:200], str(one["nodes"][0].get("failureSummary")))
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_for_everybody(
    browser: Any, facility: Facility, axe: str, name: str, theme: str
) -> None:
    visitor = Visitor(browser, facility, color_scheme=theme)
    visitor.open(PAGES[name])
    assert visitor.serious_findings(axe) == []
    assert [one for one in visitor.problems if "404" not in one] == []
    if SCREENSHOTS and f"{name}-{theme}" in KEPT:
        visitor.page.screenshot(path=Path(SCREENSHOTS) / f"{name}-{theme}.png")
    visitor.context.close()


def test_a_page_fits_a_narrow_window(browser: Any, facility: Facility, axe: str) -> None:
    """Only tables are wider than a telephone, and they scroll by themselves."""
    visitor = Visitor(browser, facility, viewport={"width": 400, "height": 800})
    for name, path in PAGES.items():
        visitor.open(path)
        assert visitor.page.evaluate("document.documentElement.scrollWidth") == 400, name
        assert visitor.serious_findings(axe) == [], name
    visitor.context.close()


def test_an_operator_finds_answers_within_three_clicks(browser: Any, facility: Facility) -> None:
    visitor = Visitor(browser, facility)
    clicks = {}

    visitor.open("/")
    visitor.click("file-1003", "/sessions/file-1003")
    assert "No record: no consent" in visitor.reads(".notice")
    assert "declined" in visitor.reads(".notice")
    clicks["why a session has no record"] = visitor.clicks

    visitor.clicks = 0
    visitor.open("/")
    visitor.click("Operation", "/operation")
    slow = visitor.reads("#slow tbody tr:has-text('file-1004')")
    assert "builder" in slow
    clicks["what is slow now"] = visitor.clicks

    visitor.clicks = 0
    visitor.open("/")
    visitor.click("Operation", "/operation")
    down = visitor.awaits("#destinations tbody tr:has-text('cdcs'):has-text('breaker open')")
    assert "ago" in down
    clicks["which destination is down since when"] = visitor.clicks

    visitor.clicks = 0
    visitor.open("/")
    visitor.click("file-1001", "/sessions/file-1001")
    row = visitor.awaits("#files tbody tr:first-child:has-text('np7_019.tif')")
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
    visitor.find("gold", visitor.page.get_by_role("button", name="Apply").click)
    assert visitor.page.locator("tbody tr").count() == 1
    visitor.click("file-1001", "/sessions/file-1001")
    assert visitor.page.locator(".waterfall tr").count() > 10
    visitor.context.close()


def test_a_scientist_finds_takes_home_and_prints_her_record(
    browser: Any, facility: Facility
) -> None:
    visitor = Visitor(browser, facility)
    visitor.open("/?person=land&q=gold")
    visitor.awaits("tbody tr:has-text('file-1001')")
    visitor.click("file-1001", "/sessions/file-1001")
    visitor.click("Open the record", "/archive/file-1001")
    for form, begin in (("XML", b"<?xml"), ("JSON", b"{"), ("ELN", b"PK")):
        with visitor.page.expect_download() as download:
            visitor.page.get_by_role("link", name=form, exact=True).click()
        assert Path(download.value.path()).read_bytes().startswith(begin)
    further = visitor.page.locator("details .parameters").first
    assert not further.is_visible()
    visitor.page.emulate_media(media="print")
    assert further.is_visible(), "what is folded is printed too"
    for gone in (".top", ".actions"):
        assert not visitor.page.locator(gone).first.is_visible()
    visitor.context.close()


def test_a_keyboard_is_enough(browser: Any, facility: Facility) -> None:
    visitor = Visitor(browser, facility)
    visitor.open("/")
    visitor.page.keyboard.press("Tab")
    assert visitor.page.evaluate("document.activeElement.textContent") == "Skip to the content"
    visitor.page.keyboard.press("/")
    visitor.page.keyboard.type("gold")
    visitor.find("gold", lambda: visitor.page.keyboard.press("Enter"))
    assert visitor.page.locator("tbody tr").count() == 1
    visitor.context.close()


def test_the_list_is_updated_live(browser: Any, facility: Facility) -> None:
    visitor = Visitor(browser, facility)
    visitor.open("/?q=live")
    with (facility.folder / "calendar.toml").open("a") as calendar:
        calendar.write(
            '\n[[session]]\nid = "live-1"\ninstrument = "FEI-Titan-TEM"\nuser = "ned"\n'
            "start = 2026-03-06T10:00:00-07:00\nend = 2026-03-06T11:00:00-07:00\n"
            "consent = true\n"
        )
    visitor.page.get_by_role("link", name="file-live-1").wait_for()
    visitor.page.locator("[data-live-state]").get_by_text("live", exact=True).wait_for()
    assert visitor.problems == []
    visitor.context.close()
