"""Accounting for every ``NX_*`` variable that is set: used, replaced, or unknown."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from nexuslims_contracts.plugins import installed
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.network import Network
from nexuslims_shared.settings.core import Settings
from nexuslims_shared.settings.display import GROUP
from nexuslims_shared.settings.groups import Environment, Numbered, variables

Use: TypeAlias = Literal["used", "replaced", "elsewhere", "unknown"]
"""A setting of what is installed here; one of the incumbent's that we answer otherwise; one of a
service that is not installed here; nobody's."""

PREFIX: Final = "NX_"

REPLACED: Final = {
    "NX_DB_PATH": "the events are the database; `nexuslims import-legacy --db` takes it over",
    "NX_TEST_MODE": "tests bring their own settings; delete it",
}
"""Settings of the incumbent that have no counterpart, and what takes their place."""

FAMILIES: Final = ("CDCS", "ELABFTW", "LABARCHIVES", "NEMO", "ICS", "EMAIL", "FACILITY")
"""Groups of settings that other distributions bring; a container has only its service's."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable that is set, and what becomes of it.

    Parameters
    ----------
    name
        In capitals.
    use
        What becomes of it.
    remedy
        What to do, or to know; empty where it is used.
    """

    name: str
    use: Use
    remedy: str = ""


def account() -> list[Variable]:
    """Account for every ``NX_*`` variable of the environment and of ``.env``."""
    models: list[type[Environment]] = [Settings, Network]
    for plugin in installed(GROUP).values():
        try:
            models.append(plugin.load())
        except SettingsError:  # pragma: no cover - a model that cannot be imported has no names
            continue
    return account_for(variables(), models)


def account_for(given: Mapping[str, str], models: Iterable[type[Environment]]) -> list[Variable]:
    """Account for variables.

    Parameters
    ----------
    given
        Variables and their values; those whose names begin otherwise are left out.
    models
        The groups of settings that are installed here.
    """
    models = list(models)
    known = {name for model in models for name in _names(model)}
    numbered = [re.compile(pattern) for model in models for pattern in _patterns(model)]
    present = {model.prefix.removeprefix(PREFIX).rstrip("_") for model in models}
    absent = [f"{PREFIX}{family}_" for family in FAMILIES if family not in present]
    found = []
    for name in sorted(given):
        if not name.startswith(PREFIX):
            continue
        plain = name.removesuffix("_FILE")
        if {name, plain} & known or any(one.fullmatch(name) for one in numbered):
            found.append(Variable(name, "used"))
        elif plain in REPLACED:
            found.append(Variable(name, "replaced", REPLACED[plain]))
        elif name.startswith(tuple(absent)):
            found.append(Variable(name, "elsewhere", "its service is not installed here"))
        else:
            found.append(Variable(name, "unknown", _remedy(name, known, models)))
    return found


def _names(model: type[Environment]) -> Iterable[str]:
    if issubclass(model, Numbered):
        return
    for field in model.model_fields:
        yield model.variable(field)
        yield from model.aliases(field)


def _patterns(model: type[Environment]) -> Iterable[str]:
    if issubclass(model, Numbered):
        fields = "|".join(re.escape(field.upper()) for field in model.model_fields)
        yield rf"{re.escape(model.prefix)}({fields})_\d+(_FILE)?"


def _remedy(name: str, known: Iterable[str], models: Iterable[type[Environment]]) -> str:
    """Name the setting that was meant, as far as one can tell."""
    number = re.search(r"_(\d+)$", name)
    examples = [
        model.variable(field, number[1] if number else "1")
        for model in models
        if issubclass(model, Numbered)
        for field in model.model_fields
    ]
    near = difflib.get_close_matches(name, [*known, *examples], n=1, cutoff=0.8)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"{meant}no setting has this name: correct it, or delete it"
