"""Binary structures that vendors point to from a private tag; tifffile knows their layout."""

from pathlib import Path
from typing import Any, Literal


def read_structure(
    path: Path, name: Literal["tvips_metadata", "sis_metadata"]
) -> tuple[dict[str, Any], str]:
    """Return what a structure tells, and in words what is wrong with it.

    The image beside a damaged structure is as good as ever: nothing is raised for it.
    """
    from tifffile import TiffFile  # noqa: PLC0415 - two vendors' files only

    try:
        with TiffFile(path) as file:
            told = getattr(file, name)
    except Exception as error:  # noqa: BLE001 - whatever its parser did not foresee
        return {}, f"its {name.replace('_', ' ')} is damaged: {error}"
    if not told:
        return {}, f"its {name.replace('_', ' ')} is damaged"
    return dict(told), ""
