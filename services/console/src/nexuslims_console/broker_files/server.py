"""Configuration of nats-server: one file for all servers of a cluster."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from nexuslims_console.broker_files.certificates import AUTHORITY, CERTIFICATE, KEY
from nexuslims_shared.accounts.configuration import authorization
from nexuslims_shared.accounts.keys import keep_password
from nexuslims_shared.settings import make_folder

CONFIGURATION: Final = "nats.conf"
MOUNTED: Final = "/etc/nats"
"""Where containers find the configuration, and the certificates in ``tls`` below it."""

_ROUTES: Final = "routes"
_PASSWORD: Final = "routes.password"

_COMMON: Final = """\
# Written by `nexuslims broker init`; run it again after an upgrade. The server's own name is given
# when it is started: nats-server --name HOST --config {mounted}/{configuration}
port: 4222
http_port: 8222
max_payload: 1MB
jetstream {{
  store_dir: "/data"
}}
{authorization}"""

_TLS: Final = """\
tls {{
  cert_file: "{mounted}/tls/{certificate}"
  key_file: "{mounted}/tls/{key}"
  handshake_first: true
  timeout: 10
}}
"""

_CLUSTER: Final = """\
cluster {{
  name: nexuslims
  listen: "0.0.0.0:6222"
  routes: [{routes}]
{proof}}}
"""

_CLUSTER_PASSWORD: Final = """\
  authorization {{
    user: {user}
    password: "{password}"
    timeout: 10
  }}
"""

_CLUSTER_TLS: Final = """\
  tls {{
    cert_file: "{mounted}/tls/{certificate}"
    key_file: "{mounted}/tls/{key}"
    ca_file: "{mounted}/tls/{authority}"
    verify: true
    timeout: 10
  }}
"""


def write(
    folder: Path,
    servers: tuple[str, ...],
    keys: Mapping[str, str],
    *,
    tls: bool,
    periods: bool,
) -> dict[Path, str]:
    """Write the configuration.

    Parameters
    ----------
    folder
        Where to.
    servers
        Names of the servers; a single one is no cluster.
    keys
        The public key of each user.
    tls
        Whether connections of clients, and those between servers, are encrypted.
    periods
        Whether the log has periods, whose streams a service creates.
    """
    path = make_folder(folder, "DIR/server") / CONFIGURATION
    password = "" if tls else keep_password(folder / _PASSWORD)
    path.write_text(
        render(servers, keys, tls=tls, periods=periods, mounted=MOUNTED, password=password)
    )
    return {path: "configuration of the servers: who may do what"}


def render(
    servers: tuple[str, ...],
    keys: Mapping[str, str],
    *,
    tls: bool,
    mounted: str,
    periods: bool = False,
    password: str = "",
) -> str:
    """Return the configuration.

    Parameters
    ----------
    servers, keys, tls, periods
        As for :func:`write`.
    mounted
        Where the servers find it, and the certificates in ``tls`` below it.
    password
        What servers of a cluster without certificates prove themselves by: whoever is let in as one
        has the rights of all users.
    """
    files = {
        "mounted": mounted,
        "certificate": CERTIFICATE,
        "key": KEY,
        "authority": AUTHORITY,
        "configuration": CONFIGURATION,
    }
    text = _COMMON.format(authorization=authorization(keys, periods=periods), **files)
    if tls:
        text += _TLS.format(**files)
    if len(servers) > 1:
        user = "" if tls else f"{_ROUTES}:{password}@"
        routes = ", ".join(f'"nats://{user}{server}:6222"' for server in servers)
        proof = _CLUSTER_TLS if tls else _CLUSTER_PASSWORD
        proof = proof.format(user=_ROUTES, password=password, **files)
        text += _CLUSTER.format(routes=routes, proof=proof)
    return text
