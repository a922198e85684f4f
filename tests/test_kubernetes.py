"""Kubernetes: who reaches whom, secrets, autoscaling, NACK's resources."""

import shutil

import kubernetes_validate
import pytest
import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject
from cloudcoil.models.prometheus_operator.v1 import PodMonitor, PrometheusRule
from scripts import nack, prometheus_rule

from nexuslims_contracts.topology import (
    BUCKETS,
    CONSUMERS,
    LARGEST_MESSAGE,
    REVISIONS_TO_ERASE,
    STREAMS,
)
from tests.manifests import CHECKOUT, SERVICES, kubectl, only_container

pytestmark = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")

OVERLAYS = ("small", "large", "three-broker")
PART = "app.kubernetes.io/part-of"
COMPONENT = "app.kubernetes.io/component"
NATS = {COMPONENT: "nats"}
KINDS = {"Stream": (*STREAMS, *BUCKETS), "Consumer": CONSUMERS}
COMPONENTS = ("autoscaling-keda", "autoscaling-hpa", "prometheus-operator", "console-sign-in")
OPERATORS = {one.__name__: one for one in (ScaledObject, PodMonitor, PrometheusRule)}
"""What the operators' own definitions of their resources allow."""


@pytest.fixture(scope="module")
def renderings():
    return {name: kubectl(CHECKOUT / "k8s" / "overlays" / name) for name in OVERLAYS}


@pytest.fixture(params=OVERLAYS)
def rendering(request, renderings):
    return renderings[request.param]


def of_kind(documents, kind):
    return {one["metadata"]["name"]: one for one in documents if one["kind"] == kind}


def ours(component):
    return {PART: "nexuslims", COMPONENT: component}


# --- network policies ------------------------------------------------------------------------


class Network:
    """Judges connections as Kubernetes does: pods that no policy selects are free."""

    def __init__(self, documents):
        self.policies = [one["spec"] for one in of_kind(documents, "NetworkPolicy").values()]

    def allows(self, direction, pod, port, peer=None):
        """Whether a pod may send to, or receive from, a peer by TCP; no peer is one outside."""
        selected = [
            one
            for one in self.policies
            if direction in one["policyTypes"] and _matches(one["podSelector"], pod)
        ]
        return not selected or any(
            self._rule_allows(rule, direction, port, peer)
            for one in selected
            for rule in one.get(direction.lower(), [])
        )

    def connects(self, sender, receiver, port):
        return self.allows("Egress", sender, port, receiver) and self.allows(
            "Ingress", receiver, port, sender
        )

    @staticmethod
    def _rule_allows(rule, direction, port, peer):
        if "ports" in rule and not any(
            one["port"] == port and one["protocol"] == "TCP" for one in rule["ports"]
        ):
            return False
        peers = rule.get("to" if direction == "Egress" else "from")
        return peers is None or any(
            peer is not None and _matches(one["podSelector"], peer) for one in peers
        )


def _matches(selector, labels):
    return selector.get("matchLabels", {}).items() <= labels.items()


def test_services_reach_what_they_need_and_nothing_else(rendering):
    network = Network(rendering)
    outside = {"harvester": {443}, "uploader": {443}, "console": {443, 5432}}
    for service in (*SERVICES, "provision"):
        pod = ours(service)
        for port in (4222, 53, 4318):
            assert network.allows("Egress", pod, port), (service, port)
        reached = {
            port for port in (80, 443, 5432, 6222, 8222) if network.allows("Egress", pod, port)
        }
        assert reached == outside.get(service, set()), service
        assert network.allows("Ingress", pod, 8080)
        assert not network.allows("Ingress", pod, 22)


def test_other_pods_of_the_namespace_are_left_alone(rendering):
    network = Network(rendering)
    for pod in ({"app": "other"}, {PART: "other", COMPONENT: "database"}, {}):
        for direction in ("Ingress", "Egress"):
            assert network.allows(direction, pod, 12345)


@pytest.mark.parametrize("overlay", ["small", "three-broker"])
def test_services_reach_the_broker_of_the_namespace(overlay, renderings):
    network = Network(renderings[overlay])
    for service in (*SERVICES, "provision"):
        assert network.connects(ours(service), NATS, 4222)
    assert not network.connects({"app": "other"}, NATS, 4222)


def test_brokers_of_a_cluster_reach_each_other(renderings):
    network = Network(renderings["three-broker"])
    assert network.connects(NATS, NATS, 6222)
    assert not network.connects(ours("console"), NATS, 6222)
    assert not network.allows("Egress", NATS, 443)


# --- secrets, images, replicas -----------------------------------------------------------------


def test_no_service_sees_the_secrets_of_another(rendering):
    for name, deployment in of_kind(rendering, "Deployment").items():
        volumes = deployment["spec"]["template"]["spec"]["volumes"]
        secrets = {one["secret"]["secretName"] for one in volumes if "secret" in one}
        assert f"nexuslims-nats-{name}" in secrets, "each has a key of its own at the broker"
        assert secrets <= {f"nexuslims-{name}", f"nexuslims-nats-{name}"}


