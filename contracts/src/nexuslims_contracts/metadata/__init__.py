"""The normalised metadata of a dataset: its fields, the schema of each type, and validation."""

from nexuslims_contracts.metadata.errors import MetadataError, Problem
from nexuslims_contracts.metadata.fields import FIELDS, REQUIRED, Field, Group, fields_of
from nexuslims_contracts.metadata.models import (
    MODELS,
    BaseMetadata,
    DiffractionMetadata,
    ImageMetadata,
    Metadata,
    SpectrumImageMetadata,
    SpectrumMetadata,
)
from nexuslims_contracts.metadata.names import display_name, snake_case
from nexuslims_contracts.metadata.validation import (
    ValidMetadata,
    partition_metadata,
    validate_metadata,
    with_qudt,
)
from nexuslims_contracts.metadata.vendor_trees import (
    extensions_for_readers,
    fields_for_readers,
    is_vendor_tree,
)

__all__ = [
    "FIELDS", "MODELS", "REQUIRED", "BaseMetadata", "DiffractionMetadata", "Field", "Group",
    "ImageMetadata", "Metadata", "MetadataError", "Problem", "SpectrumImageMetadata",
    "SpectrumMetadata", "ValidMetadata", "display_name", "extensions_for_readers",
    "fields_for_readers", "fields_of", "is_vendor_tree",
    "partition_metadata", "snake_case", "validate_metadata", "with_qudt",
]  # fmt: skip
