"""What is known about the datasets of one file: the payload that extraction produces.

Values of ``metadata`` are in their normalised form: a text, a number, a boolean, or a quantity as
``{"value": 300.0, "unit": "kV"}``; see :mod:`nexuslims_contracts.metadata` for the fields.
"""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AwareDatetime, Field, JsonValue

from nexuslims_contracts.model import ContractModel

DatasetType: TypeAlias = Literal[
    "Image", "Spectrum", "SpectrumImage", "Diffraction", "Misc", "Unknown"
]


CHANNEL: Final = "channel"
"""What readers call the axis of a picture's colours."""


class ArtifactRef(ContractModel):
    """An artifact by reference: events never carry its bytes."""

    path: Annotated[str, Field(description="Below the data folder, with forward slashes")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0, description="Bytes")]


class Axis(ContractModel):
    """One axis of a dataset's array."""

    name: str = ""
    size: Annotated[int, Field(ge=0)]
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""
    navigate: Annotated[bool, Field(description="Spans positions or time, not the signal")] = False


class Dataset(ContractModel):
    """One signal of a file."""

    index: Annotated[int, Field(ge=0)]
    name: str
    dataset_type: DatasetType
    data_type: Annotated[str, Field(description="For example STEM_EELS or SEM_Imaging")]
    creation_time: AwareDatetime
    shape: tuple[int, ...] = ()
    dtype: str = ""
    axes: Annotated[tuple[Axis, ...], Field(description="In array order")] = ()
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    extensions: dict[str, JsonValue] = Field(default_factory=dict)
    warnings: Annotated[
        tuple[str, ...],
        Field(
            description="Fields that the vendor's software fills unreliably, by name;"
            " and in words, values that were left out of the metadata and why"
        ),
    ] = ()
    preview: ArtifactRef | None = None

    def dimensions(self) -> tuple[int, ...]:
        """Return the lengths of the axes as people write them: columns before rows.

        Axes along which one moves come before those of the signal, as in the incumbent's records;
        colour channels are left out.
        """
        if len(self.axes) != len(self.shape):
            return self.shape[::-1]
        axes = [axis for axis in self.axes if axis.name != CHANNEL] or list(self.axes)
        axes.reverse()
        return tuple(axis.size for axis in sorted(axes, key=lambda axis: not axis.navigate))


class ExtractorVersion(ContractModel):
    """Which code read a file, so that an upgrade can select the files to read again."""

    name: str
    version: str
    reader: Annotated[str, Field(description="The library that parsed the format")] = ""


class CuratedDataset(ContractModel):
    """What people added to a dataset of a record; it replaces what they had added before."""

    location: Annotated[str, Field(description="Path of the file below the instrument data path")]
    name: Annotated[str, Field(description="Of the dataset, as the record gives it")]
    descriptions: tuple[str, ...] = ()
    rating: int | None = None
    featured: bool | None = None
