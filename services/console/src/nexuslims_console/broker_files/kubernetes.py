"""A Secret for each service and for the servers, to be applied before the overlays that mount them.

What is written is JSON, which is YAML too. ``k8s/components/broker-keys`` mounts the Secrets.
"""

import json
from pathlib import Path
from typing import Any, Final

from nexuslims_console.broker_files.certificates import AUTHORITY, CERTIFICATE, KEY
from nexuslims_console.broker_files.server import CONFIGURATION
from nexuslims_shared.accounts.keys import read_seed
from nexuslims_shared.accounts.rights import OBSERVER, OPERATOR, SERVICES
from nexuslims_shared.settings import make_folder

_NAMESPACE: Final = "nexuslims"
_SERVER: Final = "nexuslims-nats-server"


def write(folder: Path, home: Path, *, tls: bool) -> dict[Path, str]:
    """Write Secrets, and what `kubectl apply -k` makes all of them from.

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
    written[server] = "Secret for the servers: configuration and certificates"
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": _NAMESPACE,
        "resources": sorted(path.name for path in written),
    }
    written[_write(folder / "kustomization.yaml", kustomization)] = "all Secrets, for kubectl"
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


def _write(path: Path, document: dict[str, Any]) -> Path:
    path.touch(mode=0o600)
    path.write_text(json.dumps(document, indent=2) + "\n")
    return path
