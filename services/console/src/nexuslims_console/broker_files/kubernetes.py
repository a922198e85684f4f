"""A Secret for each service, and a kustomize component that mounts it there.

What is written is JSON, which is YAML too.
"""

import json
from pathlib import Path
from typing import Any, Final

from nexuslims_console.broker_files.certificates import AUTHORITY, CERTIFICATE, KEY
from nexuslims_console.broker_files.server import CONFIGURATION
from nexuslims_shared.accounts.keys import read_seed
from nexuslims_shared.accounts.rights import OBSERVER, OPERATOR, SERVICES
from nexuslims_shared.settings import make_folder

MOUNTED: Final = "/run/secrets/nats"
_SERVER: Final = "nexuslims-nats-server"


def write(folder: Path, home: Path, *, tls: bool) -> dict[Path, str]:
    """Write Secrets, and a component of kustomize for them.

    Parameters
    ----------
    folder
        Where to.
    home
        The folder that holds keys, certificates and the servers' configuration.
    tls
        Whether there are certificates.
    """
    make_folder(folder, "DIR/k8s").chmod(0o700)
    written = {}
    for user in (*SERVICES, OPERATOR, OBSERVER):
        path = _write(folder / f"{secret_of(user)}.json", _secret_of_user(user, home, tls=tls))
        written[path] = f"Secret for {user} alone"
    server = _write(folder / f"{_SERVER}.json", _secret(_SERVER, _files_of_server(home, tls=tls)))
    patches = [_patch("Deployment", name, name, tls=tls) for name in SERVICES]
    patches.append(_patch("Job", "provision", OPERATOR, tls=tls))
    names = sorted(path.name for path in written)
    component = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "resources": [*names, server.name],
        "patches": [{"patch": json.dumps(patch)} for patch in patches],
    }
    written[server] = "Secret for the servers: configuration and certificates"
    written[_write(folder / "kustomization.yaml", component)] = "component of kustomize"
    return written


def secret_of(user: str) -> str:
    """Return the name of a user's Secret."""
    return f"nexuslims-nats-{user}"


def _secret_of_user(user: str, home: Path, *, tls: bool) -> dict[str, Any]:
    files = {"nkey": read_seed(home / "credentials", user)}
    if tls:
        files[AUTHORITY] = (home / "tls" / AUTHORITY).read_text()
    return _secret(secret_of(user), files)


def _files_of_server(home: Path, *, tls: bool) -> dict[str, str]:
    paths = [home / "server" / CONFIGURATION]
    if tls:
        paths += [home / "tls" / name for name in (AUTHORITY, CERTIFICATE, KEY)]
    return {path.name: path.read_text() for path in paths}


def _secret(name: str, files: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "nexuslims"}},
        "type": "Opaque",
        "stringData": files,
    }


def _patch(kind: str, name: str, user: str, *, tls: bool) -> dict[str, Any]:
    settings = {"NX_NATS_NKEY_FILE": f"{MOUNTED}/nkey"}
    if tls:
        settings["NX_NATS_CA"] = f"{MOUNTED}/{AUTHORITY}"
    container = {
        "name": "service",
        "env": [{"name": name, "value": value} for name, value in settings.items()],
        "volumeMounts": [{"name": "nats", "mountPath": MOUNTED, "readOnly": True}],
    }
    mode = 0o440
    volume = {"name": "nats", "secret": {"secretName": secret_of(user), "defaultMode": mode}}
    pod: dict[str, Any] = {"containers": [container], "volumes": [volume]}
    if kind == "Job":
        pod["securityContext"] = {"fsGroup": 10001}
    return {
        "apiVersion": "batch/v1" if kind == "Job" else "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"template": {"spec": pod}},
    }


def _write(path: Path, document: dict[str, Any]) -> Path:
    path.touch(mode=0o600)
    path.write_text(json.dumps(document, indent=2) + "\n")
    return path
