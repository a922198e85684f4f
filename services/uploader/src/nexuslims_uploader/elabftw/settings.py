"""Settings of eLabFTW: ``NX_ELABFTW_URL``, ``NX_ELABFTW_API_KEY``, ..."""

from typing import Annotated

from pydantic import Field

from nexuslims_shared.network import Address, Token
from nexuslims_shared.settings import Environment


class ElabftwSettings(Environment, env_prefix="NX_ELABFTW_"):
    """Where an eLabFTW is, how to get in, how experiments are filed there."""

    url: Annotated[Address, Field(description="Of its front page")]
    api_key: Annotated[Token, Field(description="That may write; its team gets the experiments")]
    experiment_category: Annotated[int | None, Field(description="Number of the category")] = None
    experiment_status: Annotated[int | None, Field(description="Number of the status")] = None
