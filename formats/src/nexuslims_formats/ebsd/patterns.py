"""Patterns alone, without a map: what the readers of EDAX and Oxford share."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nexuslims_contracts.datasets import Axis
from nexuslims_formats.ebsd.grid import DATA_TYPE, Grid
from nexuslims_formats.model import ParsedFile, Signal

if TYPE_CHECKING:
    import numpy as np

LARGEST_SIDE: Final = 8192
"""Pixels of a camera's side that are believed."""


def pattern_file(
    path: Path,
    shape: tuple[int, ...],
    dtype: str,
    pixels: "Callable[[], np.ndarray]",
    *,
    grid: Grid | None,
    problem: str = "",
) -> ParsedFile:
    """Return the one dataset of a file of patterns.

    Parameters
    ----------
    path
        The file.
    shape
        ``(rows, columns, height, width)`` on a grid, otherwise ``(patterns, height, width)``.
    dtype
        Of a pixel.
    pixels
        Opens the patterns.
    grid
        Where they were taken, if that is told.
    problem
        What is missing.
    """
    points = grid.axes() if grid else (Axis(name="pattern", size=shape[0], navigate=True),)
    sides = (Axis(name="pattern_y", size=shape[-2]), Axis(name="pattern_x", size=shape[-1]))
    signal = Signal(
        name=path.stem,
        dataset_type="Diffraction",
        data_type=DATA_TYPE,
        shape=shape,
        dtype=dtype,
        axes=(*points, *sides),
        extensions=grid.extensions() if grid else {},
        pixels=pixels if math.prod(shape) else None,
        problems=(problem,) if problem else (),
    )
    return ParsedFile(signals=[signal], reader="head of patterns")
