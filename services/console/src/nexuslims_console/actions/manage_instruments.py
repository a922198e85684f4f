"""``nexuslims instruments add``, ``edit`` and ``remove``: entries of the instruments' file.

What somebody wrote there, comments and order, stays as it is.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tomlkit
from tomlkit.items import AoT

from nexuslims_console.actions.instruments import tables_of
from nexuslims_console.errors import ConsoleError
from nexuslims_shared.artifacts import write_artifact
from nexuslims_shared.cli.output import say
from nexuslims_shared.instruments import parse_instruments
from nexuslims_shared.settings import read_settings


def add_instrument(pid: str, values: Sequence[str]) -> None:
    """Add an instrument.

    Parameters
    ----------
    pid
        Its name.
    values
        Fields of its entry, ``NAME=VALUE``.

    Raises
    ------
    SettingsError
        If the file would be wrong then: there is one of that name, or a field is missing or wrong.
    """
    with _editing() as tables:
        table = tomlkit.table()
        for name, value in {"pid": pid, **_fields(values)}.items():
            table.add(name, value)
        tables.append(table)


def edit_instrument(pid: str, values: Sequence[str]) -> None:
    """Change an instrument.

    Parameters
    ----------
    pid
        Its name.
    values
        Fields to change, ``NAME=VALUE``; an empty value takes one out.

    Raises
    ------
    ConsoleError
        If there is none of that name.
    SettingsError
        If the file would be wrong then.
    """
    with _editing() as tables:
        table: Any = tables[_number(tables, pid)]
        for name, value in _fields(values).items():
            if value == "":
                table.pop(name, None)
            else:
                table[name] = value


def remove_instrument(pid: str) -> None:
    """Remove an instrument.

    Raises
    ------
    ConsoleError
        If there is none of that name.
    """
    with _editing() as tables:
        del tables[_number(tables, pid)]


@contextmanager
def _editing() -> Iterator[AoT]:
    """Give the entries to change; the file is written if it can be read again."""
    path = read_settings().instruments_file
    document = tomlkit.parse(path.read_text(encoding="utf-8") if path.exists() else "")
    yield tables_of(document)
    content = tomlkit.dumps(document)
    parse_instruments(content, path)
    write_artifact(path.parent, path.name, content.encode())
    say(f"{path} is written: services read it when they start")


def _number(tables: AoT, pid: str) -> int:
    known = [str(table.get("pid")) for table in tables]
    if pid not in known:
        raise ConsoleError(f"there is no instrument {pid!r}; there are {', '.join(known)}")
    return known.index(pid)


def _fields(values: Sequence[str]) -> dict[str, str | float]:
    """Read ``NAME=VALUE``; a value that is a number is one where the entry wants one."""
    found: dict[str, str | float] = {}
    for one in values:
        name, given, value = one.partition("=")
        if not given:
            raise ConsoleError(f"{one!r} is not NAME=VALUE, such as location='Building 223'")
        found[name] = float(value) if name in _NUMBERS and value else value
    return found


_NUMBERS = frozenset({"clock_offset", "settle_seconds", "grace_minutes"})
