"""The settings in effect, as ``nexuslims config`` displays them.

Plugins that have settings name their model by an entry point of the group ``nexuslims.settings``.
"""

import re
from collections.abc import Mapping
from typing import Final

from nexuslims_contracts.plugins import installed
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.network import Network
from nexuslims_shared.secrets import hide_in, is_secret
from nexuslims_shared.settings.core import read_settings
from nexuslims_shared.settings.groups import Environment, Numbered, any_given, read, variables

GROUP: Final = "nexuslims.settings"


def display_all() -> tuple[dict[str, str], list[str]]:
    """Return the settings in effect by variable, and what is wrong with those of plugins.

    Raises
    ------
    SettingsError
        If one of the services' own is missing or wrong.
    """
    values = display(read_settings()) | display(read(Network))
    problems: list[str] = []
    for plugin in installed(GROUP).values():
        try:
            values |= display_given(plugin.load())
        except SettingsError as error:
            problems.append(str(error))
    return values, problems


def display_problems() -> list[str]:
    """Return what is missing or wrong, one line for each."""
    try:
        return display_all()[1]
    except SettingsError as error:
        return str(error).splitlines()


def display(group: Environment, number: str = "") -> dict[str, str]:
    """Return the values of a group by variable; secrets are hidden.

    Parameters
    ----------
    group
        The settings, as they were read.
    number
        Which instance of a :class:`Numbered` group.
    """
    fields = type(group).model_fields
    return {
        group.variable(name, number): hide_in(value, secret=is_secret(name, fields[name]))
        for name, value in group
    }


def display_given(model: type[Environment]) -> dict[str, str]:
    """Read and display a group, each instance of it, as far as there are any settings of it.

    Raises
    ------
    SettingsError
        If one is missing or wrong.
    """
    if not issubclass(model, Numbered):
        return display(read(model)) if any_given(model.prefix) else {}
    found: dict[str, str] = {}
    for number in instances(model, variables()):
        found |= display(read(model, number), number)
    return found


def instances(model: type[Numbered], given: Mapping[str, str]) -> list[str]:
    """Return the numbers of the instances that have settings, in their order.

    Parameters
    ----------
    model
        The group.
    given
        Values by variable.
    """
    pattern = re.compile(rf"{re.escape(model.prefix)}[A-Z_]+_(\d+)(?:_FILE)?")
    matches = (pattern.fullmatch(name) for name, value in given.items() if value)
    return sorted({match[1] for match in matches if match}, key=int)
