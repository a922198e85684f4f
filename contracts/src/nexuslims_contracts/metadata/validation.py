"""Raw metadata in, normalised metadata out: strictly, or setting aside what does not fit."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from numbers import Real
from typing import Any

from pydantic import JsonValue, ValidationError

from nexuslims_contracts.datasets import DatasetType
from nexuslims_contracts.metadata.errors import MetadataError, Problem
from nexuslims_contracts.metadata.fields import FIELDS, REQUIRED
from nexuslims_contracts.metadata.models import MODELS, Metadata
from nexuslims_contracts.metadata.values import is_quantity
from nexuslims_contracts.units import Quantity, qudt_uri

_APART = {*REQUIRED, "extensions", "warnings"}


@dataclass(frozen=True, slots=True)
class ValidMetadata:
    """Metadata that keep the schema of their dataset type, as JSON values."""

    dataset_type: DatasetType
    data_type: str
    creation_time: datetime
    metadata: dict[str, JsonValue]
    """Core fields by name: texts, numbers, flags, and ``{"value": 300.0, "unit": "kV"}``."""
    extensions: dict[str, JsonValue]
    warnings: tuple[str, ...]

    def document(self) -> dict[str, JsonValue]:
        """Return all of it as one JSON document, with QUDT's unit for every quantity."""
        core: dict[str, JsonValue] = {
            "creation_time": self.creation_time.isoformat(),
            "data_type": self.data_type,
            "dataset_type": self.dataset_type,
        }
        apart: dict[str, JsonValue] = {
            "extensions": self.extensions,
            "warnings": list(self.warnings),
        }
        return with_qudt(core | self.metadata | apart)


_BESIDE = frozenset({"extensions", "warnings"})
"""Fields of the models that are no metadata: a vendor may have fields of these names."""


def validate_metadata(
    raw: Mapping[str, object],
    *,
    dataset_type: str,
    creation_time: datetime,
    data_type: str,
    extensions: Mapping[str, object] | None = None,
    warnings: Sequence[str] = (),
    file: str = "",
) -> ValidMetadata:
    """Check metadata against the schema of their dataset type, and bring them into its form.

    Parameters
    ----------
    raw
        Core fields: texts, numbers, truth values, ``{"value": .., "unit": ..}``, or
        ``(value, unit)``. What is None or an empty text counts as not told.
    dataset_type
        One of Image, Spectrum, SpectrumImage, Diffraction, Misc, Unknown.
    creation_time
        With an offset.
    data_type
        For example ``STEM_EELS``.
    extensions
        Fields of the vendor or the site, nested as they please.
    warnings
        Names of fields that the vendor's software is known to fill unreliably.
    file
        What an error shall call the file.

    Raises
    ------
    MetadataError
        Every problem at once: a field unknown, missing, of a wrong dimension, or not finite.
    """
    if dataset_type not in MODELS:
        problem = Problem("dataset_type", dataset_type, f"must be one of {', '.join(MODELS)}")
        raise MetadataError([problem], dataset_type="dataset", file=file)
    given = {name: value for name, value in raw.items() if not _is_blank(value)}
    given |= {
        "creation_time": creation_time,
        "data_type": data_type,
        "dataset_type": dataset_type,
        "extensions": extensions or {},
        "warnings": tuple(warnings),
    }
    try:
        return _valid(MODELS[dataset_type].model_validate(given))
    except ValidationError as error:
        problems = [_problem(entry, dataset_type) for entry in error.errors(include_url=False)]
        raise MetadataError(problems, dataset_type=dataset_type, file=file) from None


