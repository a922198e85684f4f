"""Restarting a service that does not work."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from nexuslims_console.errors import ConsoleError
from nexuslims_console.repairs import _restart

_MINE = {"pid": 4711, "port": 1}


def test_a_service_that_is_about_to_be_started_again_is_waited_for() -> None:
    looks: Iterator[dict[str, dict[str, int]]] = iter([{"other": _MINE}, {"builder": _MINE}])
    assert _restart(lambda: next(looks), "builder") == "builder had ended, and 4711 took its place"


def test_a_service_that_stands_still_is_ended_and_waited_for() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    former = {"builder": {"pid": process.pid}}
    looks = iter([former, former, {"builder": _MINE}])
    assert _restart(lambda: next(looks), "builder").endswith("and 4711 took its place")
    assert process.wait(60) != 0


def test_where_nothing_runs_nothing_is_waited_for() -> None:
    with pytest.raises(ConsoleError, match="does not run here"):
        _restart(dict, "builder")
