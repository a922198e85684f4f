"""``nexuslims instruments``: list those of the facility, import those of a calendar."""

from collections.abc import Collection, Iterable
from typing import Final

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.items import AoT

from nexuslims_console.errors import ConsoleError, NotRunningError
from nexuslims_contracts.plugins import installed
from nexuslims_shared.artifacts import write_artifact
from nexuslims_shared.cli.output import print_json, print_table, say
from nexuslims_shared.instruments import InstrumentEntry, read_instruments
from nexuslims_shared.settings import read_settings

SOURCES: Final = "nexuslims.instruments"
"""Entry point group: kind of calendar -> function, number of its settings -> instruments."""


def show_instruments(*, as_json: bool) -> None:
    """Print the instruments of the facility."""
    _show(read_instruments(read_settings().instruments_file).values(), as_json=as_json)


def import_instruments(
    kind: str, number: str, chosen: Collection[str], *, dry_run: bool, as_json: bool
) -> None:
    """Add the instruments of a calendar that the instruments' file lacks.

    Parameters
    ----------
    kind, number
        Of the calendar: ``nemo`` and ``1``.
    chosen
        Identifiers in the calendar; nothing for all.
    dry_run
        Whether to leave the file alone.
    as_json
        Print them as JSON.

    Raises
    ------
    ConsoleError
        If the calendar lacks one that was chosen.
    """
    path = read_settings().instruments_file
    known = read_instruments(path).values() if path.exists() else ()
    found = _ask(kind, number)
    if unknown := sorted(set(chosen) - {one.calendar_id for one in found}):
        listed = ", ".join(f"{one.calendar_id} ({one.name})" for one in found) or "nothing"
        raise ConsoleError(f"{kind}-{number} has no {', '.join(unknown)}; it has {listed}")
    wanted = [one for one in found if not chosen or one.calendar_id in chosen]
    new = missing(known, wanted)
    if new and not dry_run:
        content = path.read_text(encoding="utf-8") if path.exists() else ""
        write_artifact(path.parent, path.name, added(content, new).encode())
    _show(new, as_json=as_json, nothing=f"{path} has all of them")
    if new:
        say(f"correct filestore_path and timezone of each in {path}: {kind} cannot know the folder")


def missing(
    known: Iterable[InstrumentEntry], found: Iterable[InstrumentEntry]
) -> list[InstrumentEntry]:
    """Return the instruments found that are not known yet, each with a pid and a folder of its own.

    Instruments are compared by their calendar's identifier; it is added to a name that is taken.
    Names that differ in the case of letters only are one, as some file systems have it.

    Parameters
    ----------
    known
        Those of the instruments' file.
    found
        Those of the calendar.
    """
    known = list(known)
    places = {(one.calendar, one.calendar_id) for one in known}
    pids = {one.pid.casefold() for one in known}
    folders = {one.filestore_path.casefold() for one in known}
    new: list[InstrumentEntry] = []
    for entry in found:
        if (entry.calendar, entry.calendar_id) in places:
            continue
        changes = {
            "pid": _free(entry.pid, entry.calendar_id, pids),
            "filestore_path": _free(entry.filestore_path, entry.calendar_id, folders),
        }
        new.append(entry.model_copy(update=changes))
    return new


def _free(name: str, identifier: str, taken: set[str]) -> str:
    """Return a name that is not taken, and take it."""
    while name.casefold() in taken:
        name = f"{name}-{identifier}"
    taken.add(name.casefold())
    return name


def added(content: str, entries: Iterable[InstrumentEntry]) -> str:
    """Return the content of an instruments' file with entries added at its end.

    Parameters
    ----------
    content
        As it is; it stays as it was written.
    entries
        To be added.

    Raises
    ------
    ConsoleError
        If what is there is no list of ``[[instrument]]`` tables.
    """
    document = tomlkit.parse(content)
    tables = tables_of(document)
    for entry in entries:
        table = tomlkit.table()
        for name, value in entry.model_dump(exclude_defaults=True).items():
            table.add(name, value)
        tables.append(table)
    return tomlkit.dumps(document)


def tables_of(document: TOMLDocument) -> AoT:
    """Return the list of instruments of a document, which gets one if it has none.

    Raises
    ------
    ConsoleError
        If what is there is no list of ``[[instrument]]`` tables.
    """
    tables = document.setdefault("instrument", tomlkit.aot())
    if not isinstance(tables, AoT):
        raise ConsoleError("write each instrument as an [[instrument]] table first")
    return tables


def _ask(kind: str, number: str) -> list[InstrumentEntry]:
    sources = installed(SOURCES)
    if kind not in sources:
        raise NotRunningError(f"nothing installed here can ask {kind}: install the harvester")
    found: list[InstrumentEntry] = sources[kind].load()(number)
    return found


def _show(
    entries: Iterable[InstrumentEntry], *, as_json: bool, nothing: str = "no instruments"
) -> None:
    if as_json:
        print_json([entry.model_dump() for entry in entries])
        return
    print_table(
        ("pid", "name", "files", "zone", "calendar", "number", "location"),
        [
            (
                one.pid,
                one.name,
                one.filestore_path,
                one.timezone,
                one.calendar,
                one.calendar_id,
                one.location,
            )
            for one in entries
        ],
        nothing=nothing,
    )
