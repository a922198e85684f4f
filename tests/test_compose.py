"""compose.yaml: profiles, images, and what the services are watched with."""

import json
import re
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml

from nexuslims_console.broker_files import write_all
from nexuslims_contracts.topology import MIN_SERVER
from tests.manifests import CHECKOUT, SERVICES, compose, nested

OPERATIONS = CHECKOUT / "operations"
WATCHING = {"collector", "tempo", "prometheus", "grafana"}
BROKERS = ("nats-1", "nats-2", "nats-3")


def services(profile):
    """What runs in a profile; what belongs to none runs in each."""
    return {
        name: one
        for name, one in compose()["services"].items()
        if profile in one.get("profiles", [profile])
    }


def variables(profile):
    lines = (OPERATIONS / "compose" / f"{profile}.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def read(name):
    return yaml.safe_load((OPERATIONS / name).read_text())


def test_what_runs_in_each_profile():
    pipeline = {*SERVICES, "provision", "nats-1"}
    assert services("small").keys() == pipeline
    assert services("full").keys() == pipeline | {"nats-2", "nats-3", "postgres"} | WATCHING


@pytest.mark.parametrize("profile", ["small", "full"])
def test_a_profile_has_the_brokers_that_it_names(profile):
    given = variables(profile)
    brokers = [name for name in services(profile) if name in BROKERS]
    assert given["COMPOSE_PROFILES"] == given["NEXUSLIMS_PROFILE"] == profile
    assert given["NATS_URL"] == ",".join(f"nats://{name}:4222" for name in brokers)
    assert int(given["NX_STREAM_REPLICAS"]) == len(brokers)
    configuration = (OPERATIONS / "nats" / f"{profile}.conf").read_text()
    assert re.findall(r"nats://([\w-]+):6222", configuration) == (
        brokers if profile == "full" else []
    )


def test_settings_of_a_profile_reach_the_services():
    named = set(re.findall(r"\$\{(\w+)", (CHECKOUT / "compose.yaml").read_text()))
    for profile in ("small", "full"):
        assert variables(profile).keys() - {"COMPOSE_FILE", "COMPOSE_PROFILES"} <= named


@pytest.mark.parametrize("profile", ["small", "full"])
def test_a_profile_gives_the_broker_and_each_service_their_keys(profile, tmp_path):
    own, keys = variables(profile)["COMPOSE_FILE"].split(":")
    assert CHECKOUT / own == CHECKOUT / "compose.yaml"
    brokers = tuple(name for name in services(profile) if name in BROKERS)
    folder = tmp_path / PurePosixPath(keys).parent
    write_all(folder, servers=brokers, names=(), tls=True)
    written = yaml.safe_load((tmp_path / keys).read_text())["services"]
    assert written.keys() == {*SERVICES, "provision", *brokers}


def test_images_of_others_are_pinned_by_digest():
    for name, service in compose()["services"].items():
        if not service["image"].startswith("nexuslims/"):
            assert re.fullmatch(r"[a-z/-]+:[\w.-]+@sha256:[0-9a-f]{64}", service["image"]), name
    server = re.findall(r"\d+", compose()["services"]["nats-1"]["image"])[:3]
    assert tuple(map(int, server)) >= MIN_SERVER


@pytest.mark.parametrize("profile", ["small", "full"])
def test_services_start_when_what_they_need_is_healthy(profile):
    running = services(profile)
    for name, service in running.items():
        needs = service.get("depends_on", {})
        for other, condition in nested(needs).items():
            if other in running:
                wanted = condition.get("condition", "service_started")
                if wanted == "service_healthy":
                    assert "healthcheck" in running[other], name
            else:
                assert condition["required"] is False, f"{name} needs {other}"
    assert nested(running["provision"]["depends_on"])["nats-1"]["condition"] == "service_healthy"
    for name in SERVICES:
        needs = running[name]["depends_on"]
        assert needs["provision"]["condition"] == "service_completed_successfully"


def test_prometheus_asks_every_service():
    (scrape,) = read("prometheus/prometheus.yml")["scrape_configs"]
    found = {one["labels"]["component"]: one["targets"] for one in scrape["static_configs"]}
    assert found == {name: [f"{name}:8080"] for name in SERVICES}
    assert scrape["job_name"] == "nexuslims"


def test_grafana_finds_its_sources_and_dashboards():
    sources = {
        one["uid"]: one["url"]
        for one in read("grafana/provisioning/datasources/sources.yaml")["datasources"]
    }
    assert sources == {"prometheus": "http://prometheus:9090", "tempo": "http://tempo:3200"}
    (provider,) = read("grafana/provisioning/dashboards/nexuslims.yaml")["providers"]
    mounts = dict(
        reversed(volume.removesuffix(":ro").split(":", 1))
        for volume in compose()["services"]["grafana"]["volumes"]
    )
    assert mounts[provider["options"]["path"]] == "./operations/grafana/dashboards"
    assert mounts["/etc/grafana/provisioning"] == "./operations/grafana/provisioning"


def test_pages_of_sessions_lead_to_the_dashboard_with_their_traces():
    address = urlsplit(variables("full")["NX_CONSOLE_TRACE_URL"])
    (dashboard,) = (
        one
        for one in map(json.loads, map(Path.read_text, (OPERATIONS / "grafana").rglob("*.json")))
        if address.path == f"/d/{one['uid']}"
    )
    asked = {f"var-{one['name']}": "{session}" for one in dashboard["templating"]["list"]}
    assert dict(parse_qsl(address.query)) == asked
    published = compose()["services"]["grafana"]["ports"]
    assert any(str(address.port) == one.split(":")[1] for one in published)


def test_traces_go_from_the_services_to_tempo():
    assert variables("full")["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4318"
    collector = read("collector.yaml")
    assert collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"] == "0.0.0.0:4318"
    assert collector["exporters"]["otlphttp"]["endpoint"] == "http://tempo:4318"
    assert read("tempo.yaml")["server"]["http_listen_port"] == 3200


def test_files_that_are_mounted_are_there():
    for name, service in compose()["services"].items():
        for volume in service.get("volumes", []):
            source = re.sub(r"\$\{NEXUSLIMS_PROFILE:-small\}", "full", volume).split(":")[0]
            if source.startswith("./") and PurePosixPath(source).parts[0] != "config":
                assert (CHECKOUT / source).exists(), f"{name}: {source}"
