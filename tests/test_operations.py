"""Compose, Kubernetes, images and documents say what the code says."""

import ast
import re
import shutil
from importlib.metadata import version

import kubernetes_validate
import pytest
from pydantic import SecretStr

from nexuslims_console.web.settings import ConsoleSettings
from nexuslims_contracts import topology
from nexuslims_contracts.plugins import installed
from nexuslims_harvester.calendar import CALENDARS
from nexuslims_shared.service import SERVICES as ENTRY_POINTS
from nexuslims_shared.service import Service, _Process, service_named
from nexuslims_shared.settings import (
    Environment,
    Numbered,
    Settings,
    read_settings,
)
from nexuslims_shared.settings.account import REPLACED
from nexuslims_shared.settings.display import GROUP
from nexuslims_uploader.destination import DESTINATIONS
from tests.manifests import (
    CHECKOUT,
    SERVICES,
    compose,
    image_targets,
    only_container,
    raw_documents,
    renderings,
    settings_env,
)

KUBERNETES = "1.32"
OF_PLUGINS = ("nexuslims_shared", "nexuslims_harvester", "nexuslims_uploader")
OPERATORS = {"keda.sh", "monitoring.coreos.com"}
RELEASE = version("nexuslims-shared")
VARIABLE = re.compile(r"\b(?:NX_[A-Z0-9_]*[A-Z0-9]|NATS_URL)\b")
SPEAK_OF_SETTINGS = [
    CHECKOUT / name for name in (".env.example", "compose.yaml", "Dockerfile", "README.md")
] + sorted(
    path
    for folder in ("k8s", "docs")
    for path in (CHECKOUT / folder).rglob("*.*")
    if "generated" not in path.parts
)
RENDERINGS = renderings()


@pytest.fixture(params=RENDERINGS)
def rendering(request):
    return RENDERINGS[request.param]


@pytest.fixture
def deployments(rendering):
    return {each["metadata"]["name"]: each for each in rendering if each["kind"] == "Deployment"}


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """The paths that containers have, below a folder of this test."""
    for name in _variables_of(Settings):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "srv" / "instrument-data").mkdir(parents=True)
    sample = CHECKOUT / "k8s" / "overlays" / "small" / "config"
    shutil.copytree(sample, tmp_path / "srv" / "config")
    return read_settings(
        instrument_data_path=tmp_path / "srv" / "instrument-data",
        data_path=tmp_path / "srv" / "data",
        state_path=tmp_path / "state",
        instruments_file=tmp_path / "srv" / "config" / "instruments.toml",
        calendar_file=tmp_path / "srv" / "config" / "calendar.toml",
    )


# --- settings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", SPEAK_OF_SETTINGS, ids=[str(path.relative_to(CHECKOUT)) for path in SPEAK_OF_SETTINGS]
)
def test_every_variable_that_is_named_exists(path):
    named = set(VARIABLE.findall(path.read_text(errors="ignore")))
    unknown = {name for name in named if not named_in_settings(name)}
    assert not unknown, f"{path.name} names settings that do not exist"


def named_in_settings(name):
    known = {*_variables_of(Settings), *_variables_of_plugins()}
    known |= _variables_of_commands()
    return name in known | set(REPLACED) or name.removesuffix("_FILE") in known


def test_every_setting_is_documented():
    known = {*_variables_of(Settings), *_variables_of_plugins(), *_variables_of_commands()}
    assert set(_documented()) == known


def _variables_of_commands():
    """Settings of the console and of its commands, notifications and exports."""
    models = [plugin.load() for plugin in installed(GROUP).values()]
    return {
        name for model in models if not issubclass(model, Numbered) for name in _variables_of(model)
    }


def _variables_of_plugins():
    """Settings of destinations and calendars, numbered ones as of the first instance."""
    for group in (Environment, Numbered):
        yield from (name for name, _ in _fields_of_plugins(group))


def _fields_of_plugins(group):
    for entry in (DESTINATIONS, CALENDARS):
        for plugin in installed(entry).values():
            plugin.load()
    for model in group.__subclasses__():
        if model is Settings or not model.__module__.startswith(OF_PLUGINS):
            continue  # a test's, or of commands, which containers do not run
        for name, field in model.model_fields.items():
            yield model.variable(name, "1" if issubclass(model, Numbered) else ""), field


OF_THE_BROKER = {"NX_NATS_NKEY_FILE", "NX_NATS_CA"}
"""What every container has for the broker, as the overlays with a broker's keys add it."""


def _variables_of(model):
    return {model.variable(name) for name in model.model_fields}


