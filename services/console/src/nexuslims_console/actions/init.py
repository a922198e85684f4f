"""``nexuslims init``: the files of a new facility, from a few answers."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import typer
from pydantic import ValidationError

from nexuslims_console.actions.instruments import added
from nexuslims_console.errors import ConsoleError
from nexuslims_shared.cli.output import confirm, say, show
from nexuslims_shared.instruments import InstrumentEntry, parse_instruments
from nexuslims_shared.settings import make_folder
from nexuslims_shared.settings.files import line_of

_HEAD: Final = "# All settings: `nexuslims config`. The environment wins over this file.\n"
_SESSION: Final = """\
# Sessions: one table each, as below. The file is read again when it changes.
# [[session]]
# id = "1001"
# instrument = "{pid}"
# user = {{ username = "ned", first_name = "Ned", last_name = "Land" }}
# start = 2026-03-02T09:00:00
# end = 2026-03-02T13:00:00
# title = "Gold nanoparticles on carbon"
# consent = true
"""


@dataclass(frozen=True, slots=True)
class Facility:
    """What is to be known of a new facility.

    Parameters
    ----------
    files
        Where its instruments write to; asked for if None.
    data
        Where records go.
    timezone
        IANA name, for all its instruments.
    nemo
        Address of the NEMO that has its sessions; a file has them if empty.
    nemo_token_file
        File that holds NEMO's token.
    instruments
        ``PID=FOLDER`` each; every folder below ``files`` is one if there are none.
    """

    files: Path | None
    data: Path
    timezone: str
    nemo: str = ""
    nemo_token_file: Path | None = None
    instruments: tuple[str, ...] = ()


def init(facility: Facility, *, ask: bool) -> None:
    """Write the files of a new facility into the current folder; what is there stays as it is.

    Parameters
    ----------
    facility
        What the options say.
    ask
        Whether somebody is there to answer the rest.

    Raises
    ------
    ConsoleError
        If something is missing or wrong; nothing is written then.
    SettingsError
        If an instrument is there twice; nothing is written then.
    """
    if ask:
        facility = _asked(facility)
    if facility.files is None:
        raise ConsoleError("where do the instruments write to? Give it with --files DIR")
    if not facility.files.is_dir():
        raise ConsoleError(f"{facility.files} is no folder: mount it, or give another with --files")
    if not (ask or facility.instruments or facility.nemo):
        every = tuple(f"{one}={one}" for one in _folders(facility.files))
        facility = replace(facility, instruments=every)
    contents = contents_of(facility)
    make_folder(facility.data, "NX_DATA_PATH")
    for name, content in contents.items():
        _write_new(Path(name), content)
    show("Next:")
    for step in _steps(facility):
        show(f"  {step}")


def contents_of(facility: Facility) -> dict[str, str]:
    """Return what is to be in each file of a facility, by its name.

    Raises
    ------
    ConsoleError
        If an instrument is not given as ``PID=FOLDER``, or would be wrong.
    SettingsError
        If there is one twice.
    """
    table = Path("instruments.toml")
    entries = [_instrument(one, facility.timezone) for one in facility.instruments]
    instruments = added("", entries) if entries else ""
    known = parse_instruments(instruments, table)
    settings = {
        "NX_INSTRUMENT_DATA_PATH": str(facility.files),
        "NX_DATA_PATH": str(facility.data),
        "NX_NEMO_ADDRESS_1": facility.nemo,
        "NX_NEMO_TOKEN_1_FILE": str(facility.nemo_token_file or ""),
    }
    lines = [line_of(name, value) for name, value in settings.items() if value]
    return {
        ".env": _HEAD + "".join(lines),
        str(table): instruments or "# Each instrument is an [[instrument]] table.\n",
        "calendar.toml": _SESSION.format(pid=next(iter(known), "FEI-Titan")),
    }


def _asked(facility: Facility) -> Facility:
    """Ask for what the options leave open; an answer that cannot be right is asked for again."""
    files = facility.files or typer.prompt(
        "Folder that the instruments write to", value_proc=_existing, err=True
    )
    data = typer.prompt("Folder for records and previews", default=str(facility.data), err=True)
    zone = typer.prompt("Time zone", default=facility.timezone, value_proc=_zone, err=True)
    nemo = facility.nemo or typer.prompt(
        "Address of NEMO, such as https://nemo.example.org/api/; empty for sessions in a file",
        default="",
        show_default=False,
        err=True,
    )
    token = facility.nemo_token_file
    if nemo and not token:
        token = Path(typer.prompt("File with NEMO's token (absolute path)", err=True))
    asked = replace(
        facility, files=files, data=Path(data), timezone=zone, nemo=nemo, nemo_token_file=token
    )
    if asked.instruments or nemo:
        return asked
    folders = _folders(files)
    chosen = [one for one in folders if confirm(f"Is {one} an instrument?", default=True)]
    return replace(asked, instruments=tuple(f"{one}={one}" for one in chosen))


def _existing(text: str) -> Path:
    if not Path(text).is_dir():
        raise typer.BadParameter(f"{text} is no folder")
    return Path(text)


def _zone(text: str) -> str:
    try:
        _instrument("any=any", text)
    except ConsoleError as error:
        raise typer.BadParameter(str(error)) from error
    return text


def _folders(files: Path) -> list[str]:
    found = (one.name for one in files.iterdir() if one.is_dir())
    return sorted(one for one in found if not one.startswith("."))


def _instrument(given: str, zone: str) -> InstrumentEntry:
    pid, equals, folder = given.partition("=")
    if not (pid and equals and folder):
        raise ConsoleError(f"{given!r} is not PID=FOLDER, such as FEI-Titan=Titan_TEM")
    try:
        return InstrumentEntry(pid=pid, name=pid, filestore_path=folder, timezone=zone)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        message = first["msg"].removeprefix("Value error, ")
        raise ConsoleError(f"{given} in {zone}: {first['loc'][0]}: {message}") from error


def _write_new(path: Path, content: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    except FileExistsError:
        say(f"{path} is there already and stays as it is")
    else:
        say(f"{path} is written")


def _steps(facility: Facility) -> list[str]:
    steps = ["nexuslims doctor        # what is still wrong, and the remedy"]
    if facility.nemo and not facility.instruments:
        steps.insert(0, "nexuslims instruments import --from-nemo    # its tools")
    elif not facility.nemo:
        steps.insert(0, "write sessions into calendar.toml")
    return [*steps, "nexuslims up            # or `nexuslims build-records` from cron"]
