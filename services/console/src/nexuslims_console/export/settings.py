"""Settings of exports: ``NX_FACILITY_NAME``, ``NX_FACILITY_ROR``, ``NX_FACILITY_LICENSE``, ..."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from nexuslims_shared.settings import Environment

_ROR = re.compile(r"^https://ror\.org/0[a-z0-9]{6}[0-9]{2}$")


class ExportSettings(Environment, env_prefix="NX_FACILITY_"):
    """Who publishes what people take home."""

    name: Annotated[str, Field(description="The facility, as exports name it")] = (
        "Electron microscopy facility"
    )
    url: Annotated[str, Field(pattern=r"^(https?://\S+)?$", description="Its web page")] = ""
    ror: Annotated[
        str, Field(description="Its organisation, for example https://ror.org/05xpvk416")
    ] = ""
    orcids: Annotated[
        Path | None, Field(description="A TOML file of people's ORCID iDs by their user names")
    ] = None
    license: Annotated[
        str, Field(pattern=r"^(https?://\S+)?$", description="Address of the exports' licence")
    ] = ""

    @field_validator("ror")
    @classmethod
    def _is_ror(cls, value: str) -> str:
        """Refuse what is no address of the Research Organization Registry."""
        if value and not _ROR.match(value):
            raise ValueError("not an address such as https://ror.org/05xpvk416")
        return value