@pytest.mark.parametrize("overlay", ["small", "three-broker"])
def test_the_broker_lets_nobody_in_without_a_key(overlay, renderings):
    broker = of_kind(renderings[overlay], "StatefulSet")["nats"]
    container = only_container(broker)
    assert "--config=/etc/nats/nats.conf" in container["args"]
    assert not [one for one in container["args"] if one.startswith("--jetstream")]
    mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    assert mounts["configuration"] == "/etc/nats"
    volumes = {one["name"]: one for one in broker["spec"]["template"]["spec"]["volumes"]}
    assert volumes["configuration"]["secret"]["secretName"] == "nexuslims-nats-server"


def test_the_chart_reads_the_secret_of_the_servers_in_place_of_its_own_configuration(renderings):
    """What is patched into the chart's pod is what the overlay's own broker mounts."""
    values = yaml.safe_load((CHECKOUT / "k8s" / "nats" / "values.yaml").read_text())
    own = of_kind(renderings["three-broker"], "StatefulSet")["nats"]["spec"]["template"]["spec"]
    (mount,) = [one["value"] for one in values["container"]["patch"]]
    (volume,) = [one["value"] for one in values["podTemplate"]["patch"]]
    assert mount in only_container({"spec": {"template": {"spec": own}}})["volumeMounts"]
    (expected,) = [one for one in own["volumes"] if one["name"] == mount["name"]]
    assert volume["secret"]["secretName"] == expected["secret"]["secretName"]
    assert volume["secret"]["items"] == expected["secret"]["items"]
    arguments = values["container"]["merge"]["args"]
    assert f"--config={mount['mountPath']}/nats.conf" in arguments
    pid = next(one.partition("=")[2] for one in arguments if one.startswith("--pid="))
    assert values["reloader"]["merge"]["args"] == ["-pid", pid, "-config", "/etc/nats/nats.conf"]
    assert pid == "/var/run/nats/nats.pid", "the chart's hook that stops a server looks there"


def test_images_have_a_tag(rendering):
    for document in rendering:
        if "template" in document.get("spec", {}):
            _, colon, tag = only_container(document)["image"].partition(":")
            assert colon
            assert tag not in ("", "latest")


def test_disruption_never_takes_the_last_pod_nor_holds_up_a_node(rendering):
    """A budget is only where there are several pods, as it would keep a node from being emptied."""
    workloads = {**of_kind(rendering, "Deployment"), **of_kind(rendering, "StatefulSet")}
    for name, budget in of_kind(rendering, "PodDisruptionBudget").items():
        assert budget["spec"]["maxUnavailable"] == 1
        assert name in workloads
    for name in of_kind(rendering, "PodDisruptionBudget"):
        assert only_container(workloads[name])["resources"]["requests"]


