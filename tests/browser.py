"""A facility with something wrong in it, its console, and a real browser to look at it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

import httpx
import numpy as np
from demo.facility import ZONE, View, make_facility, set_mtime, write_fei_tiff

from tests.absent import absent
from tests.system import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser

AWAY_SETTINGS = "NX_CDCS_URL=http://127.0.0.1:9/\nNX_CDCS_TOKEN=an-invented-token\n"
"""A destination at which nobody listens."""

WAITING = """
[[session]]
id = "1004"
instrument = "FEI-Quanta-SEM"
user = { username = "ned", first_name = "Ned", last_name = "Land" }
start = 2026-03-05T09:00:00-07:00
end = 2026-03-05T10:00:00-07:00
title = "Fracture surface, weld 12"
consent = true
"""
"""A session that the builder, which is stopped by then, does not get to."""


class Facility:
    """A running facility.

    Parameters
    ----------
    folder
        Where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.console = ""

    def get(self, path: str) -> str:
        """Return a page of the console; nothing while it does not answer."""
        try:
            answer = httpx.get(f"{self.console}{path}", timeout=10)
        except httpx.HTTPError:
            return ""
        return answer.text

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something, four minutes at most."""
        end = time.monotonic() + 240
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"{what}: not within 240 s; see {self.folder}")
            time.sleep(0.2)

    def pid(self, service: str) -> int:
        """Return the process of a service."""
        services = json.loads((self.folder / "state" / "services.json").read_text())
        return int(services[service]["pid"])

    def stop_builder_and_add_a_session(self) -> None:
        """Have a session that waits."""
        os.kill(self.pid("builder"), signal.SIGSTOP)
        taken = datetime(2026, 3, 5, 9, 30, tzinfo=ZONE)
        path = self.folder / "instrument-data" / "Quanta" / "ned" / "weld_001.tif"
        write_fei_tiff(path, View(taken, 500, 0.0), np.random.default_rng(5))
        with (self.folder / "calendar.toml").open("a") as calendar:
            calendar.write(WAITING)
        self.until(lambda: "file-1004" in self.get("/operation"), "a session that waits")


@contextmanager
def facility_with_trouble(folder: Path) -> Iterator[Facility]:
    """Run the sample facility, with a file nobody can read and a destination that is away."""
    make_facility(folder)
    with (folder / ".env").open("a") as settings:
        settings.write(AWAY_SETTINGS)
    damaged = folder / "instrument-data" / "Quanta" / "ned" / "2026-03-02" / "np7_019.tif"
    damaged.write_bytes(b"II*\0\x08\0\0\0" + b"\xff" * 40)
    set_mtime(damaged, datetime(2026, 3, 2, 11, 40, tzinfo=ZONE))
    environment = {name: text for name, text in os.environ.items() if not name.startswith("NX_")}
    port = free_port()
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "nexuslims_shared", "--dir", str(folder), "up"],
            env={**environment, "NX_CONSOLE_PORT": str(port)},
            stdout=log,
            stderr=log,
        )
    made = Facility(folder)
    made.console = f"http://127.0.0.1:{port}"
    try:
        made.until(lambda: "/archive/file-1001" in made.get("/sessions/file-1001"), "a record")
        made.until(lambda: "breaker open" in made.get("/operation"), "a destination that is away")
        made.stop_builder_and_add_a_session()
        yield made
    finally:
        if (folder / "state" / "services.json").exists():
            os.kill(made.pid("builder"), signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


@contextmanager
def chromium() -> Iterator["Browser"]:
    """Run Debian's Chromium; leave the test out where there is none."""
    path = which("chromium")
    if path is None:
        absent("Chromium", "apt-get install chromium")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - starts a driver

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()