@pytest.mark.parametrize(("service", "group"), [("uploader", Environment), ("harvester", Numbered)])
def test_settings_of_destinations_and_calendars_reach_their_containers(service, group, deployments):
    """In Compose all of them; in Kubernetes secrets as files, the others are with the settings."""
    wanted = dict(_fields_of_plugins(group))
    assert wanted.keys() <= compose()["services"][service]["environment"].keys()
    secrets = {f"{name}_FILE" for name, field in wanted.items() if field.annotation is SecretStr}
    container = only_container(deployments[service])
    names = {one["name"] for one in container["env"]}
    assert secrets <= names
    assert names - secrets in (set(), OF_THE_BROKER)


def test_settings_of_the_console_reach_its_container():
    wanted = _variables_of(ConsoleSettings)
    assert wanted <= compose()["services"]["console"]["environment"].keys()


def test_the_documented_defaults_are_the_real_ones():
    documented = _documented()
    for name, field in Settings.model_fields.items():
        variable = Settings.variable(name)
        assert documented[variable] == _default(field), variable


def _documented():
    """Settings and their defaults in the operators' table."""
    text = (CHECKOUT / "docs" / "operators.md").read_text()
    rows = re.findall(r"^\| `(NX_[A-Z_]+(?:_1)?|NATS_URL)` \| ([^|]*) \|", text, re.MULTILINE)
    return {name: default.strip().strip("`") for name, default in rows}


def _default(field):
    if field.is_required():
        return "required"
    default = field.default
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return ",".join(default)
    return "" if default is None else f"{default:g}" if isinstance(default, float) else str(default)


# --- services --------------------------------------------------------------------------------


def test_every_service_is_installed():
    assert sorted(installed(ENTRY_POINTS)) == SERVICES


def test_every_service_has_an_image_and_a_lock():
    assert sorted(image_targets()) == SERVICES
    for name in SERVICES:
        assert (CHECKOUT / "requirements" / f"{name}.txt").is_file()
        assert f"RUN install-service {name} /app\n" in (CHECKOUT / "Dockerfile").read_text()


