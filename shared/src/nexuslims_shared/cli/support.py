"""A bundle for support: one zip of what somebody needs who looks for a fault, without secrets."""

import json
import platform
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

from pydantic.fields import FieldInfo

from nexuslims_shared.cli.asynchronous import run
from nexuslims_shared.doctor import examine
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.secrets import hide, is_secret, remember
from nexuslims_shared.settings import Settings, read_settings
from nexuslims_shared.settings.account import account
from nexuslims_shared.settings.display import display_all
from nexuslims_shared.settings.groups import variables

_DAY_S: Final = 86_400
_LARGEST: Final = 5_000_000
"""Bytes of a log: of a longer one, the end."""


def write_bundle(path: Path, *, log_days: int) -> list[str]:
    """Write a bundle; return the names of its files.

    Parameters
    ----------
    path
        Of the zip.
    log_days
        Logs that were written to later than so many days ago are in it.
    """
    _remember_all()
    names = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in _members(log_days):
            bundle.writestr(name, hide(text))
            names.append(name)
    return names


def _remember_all() -> None:
    """Have everything hidden whose name sounds secret, though no setting may have that name."""
    for name, text in variables().items():
        if is_secret(name.lower(), FieldInfo(annotation=str)):
            remember(text)


def _members(log_days: int) -> Iterator[tuple[str, str]]:
    yield "versions.json", _json(_versions())
    try:
        values, problems = display_all()
        settings: Settings | None = read_settings()
    except SettingsError as error:
        values, problems, settings = {}, [str(error)], None
    yield "settings.json", _json({"values": values, "problems": problems})
    yield "variables.json", _json([asdict(one) for one in account()])
    yield (
        "doctor.json",
        _json(
            [
                {
                    "what": one.what,
                    "result": one.outcome,
                    "problem": one.problem,
                    "detail": one.detail,
                }
                for one in run(examine())
            ]
        ),
    )
    if settings is None:
        return
    if settings.instruments_file.is_file():
        yield "instruments.toml", settings.instruments_file.read_text(errors="replace")
    since = time.time() - log_days * _DAY_S
    for log in sorted(settings.logs.rglob("*.log*")) if settings.logs.is_dir() else ():
        if log.is_file() and log.stat().st_mtime >= since:
            yield f"logs/{log.relative_to(settings.logs).as_posix()}", _end_of(log)


def _versions() -> dict[str, object]:
    return {
        "python": sys.version,
        "platform": platform.platform(),
        "packages": dict(sorted((one.metadata["Name"], one.version) for one in distributions())),
    }


def _end_of(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(file.tell() - _LARGEST, 0))
        return file.read().decode("utf-8", "replace")


def _json(value: object) -> str:
    return json.dumps(value, indent=2, default=str)
