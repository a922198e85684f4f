"""What the extractors of cameras' TIFF files share: structures, measured values, the time."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from nexuslims_formats.model import Moment, Value
from nexuslims_formats.quantities import Row, mapped
from nexuslims_formats.tiff.tags import DATE_TIME, Tiff
from nexuslims_formats.times import first_moment, moment
from nexuslims_formats.trees import nested


def read_structure(
    path: Path, name: Literal["tvips_metadata", "sis_metadata"]
) -> tuple[dict[str, Any], str]:
    """Return what a binary structure behind a private tag tells, as tifffile knows its layout.

    The image beside a damaged structure is as good as ever: the second of the pair says in words
    what is wrong, nothing is raised.

    Parameters
    ----------
    path
        The TIFF file.
    name
        tifffile's name of the structure.
    """
    from tifffile import TiffFile  # noqa: PLC0415 - two vendors' files only

    problem = f"its {name.replace('_', ' ')} cannot be read"
    try:
        with TiffFile(path) as file:
            structure = getattr(file, name)
    except Exception as error:  # noqa: BLE001 - whatever its parser did not foresee
        return {}, f"{problem}: {error}"
    # where it does not know the layout, it hands the tag's own value over
    return (dict(structure), "") if structure and isinstance(structure, Mapping) else ({}, problem)


def measured(structure: Mapping[str, Any], fields: tuple[Row, ...]) -> dict[str, Value]:
    """Return the fields of a table ``(field, vendor's name, unit)``; zero means not measured.

    Parameters
    ----------
    structure
        Value by name.
    fields
        The table; see :func:`~nexuslims_formats.quantities.mapped`.
    """
    return {
        field: value
        for field, value in mapped(nested(structure), fields)
        if not isinstance(value, tuple) or value[0] > 0
    }


def time_of_tag(tiff: Tiff) -> Moment | None:
    """Return the local time of TIFF's own tag."""
    return first_moment(moment("TIFF DateTime", tiff.text(DATE_TIME)))
