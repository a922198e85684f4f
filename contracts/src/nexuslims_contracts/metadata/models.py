"""The schema of each dataset type, as pydantic models made from the table of fields.

A model takes raw values, converts them to preferred units, and reports every problem at once.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    JsonValue,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
    create_model,
)
from pydantic import Field as Described

from nexuslims_contracts.datasets import DatasetType
from nexuslims_contracts.metadata.fields import REQUIRED, Field, fields_of
from nexuslims_contracts.metadata.values import normalise_extensions, normaliser
from nexuslims_contracts.units import Quantity

_JSON_TYPES = {"text": "string", "number": "number", "flag": "boolean"}


def _quantity_schema(field: Field) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "value": {"type": "number"},
            "unit": {"const": field.unit},
            "qudt:unit": {"const": field.qudt},
        },
        "required": ["value", "unit"],
        "additionalProperties": False,
    }


def _annotation(field: Field) -> Any:
    """Return a field's type: what makes its normalised value, and how JSON Schema tells it."""
    facts = {"dimension": field.dimension, "emg": field.emg_id, "purl": field.purl}

    def tell(schema: dict[str, Any]) -> None:
        schema.pop("default", None)  # a field that is not set is absent, never null
        schema.update({f"x-{key}": fact for key, fact in facts.items() if fact})

    described = Described(
        title=field.display_name, description=field.description, json_schema_extra=tell
    )
    validated = PlainValidator(normaliser(field))
    if field.kind == "quantity":
        schema = WithJsonSchema(_quantity_schema(field))
        return Annotated[Quantity, validated, PlainSerializer(Quantity.json), schema, described]
    schema = WithJsonSchema({"type": _JSON_TYPES[field.kind]})
    return Annotated[Any, validated, schema, described]


class Metadata(BaseModel):
    """What every dataset's metadata have; values of fields that are not set are None."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    creation_time: Annotated[
        AwareDatetime, Described(description="When the data were acquired, with an offset")
    ]
    data_type: Annotated[
        str,
        StringConstraints(strip_whitespace=True, pattern=r"\S"),
        Described(description="Instrument mode and technique, such as STEM_EELS"),
    ]
    dataset_type: DatasetType
    extensions: Annotated[
        dict[str, JsonValue],
        PlainValidator(normalise_extensions, json_schema_input_type=dict[str, JsonValue]),
        Described(description="Fields of vendor or site, in snake_case"),
    ] = {}
    warnings: Annotated[
        tuple[str, ...], Described(description="Fields that the software fills unreliably")
    ] = ()


def _model(name: str, meaning: str, *types: DatasetType) -> type[Metadata]:
    """Return the model whose fields are those of the first of the dataset types."""
    fields: dict[str, Any] = {
        field.name: (_annotation(field), None)
        for field in fields_of(types[0])
        if field.name not in REQUIRED
    }
    fields["dataset_type"] = (Literal[types], ...)
    return create_model(name, __base__=Metadata, __doc__=meaning, __module__=__name__, **fields)


BaseMetadata = _model("BaseMetadata", "A dataset of any other kind.", "Misc", "Unknown")
ImageMetadata = _model("ImageMetadata", "An image, or a stack of them.", "Image")
SpectrumMetadata = _model("SpectrumMetadata", "A spectrum.", "Spectrum")
SpectrumImageMetadata = _model(
    "SpectrumImageMetadata", "A spectrum for every point: both of an image.", "SpectrumImage"
)
DiffractionMetadata = _model(
    "DiffractionMetadata", "A diffraction pattern, or one for every point.", "Diffraction"
)

MODELS: Mapping[str, type[Metadata]] = {
    "Image": ImageMetadata,
    "Spectrum": SpectrumMetadata,
    "SpectrumImage": SpectrumImageMetadata,
    "Diffraction": DiffractionMetadata,
    "Misc": BaseMetadata,
    "Unknown": BaseMetadata,
}
"""The schema of each dataset type."""
