"""What a broker with users, keys and certificates needs, for compose and for Kubernetes.

Everything but the keys and certificates is written anew each time, so that a new release brings
its rights: run ``nexuslims broker init`` again after an upgrade, and have the servers reload.
"""

from pathlib import Path

from nexuslims_console.broker_files import certificates, compose, kubernetes, server
from nexuslims_shared.accounts.keys import make_keys
from nexuslims_shared.accounts.rights import USERS
from nexuslims_shared.settings import make_folder


def write_all(
    folder: Path,
    *,
    servers: tuple[str, ...],
    names: tuple[str, ...],
    tls: bool,
    periods: bool = False,
) -> dict[Path, str]:
    """Write everything, and return what each file is.

    Parameters
    ----------
    folder
        Where to; only its owner can read it.
    servers
        Names of the servers.
    names
        Other names and addresses by which clients reach them.
    tls
        Whether connections are encrypted.
    periods
        Whether the log has periods, whose streams a service creates.

    Raises
    ------
    SettingsError
        If the folder cannot be made, or a key or certificate in it cannot be read.
    """
    make_folder(folder, "DIR").chmod(0o700)
    keys = make_keys(folder / "credentials", USERS)
    written = {folder / "credentials" / f"{user}.nk": f"key of {user}" for user in USERS}
    if tls:
        hosts = (*servers, *names, "localhost", "127.0.0.1")
        written |= certificates.write(folder / "tls", hosts)
    written |= server.write(folder / "server", servers, keys, tls=tls, periods=periods)
    written |= compose.write(folder, servers, tls=tls)
    return written | kubernetes.write(folder / "k8s", folder, tls=tls)
