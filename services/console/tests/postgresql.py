"""A PostgreSQL server of the tests' own: Debian's binaries, a folder that goes away afterwards."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

_DEBIAN = Path("/usr/lib/postgresql")


def find_binaries() -> Path | None:
    """Return the folder with ``initdb`` and ``postgres``, of the newest version that is there."""
    found = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    return Path(initdb).parent if initdb else None


class Server:
    """A running server, reached by a socket in its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)

    def new_database(self) -> str:
        """Return the SQLAlchemy address of a schema that holds nothing; databases take longer."""
        name = f"read_model_{next(self._numbers)}"
        address = f"host={self._folder} user=test dbname=postgres"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        options = f"host={self._folder}&options=-csearch_path%3D{name}"
        return f"postgresql+psycopg://test@/postgres?{options}"


@contextmanager
def running(binaries: Path) -> Iterator[Server]:
    """Run a server; it refuses to be root, so root runs it as Debian's user for it."""
    account: dict[str, Any] = {"user": "postgres"} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="nexuslims-pg-"))
    if account:
        shutil.chown(folder, "postgres")
    data = folder / "data"
    try:
        subprocess.run(
            [
                str(binaries / "initdb"), "-D", str(data), "-U", "test", "-A", "trust",
                "-E", "UTF8", "-N",
            ],
            check=True, capture_output=True, cwd=folder, **account,
        )  # fmt: skip
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        control = [str(binaries / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log")]
        subprocess.run(
            [*control, "-o", options, "start"], check=True, cwd=folder,
            stdout=subprocess.DEVNULL, **account,
        )  # fmt: skip
        try:
            yield Server(folder)
        finally:
            subprocess.run(
                [*control, "-m", "immediate", "stop"], check=True, cwd=folder,
                stdout=subprocess.DEVNULL, **account,
            )  # fmt: skip
    finally:
        shutil.rmtree(folder)
