"""``nexuslims broker init``."""

from pathlib import Path

from nexuslims_console.broker_files import write_all
from nexuslims_shared.cli.output import print_json, print_table, say


def init(
    folder: Path,
    *,
    servers: tuple[str, ...],
    names: tuple[str, ...],
    tls: bool,
    periods: bool,
    as_json: bool,
) -> None:
    """Write everything that a broker with users and keys needs.

    Parameters
    ----------
    folder
        Where to.
    servers
        Names of the servers.
    names
        Other names and addresses by which clients reach them.
    tls
        Whether connections are encrypted.
    periods
        Whether the log has periods, whose streams a service creates.
    as_json
        Print as JSON.
    """
    written = write_all(folder, servers=servers, names=names, tls=tls, periods=periods)
    if as_json:
        print_json({str(path): what for path, what in written.items()})
        return
    print_table(("file", "what it is"), [(str(path), what) for path, what in written.items()])
    say("keys are secrets: give each service its own, and nobody the operator's but an operator")
