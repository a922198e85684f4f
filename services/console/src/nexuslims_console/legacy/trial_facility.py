"""The facility of a trial: a folder of its own, which nothing that runs in it leaves."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nexuslims_console.actions.instruments import added
from nexuslims_console.errors import ConsoleError
from nexuslims_console.legacy.plan import PlannedSession
from nexuslims_shared.instruments import InstrumentEntry

MARK: Final = ".nexuslims-trial"
"""File in a trial's folder, by which the next trial knows that it may use it."""

_KEPT: Final = (
    "NX_FILE_STRATEGY",
    "NX_IGNORE_PATTERNS",
    "NX_CLUSTERING_SENSITIVITY",
    "NX_LOCAL_PROFILES_PATH",
)
"""Settings of the incumbent that decide what is in a record."""
_PATHS: Final = frozenset({"NX_LOCAL_PROFILES_PATH"})
_NAME: Final = re.compile(r"(?P<first>\S+)\s+(?P<last>.+?)\s*\((?P<username>[^()]+)\)")


@dataclass(frozen=True, slots=True)
class Incumbent:
    """Where the incumbent's things are; nothing of it is ever written to.

    Parameters
    ----------
    variables
        Its settings.
    home
        The folder that relative paths start at.
    """

    variables: Mapping[str, str]
    home: Path

    def path(self, name: str, default: Path | None = None) -> Path:
        """Return the path that a setting names.

        Raises
        ------
        ConsoleError
            If it is not set, and has no default.
        """
        text = self.variables.get(name)
        if text:
            return (self.home / text).resolve()
        if default is None:
            raise ConsoleError(f"{name} is not set in NexusLIMS's .env: a trial needs it")
        return default

    @property
    def records(self) -> Path:
        """Where its records are."""
        return self.path("NX_RECORDS_PATH", self.path("NX_DATA_PATH") / "records")


def make_folder(folder: Path, incumbent: Incumbent) -> None:
    """Make the folder of a trial.

    Parameters
    ----------
    folder
        Where; it may be there if it is empty, or that of an earlier trial.
    incumbent
        In its folders there must be no trial.

    Raises
    ------
    ConsoleError
        If somebody else's files are there, or it is in a folder of the incumbent's.
    """
    for name in ("NX_INSTRUMENT_DATA_PATH", "NX_DATA_PATH"):
        taken = incumbent.path(name)
        if folder.resolve().is_relative_to(taken):
            raise ConsoleError(f"{folder} is in {name}={taken}: give another one with --folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).is_file():
        raise ConsoleError(f"{folder} holds other files: give an empty one with --folder")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).write_text("Made by `nexuslims trial`: it can be deleted as a whole.\n")


def write_facility(
    folder: Path,
    incumbent: Incumbent,
    sessions: Sequence[PlannedSession],
    instruments: Mapping[str, InstrumentEntry],
) -> None:
    """Write settings, instruments and calendar of a trial.

    Parameters
    ----------
    folder
        The trial's.
    incumbent
        Whose files are read.
    sessions
        Those to be tried; each has a record.
    instruments
        By pid.
    """
    used = {one.session.instrument for one in sessions}
    own = [
        one.model_copy(update={"calendar": "file", "calendar_id": ""})
        for one in instruments.values()
        if one.pid in used
    ]
    calendar = {"session": [_entry(one) for one in sessions]}
    settings = {
        "NX_INSTRUMENT_DATA_PATH": incumbent.path("NX_INSTRUMENT_DATA_PATH"),
        "NX_DATA_PATH": "data",
        "NX_STATE_PATH": "state",
        "NX_INSTRUMENTS_FILE": "instruments.toml",
        "NX_CALENDAR_FILE": "calendar.json",
        "NX_DESTINATIONS": "archive",
        **{
            name: incumbent.path(name) if name in _PATHS else incumbent.variables[name]
            for name in _KEPT
            if incumbent.variables.get(name)
        },
    }
    lines = [f"{name}='{value}'\n" for name, value in settings.items()]
    (folder / "data").mkdir(exist_ok=True)
    (folder / "instruments.toml").write_text(added("", own))
    (folder / "calendar.json").write_text(json.dumps(calendar, indent=2))
    (folder / ".env").write_text("".join(lines))


def build_records(folder: Path, *, patience: float) -> dict[str, str]:
    """Build the records of a trial; return the path of each, by the calendar's identifier.

    Parameters
    ----------
    folder
        The trial's. Caches and temporary files of libraries go there too.
    patience
        Seconds that it may take.

    Raises
    ------
    ConsoleError
        If the system does not run in it.
    """
    command = [sys.executable, "-m", "nexuslims_shared", "--dir", str(folder), "build-records"]
    command += ["--json", "--timeout", f"{patience:g}"]
    ran = subprocess.run(  # noqa: S603 - our own command
        command, env=_environment(folder), stdout=subprocess.PIPE, text=True, check=False
    )
    try:
        sessions = json.loads(ran.stdout)["sessions"]
    except ValueError:
        raise ConsoleError(f"the trial did not run: {folder / 'state' / 'logs'} says why") from None
    return {one["session"]: one["record"] for one in sessions if one["record"]}


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment in which no setting but the trial's own counts."""
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.upper().startswith(("NX_", "NATS_"))
    }
    temporary = folder.resolve() / "tmp"
    temporary.mkdir(exist_ok=True)
    places = ("TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR")
    return {**kept, **dict.fromkeys(places, str(temporary)), "PYTHONDONTWRITEBYTECODE": "1"}


def _entry(planned: PlannedSession) -> dict[str, Any]:
    """Return a session as a calendar's entry, with what its record says it was for."""
    experiment = planned.record.experiment if planned.record else None
    entry: dict[str, Any] = {
        "id": planned.calendar_event,
        "instrument": planned.session.instrument,
        "start": planned.session.start.isoformat(),
        "end": planned.session.end.isoformat() if planned.session.end else None,
        "user": _user(
            experiment.experimenters[0] if experiment and experiment.experimenters else "", planned
        ),
        "consent": True,
    }
    if experiment:
        entry |= {
            "title": experiment.title,
            "purpose": experiment.motivation,
            "url": experiment.url,
        }
        entry["samples"] = [
            {
                "name": one.name,
                "ref": one.ref,
                "description": "\n".join(one.descriptions),
                "elements": one.elements,
            }
            for one in experiment.samples
        ]
        entry["projects"] = [
            {"project_id": one.id, "name": one.name} for one in experiment.projects
        ]
    return {name: value for name, value in entry.items() if value not in (None, "")}


def _user(display: str, planned: PlannedSession) -> dict[str, str] | str:
    if named := _NAME.fullmatch(display):
        names = ("first", "last", "username")
        first, last, username = (named[name] for name in names)
        return {"first_name": first, "last_name": last, "username": username}
    return display or planned.session.user
