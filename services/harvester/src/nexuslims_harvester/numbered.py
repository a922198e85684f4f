"""Numbered settings: ``NX_NEMO_ADDRESS_1``, ``NX_NEMO_ADDRESS_2``, one number an instance.

Read as the other settings are: from the environment or ``.env``, the environment wins, and each of
them also from the file that ``NX_NEMO_TOKEN_1_FILE`` names.
"""

import os
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from nexuslims_shared.errors import SettingsError
from nexuslims_shared.shown_settings import shown_values


class Numbered(BaseModel):
    """The settings of one instance of a family such as ``NEMO``.

    A field ``token`` is read from ``NX_NEMO_TOKEN_1``, ``NX_NEMO_TOKEN_2``, ...
    """

    model_config = ConfigDict(frozen=True)

    family: ClassVar[str]

    def __init_subclass__(cls, *, family: str, **kwargs: Any) -> None:
        """Name the family; pydantic takes the rest."""
        super().__init_subclass__(**kwargs)
        cls.family = family

    @classmethod
    def variable(cls, name: str, number: str) -> str:
        """Name of the environment variable of a field."""
        return f"NX_{cls.family}_{name.upper()}_{number}"


M = TypeVar("M", bound=Numbered)


def read_numbered(model: type[M], number: str) -> M:
    """Read the settings of one instance.

    Parameters
    ----------
    model
        What they are.
    number
        ``1``, for example.

    Raises
    ------
    SettingsError
        If one is missing or wrong: its name, its value (never a secret's) and the remedy.
    """
    variables = _environment()
    given = {
        name: text
        for name in model.model_fields
        if (text := _value(variables, model.variable(name, number))) is not None
    }
    try:
        return model.model_validate(given)
    except ValidationError as error:
        lines = [_explain(model, number, detail) for detail in error.errors(include_url=False)]
        raise SettingsError("\n".join(lines)) from None


def shown_numbered(model: type[Numbered]) -> dict[str, str]:
    """Return the settings of all instances, as they may be shown to anybody.

    Raises
    ------
    SettingsError
        If one is missing or wrong.
    """
    pattern = re.compile(rf"NX_{model.family}_[A-Z_]+_(\d+)(?:_FILE)?")
    matches = (pattern.fullmatch(name) for name, value in _environment().items() if value)
    found: dict[str, str] = {}
    for number in sorted({match[1] for match in matches if match}, key=int):
        name_of = partial(model.variable, number=number)
        found |= shown_values(read_numbered(model, number), name_of)
    return found


def _environment() -> dict[str, str]:
    from_file = {name: text for name, text in dotenv_values(".env").items() if text is not None}
    return {**from_file, **os.environ}


def _value(variables: Mapping[str, str], variable: str) -> str | None:
    if variable in variables:
        return variables[variable]
    path = variables.get(f"{variable}_FILE")
    if not path:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise SettingsError(f"{variable}_FILE={path}: cannot be read ({reason})") from error


def _explain(model: type[Numbered], number: str, detail: object) -> str:
    told = dict(detail) if isinstance(detail, Mapping) else {}
    name = str(told["loc"][0])
    variable = model.variable(name, number)
    if told["type"] == "missing":
        return (
            f"{variable} is not set, and an instrument has its sessions there:"
            " put it into the environment or into .env"
        )
    secret = model.model_fields[name].annotation is SecretStr or "@" in str(told["input"])
    value = "(hidden)" if secret else repr(str(told["input"]))
    return f"{variable}={value}: {told['msg'].removeprefix('Value error, ')}"
