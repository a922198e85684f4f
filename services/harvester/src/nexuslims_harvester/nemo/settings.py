"""Settings of one NEMO: ``NX_NEMO_ADDRESS_1``, ``NX_NEMO_TOKEN_1``, ..."""

from datetime import UTC, datetime
from typing import Annotated, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from nexuslims_harvester.calendar import placed
from nexuslims_harvester.numbered import read_numbered

_PRINTABLE: Final = frozenset(map(chr, range(0x21, 0x7F)))


class NemoSettings(BaseModel):
    """One NEMO: where it is, how to get in, how it writes times."""

    model_config = ConfigDict(frozen=True)

    address: Annotated[str, Field(description="Of the API, for example https://nemo.org/api/")]
    token: Annotated[SecretStr, Field(description="Of a user who may view what is harvested")]
    tz: Annotated[str, Field(description="Zone of times without an offset; IANA name")] = ""
    strftime_fmt: Annotated[str, Field(description="How NEMO wants times; ISO 8601 if empty")] = ""
    strptime_fmt: Annotated[str, Field(description="How NEMO gives times; ISO 8601 if empty")] = ""
    since: Annotated[
        datetime | None, Field(description="Sessions that ended before are not harvested")
    ] = None

    @field_validator("address")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("not an address such as https://nemo.example.org/api/")
        if parts.username or parts.password or parts.query:
            raise ValueError("give the address alone: the token has a setting of its own")
        return value.strip().rstrip("/") + "/"

    @field_validator("token")
    @classmethod
    def _token(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value().strip()
        if not text or not set(text) <= _PRINTABLE:
            raise ValueError("not a token: it is one word of letters and digits")
        return SecretStr(text)

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
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value

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
        return placed(self._parsed(text), self.zone)

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
    return read_numbered(NemoSettings, "NEMO", number)