def test_pods_have_requests_and_limits_and_are_spread(rendering):
    for document in (*of_kind(rendering, "Deployment").values(),):
        assert {"cpu", "memory"} <= only_container(document)["resources"]["requests"].keys()
        assert "memory" in only_container(document)["resources"]["limits"]
        (spread,) = document["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert spread["whenUnsatisfiable"] == "ScheduleAnyway"


def test_three_brokers_are_a_cluster_on_three_nodes(renderings):
    broker = of_kind(renderings["three-broker"], "StatefulSet")["nats"]
    assert broker["spec"]["replicas"] == 3
    assert "--config=/etc/nats/nats.conf" in only_container(broker)["args"]
    (spread,) = broker["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert spread["whenUnsatisfiable"] == "DoNotSchedule"
    resources = only_container(broker)["resources"]
    assert resources["requests"]["memory"] == resources["limits"]["memory"]
    service = of_kind(renderings["three-broker"], "Service")["nats"]
    assert {port["port"] for port in service["spec"]["ports"]} >= {4222, 6222}


def test_people_reach_the_console(renderings):
    (ingress,) = of_kind(renderings["large"], "Ingress").values()
    (rule,) = ingress["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    service = of_kind(renderings["large"], "Service")[backend["name"]]
    assert backend["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}
    assert rule["host"] in ingress["spec"]["tls"][0]["hosts"]


def test_the_console_is_reached_by_the_name_that_it_knows(renderings):
    """It refuses others; and who signs in comes back to that address."""
    (ingress,) = of_kind(renderings["large"], "Ingress").values()
    (rule,) = ingress["spec"]["rules"]
    assert console_settings(renderings["large"])["NX_CONSOLE_ADDRESS"] == f"https://{rule['host']}"


def console_settings(documents):
    container = only_container(of_kind(documents, "Deployment")["console"])
    return {one["name"]: one["value"] for one in container["env"]}


def test_people_sign_in_with_secrets_from_files(renderings):
    given = console_settings(renderings["large"])
    assert given["NX_CONSOLE_SIGN_IN"] == "oidc"
    assert {"NX_CONSOLE_OIDC_CLIENT_SECRET", "NX_CONSOLE_SECRET"}.isdisjoint(given)
    for name in ("NX_CONSOLE_OIDC_CLIENT_SECRET_FILE", "NX_CONSOLE_SECRET_FILE"):
        assert given[name].startswith("/run/secrets/nexuslims/")
    assert "NX_CONSOLE_SIGN_IN" not in console_settings(renderings["small"])


def test_the_console_reaches_the_health_of_every_service(rendering):
    """The uploader says there which destination does not answer."""
    network, services = Network(rendering), of_kind(rendering, "Service")
    asked = console_settings(rendering)["NX_CONSOLE_SERVICES"].split(",")
    addresses = dict(one.split("=") for one in asked)
    assert addresses.keys() == set(SERVICES) - {"console"}
    for name, address in addresses.items():
        assert address == f"http://{name}:8080"
        service = services[name]["spec"]
        assert service["selector"].items() <= ours(name).items()
        assert service["publishNotReadyAddresses"], "who is not ready says why"
        assert network.connects(ours("console"), ours(name), 8080)
        assert not network.allows("Egress", ours(name), 8080, ours("console"))


# --- operators' resources --------------------------------------------------------------------


def test_resources_of_operators_are_what_they_define(renderings):
    """Nothing is in them that the definition of the resource does not know."""
    found = [one for one in renderings["large"] if one["kind"] in OPERATORS]
    assert {one["kind"] for one in found} == OPERATORS.keys()
    for document in found:
        read = OPERATORS[document["kind"]].model_validate(document)
        assert read.model_dump(mode="json", by_alias=True, exclude_unset=True) == document


def test_alerts_are_those_of_prometheus(renderings):
    text = prometheus_rule.FILE.read_text()
    assert text == prometheus_rule.rendered(), "run `python -m scripts.prometheus_rule`"
    (rule,) = of_kind(renderings["large"], "PrometheusRule").values()
    alerts = CHECKOUT / "operations" / "prometheus" / "alerts.yml"
    assert rule["spec"] == yaml.safe_load(alerts.read_text())


# --- autoscaling -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMPONENTS)
def test_components_can_be_used(name, tmp_path):
    folder = CHECKOUT / "k8s" / "components" / name
    document = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert document["kind"] == "Component"
    for resource in document.get("resources", ()):
        for one in yaml.safe_load_all((folder / resource).read_text()):
            if one["apiVersion"] == "autoscaling/v2":
                kubernetes_validate.validate(one, "1.32", strict=True)


def test_extractors_are_scaled_by_due_work(renderings):
    """Their number is nobody else's; the query is run in test_monitoring.py."""
    scaled = of_kind(renderings["large"], "ScaledObject")["extractor"]["spec"]
    deployment = of_kind(renderings["large"], "Deployment")[scaled["scaleTargetRef"]["name"]]
    assert "replicas" not in deployment["spec"]
    assert scaled["minReplicaCount"] < scaled["maxReplicaCount"]
    (trigger,) = scaled["triggers"]
    assert trigger["type"] == "prometheus"
    assert "nexuslims_due_files" in trigger["metadata"]["query"]
    assert "consumer" not in trigger["metadata"]["query"]


# --- NACK, External Secrets ------------------------------------------------------------------


def test_resources_of_nack_are_those_of_the_topology():
    assert nack.FILE.read_text() == nack.rendered(), "run `python -m scripts.nack`"
    documents = list(yaml.safe_load_all(nack.FILE.read_text()))
    for kind, specs in KINDS.items():
        assert len(of_kind(documents, kind)) == len(specs)
    for document in documents:
        assert document["apiVersion"] == "jetstream.nats.io/v1beta2"
        assert "allowMsgSchedules" not in document["spec"], "it would clear denyPurge"
    events = of_kind(documents, "Stream")["nexus-events"]["spec"]
    assert events["denyDelete"]
    assert events["denyPurge"]
    assert events["allowAtomicPublish"]
    assert events["maxMsgSize"] == LARGEST_MESSAGE
    people = of_kind(documents, "Stream")["nexus-people"]["spec"]
    assert (people["name"], people["subjects"]) == ("KV_NEXUS_PEOPLE", ["$KV.NEXUS_PEOPLE.>"])
    assert not people["denyDelete"], "what is forgotten could not be overwritten"
    assert not people["allowRollup"]
    assert people["maxMsgsPerSubject"] == REVISIONS_TO_ERASE


def test_the_example_of_external_secrets_has_the_keys_that_pods_read(renderings):
    text = (CHECKOUT / "k8s" / "examples" / "external-secrets.yaml").read_text()
    deployments = of_kind(renderings["large"], "Deployment")
    for one in yaml.safe_load_all(text):
        name = one["spec"]["target"]["name"]
        container = only_container(deployments[name.removeprefix("nexuslims-")])
        read = {each.get("value", "").rpartition("/")[2] for each in container["env"]}
        assert {each["secretKey"] for each in one["spec"]["data"]} <= read
