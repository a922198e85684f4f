"""The settings as a form: pages of entries with their meaning, and an ``.env`` with new values."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from dotenv import set_key, unset_key
from pydantic.fields import FieldInfo

from nexuslims_contracts.plugins import installed
from nexuslims_shared.artifacts import keep_aside
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.network import Network
from nexuslims_shared.secrets import is_secret
from nexuslims_shared.settings.core import Settings
from nexuslims_shared.settings.display import GROUP, instances
from nexuslims_shared.settings.groups import Environment, Numbered, explained

YES_OR_NO: Final = ("true", "false")


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting of a form.

    Parameters
    ----------
    variable
        Its environment variable.
    meaning
        What it is for.
    value
        As ``.env`` has it; empty if it is not set there.
    default
        What counts if it is not set.
    choices
        The values that it may have; empty if there are too many to list.
    required
        Whether it has no default.
    secret
        Whether its value is never displayed.
    elsewhere
        Whether the environment sets it, which wins over ``.env``.
    """

    variable: str
    meaning: str
    value: str
    default: str
    choices: tuple[str, ...] = ()
    required: bool = False
    secret: bool = False
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """The settings of a group, or of one instance of it.

    Parameters
    ----------
    title
        A word or two.
    model
        The group.
    number
        Which instance of a numbered group.
    entries
        Its settings.
    """

    title: str
    model: type[Environment]
    number: str
    entries: tuple[Entry, ...]

    @property
    def may_be_empty(self) -> bool:
        """Whether the group is not used where none of its settings is set."""
        return self.model not in (Settings, Network)


def pages(file: Mapping[str, str], environment: Mapping[str, str]) -> list[Page]:
    """Return the form, with what is installed here.

    Parameters
    ----------
    file
        The variables of ``.env``.
    environment
        Those of the process, without ``.env``.
    """
    found = [_page(Settings, "", file, environment), _page(Network, "", file, environment)]
    for plugin in installed(GROUP).values():
        model = plugin.load()
        numbers = _numbers(model, {**file, **environment})
        found += [_page(model, number, file, environment) for number in numbers]
    return found


def _numbers(model: type[Environment], given: Mapping[str, str]) -> list[str]:
    """Return the instances that are set, and one more to fill."""
    if not issubclass(model, Numbered):
        return [""]
    known = instances(model, given)
    return [*known, str(int(known[-1]) + 1 if known else 1)]


def _page(
    model: type[Environment], number: str, file: Mapping[str, str], environment: Mapping[str, str]
) -> Page:
    title = model.__name__.removesuffix("Settings") or "Facility"
    return Page(
        f"{title} {number}".strip(),
        model,
        number,
        tuple(
            _entry(model.variable(name, number), name, field, file, environment)
            for name, field in model.model_fields.items()
        ),
    )


def _entry(
    variable: str,
    name: str,
    field: FieldInfo,
    file: Mapping[str, str],
    environment: Mapping[str, str],
) -> Entry:
    return Entry(
        variable,
        field.description or "",
        file.get(variable, ""),
        "" if field.is_required() else _text(field.get_default(call_default_factory=True)),
        _choices(field.annotation),
        required=field.is_required(),
        secret=is_secret(name, field),
        elsewhere=variable in environment or f"{variable}_FILE" in {**file, **environment},
    )


def _choices(annotation: Any) -> tuple[str, ...]:
    if annotation is bool:
        return YES_OR_NO
    return tuple(map(str, get_args(annotation))) if get_origin(annotation) is Literal else ()


def _text(default: Any) -> str:
    if isinstance(default, tuple | list | frozenset):
        return ",".join(map(str, default))
    return str(default).lower() if isinstance(default, bool) else str(default or "")


def problems(page: Page, values: Mapping[str, str]) -> dict[str, str]:
    """Return what is wrong with the values of a page, by variable.

    Parameters
    ----------
    page
        Of the form.
    values
        By variable, of ``.env`` and the environment; an empty one is not set.
    """
    given = {name: value for name, value in values.items() if value}
    if page.may_be_empty and not any(entry.variable in given for entry in page.entries):
        return {}
    found = {}
    for line in explained(page.model, page.number, given):
        entry = next((one for one in page.entries if line.startswith(one.variable)), None)
        found[entry.variable if entry else page.entries[0].variable] = line
    return found


def write(path: Path, changes: Mapping[str, str]) -> str:
    """Change variables of an ``.env``; comments and other lines stay. Return where the former is.

    Parameters
    ----------
    path
        The file; it is made if there is none.
    changes
        New values by variable; an empty one is taken out.

    Raises
    ------
    SettingsError
        If it cannot be written.
    """
    new = path.with_name(f"{path.name}.new")
    try:
        if path.exists():
            shutil.copy(path, new)
        else:
            new.touch(mode=0o600)
        mode = new.stat().st_mode
        for variable, value in changes.items():
            _change(new, variable, value)
        new.chmod(mode)
        kept = keep_aside(path.parent, path.name, ours=new.read_bytes().__eq__)
        new.replace(path)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        new.unlink(missing_ok=True)
    return str(kept) if kept else ""


def _change(file: Path, variable: str, value: str) -> None:
    if value:
        set_key(file, variable, value)
    else:
        unset_key(file, variable)


def changed(entries: Iterator[Entry], values: Mapping[str, str]) -> dict[str, str]:
    """Return the values that differ from those of ``.env``.

    Parameters
    ----------
    entries
        All of the form.
    values
        By variable, as they are wanted.
    """
    return {
        entry.variable: values[entry.variable]
        for entry in entries
        if values.get(entry.variable, entry.value) != entry.value
    }
