"""What the extractors of cameras' TIFF files share: structures, measured values, the time."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nexuslims_formats.model import Moment, Value
from nexuslims_formats.quantities import Row, mapped
from nexuslims_formats.tiff.tags import DATE_TIME, Tiff
from nexuslims_formats.times import first_moment, moment
from nexuslims_formats.trees import nested


def read_structure(path: Path, vendor: str, *codes: int) -> tuple[dict[str, Any], str]:
    """Return what binary structures behind private tags tell, as tifffile knows their layouts.

    The image beside a damaged structure is as good as ever: the second of the pair says in words
    what is wrong, nothing is raised.

    Parameters
    ----------
    path
        The TIFF file.
    vendor
        Its name, for the words of what is wrong.
    codes
        Numbers of the tags, on any page; of an entry that several have, the first counts.
    """
    from tifffile import TiffFile  # noqa: PLC0415 - two vendors' files only

    problem = f"its {vendor} metadata cannot be read"
    found: dict[str, Any] = {}
    try:
        with TiffFile(path) as file:
            for page in file.pages:
                tags = page.aspage().tags
                for code in codes:
                    structure = tags.valueof(code)
                    # where it does not know the layout, it hands the tag's own value over
                    if isinstance(structure, Mapping):
                        found = {**structure, **found}
                if found:
                    break
    except Exception as error:  # noqa: BLE001 - whatever its parser did not foresee
        return {}, f"{problem}: {error}"
    return (found, "") if found else ({}, problem)


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
