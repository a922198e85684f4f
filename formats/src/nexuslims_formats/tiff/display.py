"""From the values that a TIFF page stores to those that a viewer shows."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from nexuslims_formats.tiff.tags import COLOUR_MAP, PHOTOMETRIC, Tiff

if TYPE_CHECKING:
    import numpy as np

ToDisplay: TypeAlias = "Callable[[np.ndarray], np.ndarray]"

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _PALETTE, _SEPARATED = 0, 1, 3, 5
_BYTE = 255
_INKS = 4


def to_display(tiff: Tiff, page: int) -> "ToDisplay | None":
    """Return what turns the values of a page into grey or RGB; None where they are that already.

    White may be zero, values may be indices of a palette, colours may be amounts of four inks
    (TIFF 6.0, tag PhotometricInterpretation).

    Parameters
    ----------
    tiff
        The file.
    page
        Number of the directory.
    """
    meaning = tiff.integer(PHOTOMETRIC, page, _BLACK_IS_ZERO)
    if meaning == _WHITE_IS_ZERO:
        return _inverted
    if meaning == _SEPARATED:
        return _mixed_inks
    colours = [int(value) for value in tiff.numbers(COLOUR_MAP, page)]
    if meaning == _PALETTE and colours and len(colours) % 3 == 0:
        return lambda indices: _looked_up(indices, colours)
    return None


def _inverted(values: "np.ndarray") -> "np.ndarray":
    import numpy as np  # noqa: PLC0415 - previews only

    if values.dtype.kind == "b":
        turned: np.ndarray = ~values
    elif values.dtype.kind == "u":
        turned = np.iinfo(values.dtype).max - values
    else:
        turned = -values
    return turned


def _looked_up(indices: "np.ndarray", colours: list[int]) -> "np.ndarray":
    """Return the RGB of a palette: all its reds, all its greens, all its blues, as 16-bit words."""
    import numpy as np  # noqa: PLC0415 - previews only

    table = np.array(colours).reshape(3, -1).T
    if table.max() > _BYTE:  # some programs write bytes into the words
        table = table >> 8
    picked: np.ndarray = table.astype(np.uint8)[np.minimum(indices, len(table) - 1)]
    return picked


def _mixed_inks(inks: "np.ndarray") -> "np.ndarray":
    """Return the RGB of cyan, magenta, yellow and black."""
    import numpy as np  # noqa: PLC0415 - previews only

    if inks.ndim < 3 or inks.shape[-1] < _INKS or inks.dtype.kind != "u":  # noqa: PLR2004
        return inks
    paper = 1 - inks[..., :_INKS].astype(np.float32) / np.iinfo(inks.dtype).max
    mixed: np.ndarray = np.rint(paper[..., :3] * paper[..., 3:] * _BYTE).astype(np.uint8)
    return mixed
