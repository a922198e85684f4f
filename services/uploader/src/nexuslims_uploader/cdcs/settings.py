"""Settings of CDCS: ``NX_CDCS_URL``, ``NX_CDCS_TOKEN``, ..."""

from typing import Annotated

from pydantic import Field

from nexuslims_shared.network import Address, Token
from nexuslims_shared.settings import Environment


class CdcsSettings(Environment, env_prefix="NX_CDCS_"):
    """Where a CDCS is, how to get in, what to use there."""

    url: Annotated[Address, Field(description="Of its front page")]
    token: Annotated[Token, Field(description="Of a user who may write into the workspace")]
    template: Annotated[str, Field(description="Title of the records' template")] = (
        "Nexus Experiment Schema"
    )
    workspace: Annotated[str, Field(description="Title of the workspace records go to")] = (
        "Global Public Workspace"
    )
    assign_to_public_workspace: Annotated[
        bool, Field(description="Off: records go to no workspace, only their owners see them")
    ] = True
    user_owned_records: Annotated[
        bool, Field(description="Records belong to their experimenters; wants a superuser's token")
    ] = False
    previews: Annotated[bool, Field(description="Bring the records' pictures too")] = False
