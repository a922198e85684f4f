"""Starts a real NEMO on the loopback interface, in an environment of its own.

NEMO pins all its dependencies, so it cannot share ours. The environment and the filled database
are made once, in the cache of the user, and used by every run; each server works on a copy.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

NEMO, NEMO_CE = "nemo==8.1.5", "nemo-ce==8.1.5"
"""The two that facilities run."""
HERE = Path(__file__).resolve().parent
SOURCES = ("server.py", "facility.py", "seed.py", "cases.py")
HARVESTER, ADMIN, NOBODY = ("b" * 40, "a" * 40, "c" * 40)
"""Tokens of a user who may view, of one who may do anything, and of one who may do nothing."""


class NemoUnavailableError(Exception):
    """No NEMO could be installed; the message says why."""


@dataclass(frozen=True, slots=True)
class Nemo:
    """A running NEMO."""

    address: str

    def fail(self, *, status: int = 503, count: int = 1, retry_after: str = "") -> None:
        """Answer the next requests with an error."""
        self._control({"fail": [status, count, retry_after]})

    def delay(self, milliseconds: int) -> None:
        """Hold every request for a while."""
        self._control({"delay": milliseconds})

    def cut(self, skip: int = 0) -> None:
        """After some whole answers, break off one in the middle."""
        self._control({"cut": skip})

    def requests(self) -> list[str]:
        """Return what the API was asked since the last call, oldest first."""
        asked: list[str] = self._control({"forget": True})["requests"]
        return asked

    def change(self, endpoint: str, number: int, **fields: Any) -> None:
        """Change an object, as an administrator would."""
        self._send("PATCH", f"{self.address}{endpoint}/{number}/", fields)

    def add(self, endpoint: str, **fields: Any) -> int:
        """Add an object, as an administrator would; return its number."""
        made = json.loads(self._send("POST", f"{self.address}{endpoint}/", fields))
        number: int = made["id"]
        return number

    def delete(self, endpoint: str, number: int) -> None:
        """Delete an object, as an administrator would."""
        self._send("DELETE", f"{self.address}{endpoint}/{number}/", None)

    def _control(self, order: dict[str, Any]) -> Any:
        return json.loads(self._send("POST", urljoin(self.address, "/lab/"), order))

    def _send(self, method: str, url: str, content: Any) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - our own server
            url,
            json.dumps(content).encode() if content is not None else None,
            {"Authorization": f"Token {ADMIN}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own server
            body: bytes = answer.read()
            return body


@contextmanager
def running_nemo(
    folder: Path, *, content: str = "facility", bulk: int = 0, requirement: str = NEMO
) -> Iterator[Nemo]:
    """Run a NEMO.

    Parameters
    ----------
    folder
        For its database; empty.
    content
        ``facility`` for the sessions of ``facility.py``, ``cases`` for those of ``cases.py``.
    bulk
        How many more sessions it has, of the first kind in 2024.
    requirement
        Which NEMO, as pip installs it.
    """
    python = environment(requirement)
    shutil.copyfile(_database(python, requirement, content, bulk), folder / "nemo.sqlite3")
    with (folder / "nemo.log").open("wb") as log:
        command = [str(python), str(HERE / "server.py"), "serve", str(folder)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            if not address:
                raise RuntimeError(f"NEMO does not start: {(folder / 'nemo.log').read_text()}")
            yield Nemo(address)
        finally:
            server.kill()
            server.wait()


def environment(requirement: str = NEMO) -> Path:
    """Return the interpreter that has a NEMO; the first call installs it, in about half a minute.

    Raises
    ------
    NemoUnavailableError
        If the package index does not have it, or does not answer.
    """
    home = _cache() / f"{requirement.replace('==', '-')}-py{sys.version_info.minor}"
    python = home / "bin" / "python"
    with _locked(home):
        if not (home / "complete").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
            install = [str(python), "-m", "pip", "install", "--quiet", "--no-input", requirement]
            done = subprocess.run(install, capture_output=True, text=True, check=False)
            if done.returncode:
                raise NemoUnavailableError(f"pip could not install {requirement}:\n{done.stderr}")
            (home / "complete").touch()
    return python


def _database(python: Path, requirement: str, content: str, bulk: int) -> Path:
    """Return a filled database; made anew when what fills it has changed."""
    sources = b"".join((HERE / name).read_bytes() for name in SOURCES)
    made_of = hashlib.sha256(sources + requirement.encode()).hexdigest()[:12]
    filled = _cache() / f"{made_of}-{content}-{bulk}.sqlite3"
    with _locked(filled):
        if not filled.exists():
            scratch = filled.with_suffix(".new")
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            command = [
                str(python),
                str(HERE / "server.py"),
                "fill",
                str(scratch),
                content,
                str(bulk),
            ]
            subprocess.run(command, check=True)
            (scratch / "nemo.sqlite3").rename(filled)
            shutil.rmtree(scratch)
    return filled


def _cache() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "nexuslims" / "nemo"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time: tests run in several."""
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
