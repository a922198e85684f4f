"""Large compressed TIFF pages for previews: decoded piece by piece, few of the pixels kept."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from nexuslims_formats.errors import LimitExceededError

if TYPE_CHECKING:
    import numpy as np


_LARGEST_PIECE = 1 << 30
_LONGEST = 1 << 16
"""Pixels that the longer side has left at most."""


def decoded_sparsely(path: Path, page: int, shape: tuple[int, ...], side: int) -> "np.ndarray":
    """Return every second, third, ... pixel of a page in both directions.

    Parameters
    ----------
    path, page
        The file, and which of its pages.
    shape
        ``(rows, columns)``, or with the samples of a pixel behind them.
    side
        The shorter side has about so many pixels left, at least.

    Raises
    ------
    LimitExceededError
        A piece unpacks to more than a worker's memory holds.
    """
    import numpy as np  # noqa: PLC0415 - previews only
    from tifffile import TiffFile  # noqa: PLC0415 - compressed images only

    step = max(1, min(shape[:2]) // side, max(shape[:2]) // _LONGEST)
    samples = math.prod(shape[2:])
    with TiffFile(path) as file:
        pieces = file.pages[page].aspage()
        unpacked = math.prod(pieces.chunks) * np.dtype(pieces.dtype).itemsize
        if unpacked > _LARGEST_PIECE:
            raise LimitExceededError(f"a piece of the image unpacks to {unpacked} bytes")
        picture = np.zeros((*(-(-size // step) for size in shape[:2]), samples), pieces.dtype)
        # a strip or tile: its bytes decoded as (1, rows, columns, samples); where it lies
        for piece, (plane, _, top, left, _), _ in pieces.segments(maxworkers=1):
            if piece is None:  # none is stored
                continue
            part = piece[0, -top % step :: step, -left % step :: step]
            down, across = -(-top // step), -(-left // step)
            target = picture[down : down + part.shape[0], across : across + part.shape[1]]
            part = part[: target.shape[0], : target.shape[1]]
            target[..., plane : plane + part.shape[2]] = part
    return picture.reshape(*picture.shape[:2], *shape[2:])
