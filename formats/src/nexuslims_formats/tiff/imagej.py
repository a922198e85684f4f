r"""What ImageJ and Fiji write: lines of ``name=value`` in the description of the first page.

References
----------
The resolution tags count pixels in ``unit``, of rows in ``yunit`` if that is another. What is
outside of ASCII is escaped (``\u00B5m``). A stack of more than 4 GB, and every stack that is saved
raw, has one directory: its ``images`` lie one after the other behind the first (ImageJ's
TiffEncoder and TiffDecoder).
"""

import math
import re
from collections.abc import Mapping

from nexuslims_formats.quantities import converted, unit_of_length
from nexuslims_formats.tiff.tags import (
    COMPRESSION,
    DESCRIPTION,
    STRIP_OFFSETS,
    X_RESOLUTION,
    Y_RESOLUTION,
    Tiff,
)
from nexuslims_formats.values import lines_of

_ESCAPED = re.compile(r"\\u([0-9A-Fa-f]{4})")


def imagej_entries(tiff: Tiff) -> Mapping[str, str]:
    """Return the entries of ImageJ's description; empty for the file of another program."""
    text = tiff.text(DESCRIPTION)
    if not text.startswith("ImageJ="):
        return {}
    pairs = (line.partition("=") for line in lines_of(text))
    return {name.strip(): _unescaped(value.strip()) for name, sign, value in pairs if sign}


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def imagej_pixel_size(tiff: Tiff, entries: Mapping[str, str]) -> tuple[float, float] | None:
    """Return height and width of a pixel in metres; None where the unit is no length.

    Parameters
    ----------
    tiff
        The file.
    entries
        Those of its description.
    """
    unit = entries.get("unit", "")
    down = _size(tiff, Y_RESOLUTION, unit_of_length(entries.get("yunit", unit)))
    across = _size(tiff, X_RESOLUTION, unit_of_length(unit))
    return (down, across) if down and across else None


def _size(tiff: Tiff, code: int, unit: str) -> float | None:
    per_unit = next(iter(tiff.numbers(code)), 0.0)
    if not math.isfinite(per_unit) or per_unit <= 0:
        return None
    return converted((1 / per_unit, unit), "m")


def frames_behind(tiff: Tiff, frame_bytes: int) -> tuple[int, int]:
    """Return how many frames a file with one directory says it has, and how many are there.

    Parameters
    ----------
    tiff
        The file.
    frame_bytes
        Of one frame.
    """
    if len(tiff.pages) > 1 or tiff.integer(COMPRESSION, 0, 1) != 1 or not frame_bytes:
        return 1, 1
    images = imagej_entries(tiff).get("images", "")
    claimed = int(images) if images.isdecimal() else 1
    room = tiff.path.stat().st_size - tiff.integer(STRIP_OFFSETS)
    return max(1, claimed), max(1, min(claimed, room // frame_bytes))
