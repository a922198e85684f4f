"""An override of ``compose.yaml`` that gives servers and services their keys."""

import json
from pathlib import Path
from typing import Any, Final

from nexuslims_console.broker_files.certificates import AUTHORITY
from nexuslims_console.broker_files.server import CONFIGURATION, MOUNTED
from nexuslims_shared.accounts.rights import OPERATOR, SERVICES

SECRETS: Final = "/run/secrets"

_HEAD: Final = """\
# Written by `nexuslims broker init`. Use it beside the other:
#   docker compose -f compose.yaml -f {path} up -d
# The user that services run as (RUN_AS) must be able to read the files in credentials/ and tls/.
"""


def write(folder: Path, servers: tuple[str, ...], *, tls: bool) -> dict[Path, str]:
    """Write the override.

    Parameters
    ----------
    folder
        The one that holds keys, certificates and the servers' configuration.
    servers
        Names of the servers, as services of ``compose.yaml``.
    tls
        Whether there are certificates.
    """
    path = folder / "compose.broker.yaml"
    home = folder.resolve()
    document = {
        "services": {
            **{server: _server(server, home, tls=tls) for server in servers},
            **{name: _service(name, tls=tls) for name in SERVICES},
            "provision": _service(OPERATOR, tls=tls),
        },
        "secrets": _secrets(home, tls=tls),
    }
    path.write_text(_HEAD.format(path=path) + json.dumps(document, indent=2) + "\n")
    return {path: "override of compose.yaml"}


def _server(name: str, home: Path, *, tls: bool) -> dict[str, Any]:
    mounts = [f"{home / 'server' / CONFIGURATION}:{MOUNTED}/{CONFIGURATION}:ro"]
    if tls:
        mounts.append(f"{home / 'tls'}:{MOUNTED}/tls:ro")
    return {
        "command": [f"--name={name}", f"--config={MOUNTED}/{CONFIGURATION}"],
        "volumes": mounts,
    }


def _service(user: str, *, tls: bool) -> dict[str, Any]:
    settings = {"NX_NATS_NKEY_FILE": f"{SECRETS}/nats-{user}"}
    if tls:
        settings["NX_NATS_CA"] = f"{SECRETS}/nats-ca"
    return {
        "environment": settings,
        "secrets": [f"nats-{user}", *(["nats-ca"] if tls else [])],
    }


def _secrets(home: Path, *, tls: bool) -> dict[str, Any]:
    users = (*SERVICES, OPERATOR)
    secrets = {f"nats-{user}": home / "credentials" / f"{user}.nk" for user in users}
    if tls:
        secrets["nats-ca"] = home / "tls" / AUTHORITY
    return {name: {"file": str(path)} for name, path in secrets.items()}
