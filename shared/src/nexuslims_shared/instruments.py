"""The instruments of the facility: ``instruments.toml``."""

import tomllib
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from nexuslims_contracts.events import Instrument
from nexuslims_shared.errors import SettingsError


class InstrumentEntry(BaseModel):
    """One ``[[instrument]]`` table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pid: Annotated[str, Field(min_length=1)]
    name: str = ""
    filestore_path: Annotated[
        str, Field(description="Below NX_INSTRUMENT_DATA_PATH; empty for all of it")
    ]
    timezone: str = "UTC"
    calendar: Annotated[str, Field(description="Calendar that knows its sessions")] = "file"
    calendar_id: Annotated[str, Field(description="Its identifier there, if not the pid")] = ""
    location: str = ""
    property_tag: str = ""
    clock_offset: Annotated[
        float,
        Field(ge=-86_400, le=86_400, description="Seconds its PC's clock is ahead; behind: < 0"),
    ] = 0.0
    clock_timezone: Annotated[
        str,
        Field(description="Zone whose time its PC's clock shows, if another: no summer time"),
    ] = ""
    settle_seconds: Annotated[
        float | None, Field(ge=0, description="NX_FILE_SETTLE_SECONDS, for this instrument")
    ] = None
    grace_minutes: Annotated[
        float | None, Field(ge=0, le=1440, description="NX_FILE_GRACE_MINUTES, for this instrument")
    ] = None
    folders: Annotated[
        Literal["", "user", "session"],
        Field(description="Whose names its folders have, where that tells whose a file is"),
    ] = ""

    @field_validator("timezone", "clock_timezone")
    @classmethod
    def _known_zone(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.field_name == "clock_timezone":
            return value
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("not an IANA time zone, such as America/New_York") from error
        return value

    @field_validator("filestore_path")
    @classmethod
    def _relative(cls, value: str) -> str:
        parts = PurePosixPath(value.strip("/")).parts
        if ".." in parts:
            raise ValueError("must stay below NX_INSTRUMENT_DATA_PATH")
        return "/".join(parts)

    def as_contract(self) -> Instrument:
        """Return the instrument as events name it."""
        return Instrument(
            pid=self.pid,
            name=self.name or self.pid,
            timezone=self.timezone,
            filestore=self.filestore_path,
        )


def read_instruments(path: Path) -> dict[str, InstrumentEntry]:
    """Read the instruments, by pid.

    Raises
    ------
    SettingsError
        If the file is missing or wrong; the message names the entry.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"NX_INSTRUMENTS_FILE={path}: {error.strerror}") from error
    return parse_instruments(content, path)


def parse_instruments(content: str, path: Path) -> dict[str, InstrumentEntry]:
    """Read the instruments of a file's content, by pid.

    Parameters
    ----------
    content
        TOML.
    path
        Of the file, for messages.

    Raises
    ------
    SettingsError
        If it is wrong; the message names the entry.
    """
    try:
        document = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not TOML: {error}") from error
    entries: dict[str, InstrumentEntry] = {}
    for number, table in enumerate(document.get("instrument", []), start=1):
        entry = _read_entry(path, number, table)
        if entry.pid in entries:
            raise SettingsError(f"{path}: instrument {entry.pid!r} is there twice")
        entries[entry.pid] = entry
    return entries


def _read_entry(path: Path, number: int, table: Any) -> InstrumentEntry:
    try:
        return InstrumentEntry.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = (
            table.get("pid", f"number {number}") if isinstance(table, dict) else f"number {number}"
        )
        where = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{path}: instrument {name}: {where}: {message}") from error
