"""What all tests share: the corpus of real files."""

import json
import os
import signal
import sys
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

from scripts.npm import ASYNCAPI
from tests.absent import CorpusFiles, absent, summary
from tests.corpus import find_corpus

# how long one example takes depends on what else the machine does: pytest-timeout bounds a test
settings.register_profile(
    "without deadline", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("without deadline")

# a shell has what it runs in the background ignore Ctrl-C, and so would what tests start
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# pytest-xdist sets it for its workers; tables fit themselves to it
os.environ.pop("COLUMNS", None)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> CorpusFiles:
    """Real microscope files."""
    found = find_corpus()
    if found is None:
        absent("real microscope files", "the package index gave none, see `make corpus`")
    return CorpusFiles(found, tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def asyncapi_schema() -> dict[str, Any]:
    """The official schema of AsyncAPI documents; without npm nobody can fetch it."""
    if not ASYNCAPI.cached().is_file():
        has_npm = which("npm") is not None
        absent("the AsyncAPI schema", "`make npm-files`, with npm", required=has_npm)
    schema: dict[str, Any] = json.loads(ASYNCAPI.cached().read_text(encoding="utf-8"))
    return schema


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line which tests were left out because something could not be had."""
    reports = terminalreporter.getreports("skipped")
    reasons = [report.longrepr[2] for report in reports if isinstance(report.longrepr, tuple)]
    if line := summary(reasons):
        terminalreporter.write_line(line, yellow=True)
