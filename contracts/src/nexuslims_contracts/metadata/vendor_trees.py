"""What of a dataset's metadata people read in a record; its metadata file has all of it."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

PREFIXES: Final = (
    "axiovision", "blockfile", "bruker", "de", "dectris", "delmic", "ebsd", "edax", "eer", "elid",
    "empad", "emsa", "epu", "fei", "fibics", "gatan", "hitachi", "instrument", "jeol", "merlin",
    "nion", "openfibsem", "oxford", "phenom", "serialem", "sis", "smv", "tescan", "tofwerk",
    "tvips", "velox", "zeiss",
)  # fmt: skip
"""First words of the names that readers give to the tags of a vendor's software."""

FACTS: Final[Mapping[str, str]] = {
    "gatan_microscope_info_actual_magnification": "actual_magnification",
    "gatan_microscope_info_stem_camera_length": "stem_camera_length",
    "gatan_microscope_info_imaging_mode": "imaging_mode",
    "gatan_microscope_info_operation_mode": "operation_mode",
    "serialem_images": "images",
    "serialem_tilts_degree": "tilts_degree",
}
"""Tags of a tree that people look for, and for which there is no field, as the record has them."""

_PHASES_AND_STEPS: Final = re.compile(r"ebsd_(?:phases_\d+_(?:material_)?name|[xy]_?step)")

RESTATED: Final[Mapping[str, str]] = {
    "tecnai_c2_aperture": "condenser_aperture",
    "tecnai_obj_aperture": "objective_aperture",
    "tecnai_sa_aperture": "selected_area_aperture",
}
"""Extensions whose values say again what a core field says, where the dataset has that one."""

BOOKKEEPING: Final = frozenset({"tia_series", "tia_described"})
"""What a reader notes of how it went about a file: the record has the file's name already."""

TIME_SOURCE: Final = "creation_time_source"
FILE_TIME: Final = "file modification time"
NO_ZONE: Final = "no zone told"
"""What is in the source of a time that the file itself does not state, or not wholly."""

PLACEHOLDERS: Final = frozenset({"DO NOT EDIT", "DO NOT ENTER"})
"""Texts that stand in DigitalMicrograph's global info where nobody entered anything."""


@lru_cache(maxsize=8192)
def is_vendor_tree(name: str) -> bool:
    """Tell whether an extension is part of a vendor's tree of tags.

    Parameters
    ----------
    name
        Of the extension, in snake case.
    """
    return (
        name.partition("_")[0] in PREFIXES
        and name not in FACTS
        and not _PHASES_AND_STEPS.fullmatch(name)
    )


def fields_for_readers(metadata: Mapping[str, object]) -> dict[str, object]:
    """Return the core fields that a record shows: none that says what another one says.

    Parameters
    ----------
    metadata
        The core fields of a dataset.
    """
    device = metadata.get("acquisition_device")
    return {
        name: value
        for name, value in metadata.items()
        if not (isinstance(value, str) and value in PLACEHOLDERS)
        and not (name == "detector_type" and value == device)
    }


def extensions_for_readers(
    extensions: Mapping[str, object], metadata: Mapping[str, object]
) -> dict[str, object]:
    """Return the extensions that a record shows: no tree of tags, nothing that a field says.

    Parameters
    ----------
    extensions
        Of a dataset.
    metadata
        Its core fields.
    """
    return {
        FACTS.get(name, name): value
        for name, value in extensions.items()
        if (not is_vendor_tree(name) or (isinstance(value, dict) and "unit" in value))
        and name not in BOOKKEEPING
        and RESTATED.get(name) not in metadata
        and not (name in FACTS and value == 0)
        and not (name == TIME_SOURCE and _is_sure(str(value)))
    }


def _is_sure(source: str) -> bool:
    """Tell whether a file states its own time, offset and all or in the zone of its instrument."""
    return source != FILE_TIME and NO_ZONE not in source
