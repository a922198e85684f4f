"""Reads what operations are described in: Compose, Kubernetes and the Dockerfile."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHECKOUT = Path(__file__).resolve().parents[1]
BASE = CHECKOUT / "k8s" / "base"
OVERLAYS = sorted((CHECKOUT / "k8s" / "overlays").iterdir())
SERVICES = sorted(path.parent.name for path in (CHECKOUT / "services").glob("*/pyproject.toml"))

Document = dict[str, Any]


def compose() -> Document:
    """Compose's file, anchors resolved, ``${}`` as written."""
    document: Document = yaml.safe_load((CHECKOUT / "compose.yaml").read_text())
    return document


def nested(needs: Any) -> Document:
    """Return what a service of Compose depends on as its long form."""
    return needs if isinstance(needs, dict) else {name: {} for name in needs}


def image_targets() -> set[str]:
    """Stages of the Dockerfile that are images of services."""
    text = (CHECKOUT / "Dockerfile").read_text()
    return set(re.findall(r"^FROM runtime AS (\S+)$", text, re.MULTILINE))


def settings_env() -> dict[str, str]:
    """What the base's ConfigMap sets."""
    lines = (BASE / "settings.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def renderings() -> dict[str, list[Document]]:
    """The base as our own merge renders it and, where there is kubectl, as it and the overlays."""
    found = {"merged base": list(_merged_base())}
    if shutil.which("kubectl"):
        for folder in (BASE, *OVERLAYS):
            found[f"kubectl {folder.name}"] = kubectl(folder)
    return found


def raw_documents() -> dict[str, Document]:
    """Every complete Kubernetes object in ``k8s/``, by file and name: no patches among them."""
    found = {}
    for folder in (BASE, *OVERLAYS):
        kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
        for resource in kustomization["resources"]:
            path = folder / resource
            for document in _documents(path) if path.is_file() else []:
                what = f"{document['kind']} {document['metadata']['name']}"
                found[f"{path.relative_to(CHECKOUT)}: {what}"] = document
    return found


def only_container(workload: Document) -> Document:
    """The container of a workload that has one."""
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    return container


def _documents(path: Path) -> list[Document]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def kubectl(folder: Path) -> list[Document]:
    """A folder as kubectl renders it."""
    command = ["kubectl", "kustomize", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def _merged_base() -> Iterator[Document]:
    """Apply the base's one patch; enough of a strategic merge for it."""
    kustomization = yaml.safe_load((BASE / "kustomization.yaml").read_text())
    (patch,) = kustomization["patches"]
    (pod,) = _documents(BASE / patch["path"])
    for resource in kustomization["resources"]:
        for document in _documents(BASE / resource):
            is_meant = document["kind"] == patch["target"]["kind"]
            merged = _merge(document, {"spec": pod["spec"]}) if is_meant else document
            (labels,) = kustomization["labels"]
            yield _labelled(merged, labels["pairs"])


def _labelled(document: Document, pairs: dict[str, str]) -> Document:
    """Label an object and the pods that it makes."""
    labels = {"metadata": {"labels": pairs}}
    pods = {"spec": {"template": labels}} if "template" in document.get("spec", {}) else {}
    labelled: Document = _merge(_merge(document, labels), pods)
    return labelled


def _merge(into: Any, patch: Any) -> Any:
    if isinstance(into, dict) and isinstance(patch, dict):
        return {
            key: _merge(into[key], patch[key]) if key in into and key in patch else both
            for key, both in {**into, **patch}.items()
        }
    if isinstance(into, list) and isinstance(patch, list):
        patches = {item["name"]: item for item in patch}
        merged = [_merge(item, patches.pop(item["name"], {})) for item in into]
        return merged + list(patches.values())
    return patch
