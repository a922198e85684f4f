"""Settings in effect, as they may be shown to anybody.

Parts with settings of their own tell of them by an entry point of the group ``nexuslims.settings``:
a function that returns what is given, by variable.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from pydantic import BaseModel, SecretBytes, SecretStr

from nexuslims_shared.settings import Environment, any_given, read, variable_of

GROUP: Final = "nexuslims.settings"
Shown: TypeAlias = Callable[[], Mapping[str, str]]
"""What an entry point of the group names; raises SettingsError where a value is wrong."""

_SECRET_NAME: Final = re.compile(r"token|password|secret|_key$")
_CREDENTIALS: Final = re.compile(r"//[^/@\s]*@")


def shown(group: Environment) -> dict[str, str]:
    """Return the settings of a group, by variable."""
    model = type(group)
    return shown_values(group, lambda name: variable_of(model, name))


def shown_if_given(model: type[Environment]) -> dict[str, str]:
    """Return the settings of a group with a prefix of its own, if there are any.

    Raises
    ------
    SettingsError
        If one is missing or wrong.
    """
    return shown(read(model)) if any_given(model.model_config["env_prefix"]) else {}


def shown_values(group: BaseModel, variable: Callable[[str], str]) -> dict[str, str]:
    """Return the values of a group, by what its names are called outside."""
    return {variable(name): _harmless(name, value) for name, value in group}


def _harmless(name: str, value: Any) -> str:
    """Hide what is secret: by its type, by its name, or as the credentials of an address."""
    if value is None or value == "":
        return ""
    if isinstance(value, (SecretStr, SecretBytes)) or _SECRET_NAME.search(name):
        return "(hidden)"
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return _CREDENTIALS.sub("//(hidden)@", text)
