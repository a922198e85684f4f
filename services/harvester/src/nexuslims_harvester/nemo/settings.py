"""Settings of one NEMO: ``NX_NEMO_ADDRESS_1``, ``NX_NEMO_TOKEN_1``, ..."""

from datetime import UTC, datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from nexuslims_harvester.calendar import placed
from nexuslims_shared.network import Address, Token
from nexuslims_shared.settings import Numbered, read

_YEARS: Final = range(1970, 2200)


class NemoSettings(Numbered, family="NEMO"):
    """One NEMO: where it is, how to get in, how it writes times."""

    address: Annotated[Address, Field(description="Of the API, for example https://nemo.org/api/")]
    token: Annotated[Token, Field(description="Of a user who may view what is harvested")]
    tz: Annotated[str, Field(description="Zone of times without an offset; IANA name")] = ""
    strftime_fmt: Annotated[str, Field(description="How NEMO wants times; ISO 8601 if empty")] = ""
    strptime_fmt: Annotated[str, Field(description="How NEMO gives times; ISO 8601 if empty")] = ""
    since: Annotated[
        datetime | None, Field(description="Sessions that ended before are not harvested")
    ] = None

    @field_validator("tz")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value or "UTC")
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("not an IANA time zone, such as America/New_York") from error
        return value

    @field_validator("since")
    @classmethod
    def _aware(cls, value: datetime | None) -> datetime | None:
        if value is None:
            return None
        if value.year not in _YEARS:
            raise ValueError(f"not from {_YEARS.start} on")
        return placed(value, UTC)

    @property
    def zone(self) -> ZoneInfo:
        """Where times without an offset are."""
        return ZoneInfo(self.tz or "UTC")

    def written(self, moment: datetime) -> str:
        """Write an instant as this NEMO wants it, in its own zone; the instant stays the same."""
        if not self.strftime_fmt:
            return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return moment.astimezone(self.zone).strftime(self.strftime_fmt)

    def read(self, text: str) -> datetime:
        """Read an instant; an offset that is given counts, the zone is for those without.

        Raises
        ------
        ValueError
            If it is none.
        """
        moment = self._parsed(text)
        if moment.year not in _YEARS:
            raise ValueError(f"{text!r} is in no year that a microscope was used")
        return placed(moment, self.zone)

    def _parsed(self, text: str) -> datetime:
        if self.strptime_fmt:
            try:
                return datetime.strptime(text, self.strptime_fmt)  # noqa: DTZ007 - placed by read()
            except ValueError:
                # NEMO gives microseconds only where there are some: no one format fits all
                return datetime.fromisoformat(text)
        return datetime.fromisoformat(text)


def read_nemo_settings(number: str) -> NemoSettings:
    """Read the settings of NEMO ``number``.

    Raises
    ------
    SettingsError
        If one is missing or wrong.
    """
    return read(NemoSettings, number)
