"""Settings as files: written for others to read, and taken over from them."""

from pathlib import Path
from typing import Final

from nexuslims_contracts.plugins import installed
from nexuslims_shared.artifacts import keep_aside, write_artifact
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.network import Network
from nexuslims_shared.secrets import HIDDEN
from nexuslims_shared.settings.account import account_for
from nexuslims_shared.settings.core import Settings
from nexuslims_shared.settings.display import GROUP, display_all
from nexuslims_shared.settings.groups import file_variables

_FILE: Final = ".env"


def dumped() -> str:
    """Return the settings in effect as an ``.env``; a secret is a comment that it is set.

    Raises
    ------
    SettingsError
        If one of the services' own is missing or wrong.
    """
    values, _ = display_all()
    lines = []
    for name, value in sorted(values.items()):
        if HIDDEN in value:
            lines.append(f"# {name} is set, and secret\n")
        elif value:
            lines.append(line_of(name, value))
    return "".join(lines)


def line_of(name: str, value: str) -> str:
    """Return the line of an ``.env`` that sets a variable.

    Parameters
    ----------
    name
        Of the variable.
    value
        Any text; it is quoted.
    """
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"{name}='{quoted}'\n"


def take_over(source: Path) -> str:
    """Write the settings of a file into ``.env``; return where the former one is, or nothing.

    Parameters
    ----------
    source
        An ``.env``.

    Raises
    ------
    SettingsError
        If it is not there, or has a variable that nobody knows.
    """
    given = file_variables(source)
    models = [Settings, Network, *(plugin.load() for plugin in installed(GROUP).values())]
    unknown = [one for one in account_for(given, models) if one.use == "unknown"]
    if unknown:
        raise SettingsError("\n".join(f"{source}: {one.name}: {one.remedy}" for one in unknown))
    content = source.read_bytes()
    kept = keep_aside(Path(), _FILE, ours=content.__eq__)
    write_artifact(Path(), _FILE, content)
    return str(kept) if kept else ""
