"""Which command ran the services of a state folder last: whether a facility lives by cron."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

_FILE: Final = "last-run.json"
LASTING: Final = "up"
"""The command that runs the services for good; each other ends by itself."""


@dataclass(frozen=True, slots=True)
class LastRun:
    """The command that ran the services last.

    Parameters
    ----------
    command
        Such as ``up``.
    began, ended
        When; no end where it runs, or was killed.
    """

    command: str
    began: datetime
    ended: datetime | None = None

    def describe(self) -> str:
        """Say which command it was, and when it ended."""
        name = f"`nexuslims {self.command}`"
        if self.ended is None:
            return f"{name} began {_when(self.began)} and was killed"
        return f"{name} ended {_when(self.ended)}"


@contextmanager
def noted_run(state: Path, command: str) -> Iterator[None]:
    """Note that a command runs the services, and when it ended.

    Parameters
    ----------
    state
        The state folder.
    command
        Its name.
    """
    run = LastRun(command, datetime.now(UTC))
    _write(state, run)
    try:
        yield
    finally:
        _write(state, LastRun(command, run.began, datetime.now(UTC)))


def read_last_run(state: Path) -> LastRun | None:
    """Return the command that ran the services last; nothing where none is known.

    Parameters
    ----------
    state
        The state folder.
    """
    try:
        noted = json.loads((state / _FILE).read_text())
        ended = noted["ended"]
        return LastRun(
            noted["command"],
            datetime.fromisoformat(noted["began"]),
            datetime.fromisoformat(ended) if ended else None,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(state: Path, run: LastRun) -> None:
    """Write what is known; a full disk, of which the services tell, must not end them."""
    noted = {
        "command": run.command,
        "began": run.began.isoformat(),
        "ended": run.ended.isoformat() if run.ended else None,
    }
    temporary = state / f"{_FILE}.new"
    try:
        temporary.write_text(json.dumps(noted))
        temporary.replace(state / _FILE)
    except OSError:
        log.warning("%s: cannot be written", state / _FILE, exc_info=True)


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