def partition_metadata(
    raw: Mapping[str, object],
    *,
    dataset_type: str,
    creation_time: datetime,
    data_type: str,
    extensions: Mapping[str, object] | None = None,
    warnings: Sequence[str] = (),
    file: str = "",
) -> tuple[ValidMetadata, tuple[str, ...]]:
    """Like :func:`validate_metadata`, but a value that does not fit is moved to the extensions.

    One bad value must not cost a file. A core field that the dataset type does not have is moved
    too, and is no problem.

    Parameters
    ----------
    raw, dataset_type, creation_time, data_type, extensions, warnings, file
        As for :func:`validate_metadata`.

    Returns
    -------
    valid, problems
        What was wrong, in words.

    Raises
    ------
    MetadataError
        If dataset type, data type or creation time are wrong: no file is at fault for that.
    """
    core, others = dict(raw), dict(extensions or {})
    elsewhere = {
        name
        for name in core
        if (name in FIELDS and dataset_type not in FIELDS[name].dataset_types) or name in _BESIDE
    }
    _move(elsewhere, core, others)

    def attempt() -> ValidMetadata:
        return validate_metadata(
            core, dataset_type=dataset_type, creation_time=creation_time, data_type=data_type,
            extensions=others, warnings=warnings, file=file,
        )  # fmt: skip

    try:
        return attempt(), ()
    except MetadataError as error:
        if any(problem.field in REQUIRED for problem in error.problems):
            raise
        problems = error.problems
    _move({problem.field for problem in problems}, core, others)
    others = {name: _representable(value) for name, value in others.items()}
    return attempt(), tuple(str(problem) for problem in problems)


def with_qudt(document: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a JSON document whose quantities also tell their unit's URI, as ``qudt:unit``."""
    return {name: _with_qudt(value) for name, value in document.items()}


def _with_qudt(value: JsonValue) -> JsonValue:
    if isinstance(value, list):
        return [_with_qudt(item) for item in value]
    if not isinstance(value, dict):
        return value
    unit = value.get("unit")
    uri = qudt_uri(unit) if isinstance(unit, str) and "value" in value else None
    return {**value, "qudt:unit": uri} if uri else with_qudt(value)


def _valid(model: Metadata) -> ValidMetadata:
    metadata: dict[str, JsonValue] = {}
    for name in FIELDS:
        if name in model.model_fields_set and name not in _APART:
            value = getattr(model, name)
            metadata[name] = dict(value.json()) if isinstance(value, Quantity) else value
    return ValidMetadata(
        dataset_type=model.dataset_type,
        data_type=model.data_type,
        creation_time=model.creation_time,
        metadata=metadata,
        extensions=model.extensions,
        warnings=model.warnings,
    )


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _problem(entry: Any, dataset_type: str) -> Problem:
    """Return a problem in our words from one error of pydantic's."""
    field, value = str(entry["loc"][0]), entry["input"]
    if entry["type"] == "extra_forbidden":
        known = "is no core field" if field not in FIELDS else f"is no field of {dataset_type}"
        return Problem(field, None, f"{known}: vendor fields belong into the extensions")
    if field == "creation_time":
        return Problem(field, str(value), "must be a date and time with an offset")
    if field == "data_type":
        return Problem(field, value, "must be a text such as STEM_EELS")
    if entry["type"] == "value_error":
        refused = None if field == "extensions" else value
        return Problem(field, refused, str(entry["ctx"]["error"]))
    return Problem(field, value, f"is not accepted: {entry['msg']}")


def _move(names: set[str], core: dict[str, object], others: dict[str, object]) -> None:
    """Move core fields to the extensions; what is there already keeps its name."""
    for name in sorted(names & core.keys()):
        free = name if name not in others else f"{name}_refused"
        others[free] = core.pop(name)


def _representable(value: object) -> object:
    """Return an extension as JSON can hold it: what is not finite, or no JSON, as its text."""
    if isinstance(value, tuple) and is_quantity(value):
        value = {"value": value[0], "unit": value[1]}
    if isinstance(value, Mapping):
        return {str(key): _representable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_representable(item) for item in value)
    if value is None or isinstance(value, str | Quantity):
        return value
    if isinstance(value, Real) and math.isfinite(value):
        return value
    return str(value)