def test_images_are_built_from_folders_that_the_build_is_given():
    copied = re.findall(r"^COPY ([a-z/]+) ", (CHECKOUT / "Dockerfile").read_text(), re.MULTILINE)
    given = {
        line[1:].split("/")[0]
        for line in (CHECKOUT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert copied
    assert {folder.split("/")[0] for folder in copied} <= given


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_runs_in_compose(name):
    service = compose()["services"][name]
    assert service["build"]["target"] == name
    assert service["image"] == f"nexuslims/{name}:${{NEXUSLIMS_VERSION:-{RELEASE}}}"


def test_every_service_has_a_deployment(deployments):
    assert sorted(deployments) == SERVICES
    for name, deployment in deployments.items():
        container = only_container(deployment)
        assert container["image"] == f"nexuslims/{name}:{RELEASE}"
        assert container["args"] == ["run", name]


def test_the_topology_has_consumers_of_existing_services_only():
    assert {spec.service for spec in topology.CONSUMERS} <= set(SERVICES)


# --- health ----------------------------------------------------------------------------------


def test_probes_ask_what_the_services_answer(deployments, settings):
    routes = {path for path, _ in _Process(Service("any", work=None), settings).app.routes}
    for deployment in deployments.values():
        container = only_container(deployment)
        (port,) = (one for one in container["ports"] if one["name"] == "http")
        assert port["containerPort"] == int(settings_env()["NX_HTTP_PORT"])
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["port"] == port["name"]
            assert container[probe]["httpGet"]["path"] in routes
        assert container["livenessProbe"]["httpGet"] != container["readinessProbe"]["httpGet"]


@pytest.mark.parametrize("name", SERVICES)
def test_compose_asks_what_the_services_answer(name, settings):
    routes = {path for path, _ in _Process(Service("any", work=None), settings).app.routes}
    service = compose()["services"][name]
    (port, path) = re.search(r":(\d+)(/\w+)", service["healthcheck"]["test"][-1]).groups()
    assert port == service["environment"]["NX_HTTP_PORT"]
    assert path in routes


# --- life and death --------------------------------------------------------------------------


@pytest.mark.parametrize("name", SERVICES)
def test_compose_waits_longer_than_services_take_to_drain(name):
    service = compose()["services"][name]
    grace = float(service["environment"]["NX_SHUTDOWN_GRACE"])
    assert float(service["stop_grace_period"].removesuffix("s")) > grace


def test_kubernetes_waits_longer_than_services_take_to_drain(deployments):
    grace = float(settings_env()["NX_SHUTDOWN_GRACE"])
    for deployment in deployments.values():
        assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > grace


def test_the_extractor_has_room_for_its_workers(deployments):
    limit = only_container(deployments["extractor"])["resources"]["limits"]["memory"]
    workers = int(settings_env()["NX_EXTRACTOR_WORKERS"])
    assert int(limit.removesuffix("Gi")) * 1024 > workers * int(
        settings_env()["NX_EXTRACTOR_MEMORY_MB"]
    )


def test_brokers_are_new_enough():
    services = compose()["services"]
    brokers = [name for name in services if name.startswith("nats-")]
    images = {services[name]["image"] for name in brokers}
    objects = raw_documents().values()
    images |= {only_container(each)["image"] for each in objects if each["kind"] == "StatefulSet"}
    for image in images:
        tag = image.partition("@")[0]
        assert tuple(map(int, re.findall(r"\d+", tag)))[:2] >= topology.MIN_SERVER[:2]


# --- folders ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SERVICES)
def test_services_get_the_folders_they_need(name, settings, tmp_path):
    """What a service declares as its mounts is mounted, writable where it writes."""
    needs = {
        "/" + mount.path.relative_to(tmp_path).as_posix(): mount.writable
        for mount in service_named(name, settings).mounts
    }
    bound = [volume.rsplit(":/", 1)[1] for volume in compose()["services"][name]["volumes"]]
    in_compose = {f"/{path.removesuffix(':ro')}": not path.endswith(":ro") for path in bound}
    assert _suffices(in_compose, needs)
    for rendering in RENDERINGS.values():
        (deployment,) = (
            each
            for each in rendering
            if each["kind"] == "Deployment" and each["metadata"]["name"] == name
        )
        mounts = only_container(deployment)["volumeMounts"]
        mounted = {mount["mountPath"]: not mount.get("readOnly") for mount in mounts}
        assert _suffices(mounted, needs)


def _suffices(mounted, needs):
    return all(
        any(
            (path == folder or path.startswith(f"{folder}/")) and (can_write or not writes)
            for folder, can_write in mounted.items()
        )
        for path, writes in needs.items()
    )


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_can_write_to_the_instruments_files(name):
    for volume in compose()["services"][name]["volumes"]:
        assert not re.search(r"/srv/instrument-data(?!:ro$)", volume)
    for rendering in RENDERINGS.values():
        for each in rendering:
            if each["kind"] == "Deployment":
                mounts = only_container(each)["volumeMounts"]
                theirs = [m for m in mounts if m["mountPath"] == "/srv/instrument-data"]
                assert all(mount["readOnly"] for mount in theirs)


# --- Kubernetes ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", raw_documents())
def test_files_are_valid_kubernetes_objects(name):
    kubernetes_validate.validate(raw_documents()[name], KUBERNETES, strict=True)


def test_renderings_are_valid_kubernetes_objects(rendering):
    """Objects of operators, such as KEDA's, are looked at in test_kubernetes.py."""
    for document in rendering:
        if document["apiVersion"].split("/")[0] not in OPERATORS:
            kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_selectors_select(rendering):
    workloads = [each for each in rendering if "template" in each.get("spec", {})]
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in workloads]
    for each, own in zip(workloads, labels, strict=True):
        if each["kind"] != "Job":
            assert _selected(each["spec"]["selector"]["matchLabels"], own)
    for each in rendering:
        if each["kind"] in ("PodDisruptionBudget", "NetworkPolicy", "PodMonitor"):
            selector = each["spec"].get("selector") or each["spec"]["podSelector"]
            wanted = selector.get("matchLabels", {})
        elif each["kind"] == "Service":
            wanted = each["spec"]["selector"]
        else:
            continue
        assert any(_selected(wanted, own) for own in labels), each["metadata"]["name"]


def _selected(selector, labels):
    return selector.items() <= labels.items()


def test_pods_are_restricted(rendering):
    """As the Pod Security Standard "restricted" wants it, and read-only beyond that."""
    for each in rendering:
        if "template" not in each.get("spec", {}):
            continue
        pod = each["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        security = only_container(each)["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"]
        assert security["capabilities"] == {"drop": ["ALL"]}


def test_what_is_mounted_is_declared(rendering):
    for each in rendering:
        if each["kind"] not in ("Deployment", "StatefulSet"):
            continue
        volumes = {volume["name"] for volume in each["spec"]["template"]["spec"]["volumes"]}
        claims = each["spec"].get("volumeClaimTemplates", [])
        volumes |= {claim["metadata"]["name"] for claim in claims}
        assert {mount["name"] for mount in only_container(each)["volumeMounts"]} == volumes


# --- one place -------------------------------------------------------------------------------


def test_streams_buckets_and_consumers_are_defined_in_the_topology_only():
    names = {spec.name for spec in (*topology.STREAMS, *topology.BUCKETS)}
    makers = {"StreamSpec", "ConsumerSpec", "BucketSpec"}
    sources = [
        path
        for path in CHECKOUT.glob("**/src/**/*.py")
        if ".venv" not in path.parts and path.name not in ("topology.py", "periods.py")
    ]
    assert len(sources) > 50
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant):
                assert node.value not in names, f"{path}:{node.lineno}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in makers, f"{path}:{node.lineno}"
