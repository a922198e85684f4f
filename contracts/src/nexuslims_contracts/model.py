"""The base of every model that crosses a boundary."""

from pydantic import BaseModel, ConfigDict


class ContractModel(BaseModel):
    """Immutable, and strict about names: an unknown field is a mistake, not a surprise."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")
