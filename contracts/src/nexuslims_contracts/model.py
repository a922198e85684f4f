"""The base of every model that crosses a boundary."""

from pydantic import BaseModel, ConfigDict


class ContractModel(BaseModel):
    """Immutable, and strict about names; only stored events are read more tolerantly.

    A model is made whole when it is first used: no process uses all of them.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_inf_nan="constants", defer_build=True
    )
