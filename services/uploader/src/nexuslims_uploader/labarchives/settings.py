"""Settings of LabArchives: ``NX_LABARCHIVES_ACCESS_KEY_ID``, ``NX_LABARCHIVES_NOTEBOOK_ID``, ..."""

from typing import Annotated

from pydantic import Field

from nexuslims_shared.network import Address, Token
from nexuslims_shared.settings import Environment


class LabarchivesSettings(Environment, env_prefix="NX_LABARCHIVES_"):
    """Where a LabArchives is, how to get in, how pages are filed there."""

    access_key_id: Annotated[Token, Field(description="Of this integration, from LabArchives")]
    access_password: Annotated[Token, Field(description="That signs our calls; it is never sent")]
    user_id: Annotated[Token, Field(description="The account that writes (uid)")]
    notebook_id: Annotated[Token, Field(description="The notebook that gets the pages (nbid)")]
    url: Annotated[Address, Field(description="Of its API, with /api")] = (
        "https://api.labarchives.com/api/"
    )
    web_url: Annotated[
        Address | None,
        Field(description="Of its pages for people; derived from the other if unset"),
    ] = None
    folder: Annotated[
        str, Field(min_length=1, max_length=200, description="Top folder of all our pages")
    ] = "NexusLIMS Records"
    pause: Annotated[
        float, Field(ge=0, description="Seconds between two calls; its terms of use ask for one")
    ] = 1.0
    previews: Annotated[int, Field(ge=0, description="Most pictures on a page")] = 24
    preview_bytes: Annotated[int, Field(ge=0, description="Most bytes of pictures on a page")] = (
        2_000_000
    )

    @property
    def pages_url(self) -> str:
        """Address of its pages for people, by the incumbent's rule if none is set."""
        if self.web_url:
            return self.web_url
        web = self.url.replace("//api.labarchives.com", "//mynotebook.labarchives.com")
        return web.removesuffix("api/")
