"""Dashboards, alerts, and their queries against a real Prometheus that scrapes the services."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from demo.facility import make_facility
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard as Model
from scripts.dashboards import DASHBOARDS, FOLDER
from scripts.grafana import RATE, queries, written

from nexuslims_contracts.topology import EVENTS
from nexuslims_shared.telemetry import metrics
from tests.system import PIPELINE, System, free_port, running

CHECKOUT = Path(__file__).resolve().parents[1]
ALERTS = CHECKOUT / "operations" / "prometheus" / "alerts.yml"
PAGES = CHECKOUT / "docs" / "operations" / "alerts"
COMPARED = re.compile(r" (?:>|==) [\d.]+")
SERVICES = (*PIPELINE, "console")

needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="Debian's package `prometheus` is not installed",
)


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def scaling_query() -> str:
    path = CHECKOUT / "k8s" / "components" / "autoscaling-keda" / "extractor.yaml"
    (trigger,) = yaml.safe_load(path.read_text())["spec"]["triggers"]
    query: str = trigger["metadata"]["query"]
    return query


def all_queries() -> set[str]:
    """What dashboards show and what alerts compare."""
    asked = {query.replace(RATE, "15s") for one in DASHBOARDS for query in queries(one)}
    asked.add(scaling_query())
    compared = {COMPARED.sub("", rule["expr"]) for rule in rules()}
    return asked | {re.sub(r"\[\d+[mh]\]", "[15s]", query) for query in compared}


# --- dashboards ------------------------------------------------------------------------------


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.name)
def test_dashboards_are_written_from_their_list(dashboard) -> None:
    text = (FOLDER / f"{dashboard.name}.json").read_text()
    assert text == written(dashboard), "run `make dashboards`"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_dashboards_keep_to_the_schema_of_grafana(path: Path) -> None:
    """Nothing is in them that Grafana's own model does not know."""
    document = json.loads(path.read_text())
    assert json.loads(JSONEncoder().encode(Model.from_json(document))) == document
    panels = [one for one in document["panels"] if one["type"] != "row"]
    assert all(one["targets"] and one["datasource"]["uid"] for one in panels)
    titles = [(one["title"], one["gridPos"]["y"]) for one in panels]
    assert len(titles) == len(set(titles))


def metric_names() -> set[str]:
    return set(re.findall(r'"(nexuslims_\w+)"', Path(metrics.__file__).read_text()))


def test_every_metric_is_on_a_dashboard_or_in_an_alert() -> None:
    everything = " ".join(all_queries())
    assert {name for name in metric_names() if name not in everything} == set()


def test_every_metric_is_documented() -> None:
    text = (CHECKOUT / "docs" / "operations" / "telemetry.md").read_text()
    documented = set(re.findall(r"^\| `(nexuslims_\w+)`", text, re.MULTILINE))
    assert documented == metric_names()


# --- alerts ----------------------------------------------------------------------------------


def test_every_alert_has_a_page_that_says_what_it_says() -> None:
    for rule in rules():
        page = CHECKOUT / rule["annotations"]["runbook"]
        text = page.read_text()
        assert text.startswith(f"# {rule['alert']}\n")
        assert rule["expr"] in text
        assert "## What to do" in text
    assert {Path(rule["annotations"]["runbook"]).name for rule in rules()} == {
        path.name for path in PAGES.glob("*.md")
    }


def test_every_alert_is_tested() -> None:
    document = yaml.safe_load((ALERTS.parent / "alerts_test.yml").read_text())
    raised = {
        one["alertname"]
        for case in document["tests"]
        for one in case["alert_rule_test"]
        if one["exp_alerts"]
    }
    assert raised == {rule["alert"] for rule in rules()}


@needs_prometheus
def test_alerts_are_raised_by_what_they_are_about() -> None:
    for command in (
        ["check", "rules", "alerts.yml"],
        ["check", "config", "--syntax-only", "prometheus.yml"],
        ["test", "rules", "alerts_test.yml"],
    ):
        done = subprocess.run(
            ["promtool", *command], cwd=ALERTS.parent, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


# --- against a real Prometheus ---------------------------------------------------------------


class Prometheus:
    """A Prometheus that scrapes the services of a system every second."""

    def __init__(self, folder: Path, system: System) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.started = time.time()
        config = folder / "prometheus.yml"
        targets = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"component": name}}
            for name, port in system.ports.items()
        ]
        scrape = {"job_name": "nexuslims", "static_configs": targets}
        config.write_text(
            yaml.safe_dump(
                {
                    "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                    "rule_files": [str(ALERTS)],
                    "scrape_configs": [scrape],
                }
            )
        )
        with (folder / "prometheus.log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={config}",
                    f"--storage.tsdb.path={folder / 'tsdb'}",
                    f"--web.listen-address={self.url.removeprefix('http://')}",
                    "--enable-feature=exemplar-storage",
                ],
                stdout=log,
                stderr=log,
            )

    def ask(self, path: str, **parameters: str) -> Any:
        query = urllib.parse.urlencode(parameters)
        try:
            address = f"{self.url}/api/v1/{path}?{query}"
            with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - ours
                return json.load(answer)["data"]
        except OSError:
            return None

    def answers(self, query: str) -> bool:
        """Whether a query ever had a value since the start."""
        start, end = f"{self.started}", f"{time.time()}"
        found = self.ask("query_range", query=query, start=start, end=end, step="1")
        return bool(found and found["result"])


@contextmanager
def scraping(folder: Path, system: System) -> Iterator[Prometheus]:
    prometheus = Prometheus(folder, system)
    try:
        yield prometheus
    finally:
        prometheus.process.terminate()
        prometheus.process.wait(timeout=10)


@pytest.mark.broker
@pytest.mark.timeout(600)  # a busy machine takes long until everything has happened
@needs_prometheus
async def test_every_query_returns_data_under_load(tmp_path: Path) -> None:
    """A log of periods, a broken file, and a destination that is away beside the archive."""
    make_facility(tmp_path)
    with (tmp_path / ".env").open("a") as settings:
        settings.write("NX_CDCS_URL=http://127.0.0.1:1\nNX_CDCS_TOKEN=none\n")
    broken = sorted((tmp_path / "instrument-data" / "Quanta").rglob("*.tif"))[3]
    taken = broken.stat()
    broken.write_bytes(b"II*\0" + b"\xff" * 200)
    os.utime(broken, ns=(taken.st_atime_ns, taken.st_mtime_ns))
    async with running(tmp_path, SERVICES, NX_PERIODS="year") as system:
        with scraping(tmp_path, system) as prometheus:
            waiting = all_queries()
            deadline = time.monotonic() + 240
            while waiting and time.monotonic() < deadline:
                await asyncio.sleep(0.5)
                waiting = {
                    one for one in waiting if not await asyncio.to_thread(prometheus.answers, one)
                }
            assert sorted(waiting) == []
            streams = prometheus.ask("label/stream/values")
            exemplars = prometheus.ask(
                "query_exemplars",
                query="nexuslims_handler_seconds_bucket",
                start=f"{time.time() - 300}",
                end=f"{time.time()}",
            )
    assert sum(1 for name in streams if name.startswith(EVENTS.name)) > 1, "a period has its own"
    named = {one["labels"]["em_session_id"] for each in exemplars for one in each["exemplars"]}
    assert "file-1001" in named
