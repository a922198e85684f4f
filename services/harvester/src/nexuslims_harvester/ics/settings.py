"""Settings of one iCalendar: ``NX_ICS_ADDRESS_1``, ``NX_ICS_CONSENT_1``, ..."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from nexuslims_shared.settings import Numbered, read


class IcsSettings(Numbered, family="ICS"):
    """One iCalendar: where it is, and what its entries mean."""

    address: Annotated[
        SecretStr,
        Field(description="A file, or https://...; secret, because it often holds a key"),
    ]
    consent: Annotated[
        Literal["each", "all"],
        Field(description="each: only entries that say so; all: the facility asked everybody"),
    ] = "each"
    since: Annotated[
        datetime | None, Field(description="Sessions that began before are not harvested")
    ] = None

    @field_validator("address")
    @classmethod
    def _address(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value().strip()
        if text.startswith("webcal://"):
            text = "https://" + text.removeprefix("webcal://")
        if not text or ("://" in text and not is_url(text)):
            raise ValueError("neither a file nor an address such as https://example.org/titan.ics")
        return SecretStr(text)

    @field_validator("since")
    @classmethod
    def _aware(cls, value: datetime | None) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value

    @property
    def file(self) -> Path | None:
        """Path of the calendar, if it is a file."""
        text = self.address.get_secret_value()
        return None if is_url(text) else Path(text)


def is_url(text: str) -> bool:
    """Tell whether a text is an address on the network."""
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def read_ics_settings(number: str) -> IcsSettings:
    """Read the settings of iCalendar ``number``.

    Raises
    ------
    SettingsError
        If one is missing or wrong.
    """
    return read(IcsSettings, number)
