"""Groups of settings, and the one reader of them.

A group is a pydantic model. Each field is read from an environment variable or from ``.env``; the
environment wins. A variable that is not there can come from the file that ``<VARIABLE>_FILE``
names, as orchestrators mount secrets. Names are compared without regard to case.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, ValidationError

from nexuslims_shared.errors import SettingsError
from nexuslims_shared.secrets import (
    HIDDEN,
    hide,
    hide_in,
    is_secret,
    remember,
    remember_credentials,
)


class Environment(BaseModel):
    """A group of settings that :func:`read` fills.

    ``class AcmeSettings(Environment, env_prefix="ACME_")`` reads its field ``url`` from
    ``ACME_URL``.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, validate_default=True)

    prefix: ClassVar[str] = "NX_"

    def __init_subclass__(cls, *, env_prefix: str = "", **kwargs: Any) -> None:
        """Take the prefix of the variables' names; pydantic takes the rest."""
        super().__init_subclass__(**kwargs)
        if env_prefix:
            cls.prefix = env_prefix

    @classmethod
    def variable(cls, name: str, number: str = "") -> str:
        """Return the environment variable of a field.

        Parameters
        ----------
        name
            Of the field.
        number
            Which instance, if there can be several; see :class:`Numbered`.
        """
        return f"{cls.prefix}{name}{number and f'_{number}'}".upper()

    @classmethod
    def aliases(cls, name: str) -> tuple[str, ...]:
        """Return other variables that are read if the first one of a field is not there."""
        del name
        return ()


class Numbered(Environment):
    """The settings of one instance of a family such as ``NEMO``.

    ``class NemoSettings(Numbered, family="NEMO")`` reads its field ``token`` from
    ``NX_NEMO_TOKEN_1`` for the first instance, ``NX_NEMO_TOKEN_2`` for the second, ...
    """

    def __init_subclass__(cls, *, family: str = "", **kwargs: Any) -> None:
        """Take the name of the family; pydantic takes the rest."""
        super().__init_subclass__(env_prefix=family and f"NX_{family}_", **kwargs)


E = TypeVar("E", bound=Environment)


def read(model: type[E], number: str = "", /, **overrides: Any) -> E:
    """Read a group of settings.

    Parameters
    ----------
    model
        The group; a plugin that has settings of its own makes a model for them.
    number
        Which instance of a :class:`Numbered` group, such as ``1``.
    overrides
        Values of fields that win over the environment.

    Raises
    ------
    SettingsError
        If one is missing or wrong: its name, its value (never a secret's) and the remedy.
    """
    found = {**_given(model, number, variables()), **overrides}
    for name, value in found.items():
        _remember(model, name, value)
    try:
        return model.model_validate(found)
    except ValidationError as error:
        raise SettingsError("\n".join(_explanations(model, number, error))) from None


def explained(model: type[Environment], number: str, given: Mapping[str, str]) -> list[str]:
    """Say what is wrong with a group of settings, one line each; nothing if it is right.

    Parameters
    ----------
    model
        The group.
    number
        Which instance of a :class:`Numbered` group.
    given
        Values by variable, in place of ``.env`` and the environment.
    """
    try:
        model.model_validate(_given(model, number, given))
    except ValidationError as error:
        return _explanations(model, number, error)
    except SettingsError as error:
        return [str(error)]
    return []


def _explanations(model: type[Environment], number: str, error: ValidationError) -> list[str]:
    problems = error.errors(include_url=False, include_context=False)
    return [_explain(model, number, one) for one in problems]


def variables() -> dict[str, str]:
    """Return the variables of ``.env`` and of the environment, which wins, by upper-case name."""
    from_file = {name: text for name, text in dotenv_values(".env").items() if text is not None}
    return {name.upper(): text for name, text in {**from_file, **os.environ}.items()}


def file_variables(path: Path) -> dict[str, str]:
    """Return the variables of another ``.env``, by upper-case name.

    Raises
    ------
    SettingsError
        If there is no such file.
    """
    if not path.is_file():
        raise SettingsError(f"{path}: there is no such file")
    given = dotenv_values(path)
    return {name.upper(): text for name, text in given.items() if text is not None}


def add_variables(path: Path) -> None:
    """Add the variables of another ``.env`` to the environment, which wins.

    Raises
    ------
    SettingsError
        If there is no such file.
    """
    for name, text in file_variables(path).items():
        os.environ.setdefault(name, text)


def any_given(prefix: str) -> bool:
    """Tell whether a setting whose name begins so is given; an empty one is not.

    Nor is one that is to come from a file which is not there.
    """
    return any(
        not name.endswith("_FILE") or Path(value).exists()
        for name, value in variables().items()
        if value and name.startswith(prefix)
    )


def _given(model: type[Environment], number: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return what is given for each field, from its variable or from the file named instead."""
    found: dict[str, str] = {}
    for name in model.model_fields:
        names = (model.variable(name, number), *model.aliases(name))
        if present := next((one for one in names if one in given), None):
            found[name] = given[present]
        elif file := given.get(f"{names[0]}_FILE"):
            found[name] = _content(model, name, f"{names[0]}_FILE", file)
    return found


def _content(model: type[Environment], name: str, variable: str, file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        # who confuses the variables gives the secret where its file's path should be
        confused = is_secret(name, model.model_fields[name]) and not Path(file).is_absolute()
        path = f"{HIDDEN} (it takes an absolute path)" if confused else hide_in(file, secret=False)
        raise SettingsError(f"{variable}={path}: cannot be read ({reason})") from None


def _remember(model: type[Environment], name: str, value: Any) -> None:
    """Have what is secret in a value kept out of all messages from now on."""
    if not isinstance(value, str) or name not in model.model_fields:
        return
    if is_secret(name, model.model_fields[name]):
        remember(value)
    else:
        remember_credentials(value)


def _explain(model: type[Environment], number: str, problem: Any) -> str:
    message = hide(problem["msg"].removeprefix("Value error, "))
    if not problem["loc"]:  # of several fields together
        return message
    name = str(problem["loc"][0])
    variable = model.variable(name, number)
    if problem["type"] == "missing":
        return f"{variable} is not set: put it into the environment or into .env"
    secret = is_secret(name, model.model_fields[name])
    value = HIDDEN if secret else repr(hide_in(problem["input"], secret=False))
    return f"{variable}={value}: {message}"
