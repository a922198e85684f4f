"""Which extensions are a vendor's own tree of tags, and not facts that a reader worked out."""

from functools import lru_cache
from typing import Final

PREFIXES: Final = (
    "axiovision", "blockfile", "bruker", "delmic", "edax", "elid", "emsa", "fei", "gatan",
    "hitachi", "instrument", "jeol", "nion", "oxford", "phenom", "sis", "tescan", "tvips", "zeiss",
)  # fmt: skip
"""First words of the names that readers give to the tags of a vendor's software."""

FACTS: Final = frozenset(
    {
        "gatan_microscope_info_actual_magnification",
        "gatan_microscope_info_stem_camera_length",
        "gatan_microscope_info_imaging_mode",
        "gatan_microscope_info_operation_mode",
    }
)
"""Tags of a tree that people look for, and for which there is no field."""


@lru_cache(maxsize=8192)
def is_vendor_tree(name: str) -> bool:
    """Tell whether an extension is part of a vendor's tree of tags.

    Parameters
    ----------
    name
        Of the extension, in snake case.
    """
    return name not in FACTS and name.partition("_")[0] in PREFIXES
