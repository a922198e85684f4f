"""Patterns of EDAX: ``.up1`` of bytes, ``.up2`` of words.

References
----------
PyEBSDIndex and kikuchipy (``edax_binary``). Little-endian 32-bit integers: release, width, height,
place of the first pattern; from release 3 on a byte follows, then columns and rows, a byte that is
1 for a hexagonal grid, and both steps in um as doubles. Of release 2 nothing is known.
"""

import struct
from pathlib import Path
from typing import TYPE_CHECKING

from nexuslims_formats.ebsd.grid import Grid
from nexuslims_formats.ebsd.patterns import LARGEST_SIDE, pattern_file
from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.model import ParsedFile

if TYPE_CHECKING:
    import numpy as np

_HEAD, _GRID = struct.Struct("<4I"), struct.Struct("<x2IB2d")
_WITH_GRID = 3


class EdaxPatternsExtractor:
    """Reads the head; patterns are mapped for previews only."""

    name = "edax_patterns"
    version = "1.0"
    priority = 100
    extensions = ("up1", "up2")

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the ending, and by sizes that a pattern can have: there is no magic number."""
        if path.suffix.lower().removeprefix(".") not in self.extensions or len(head) < _HEAD.size:
            return False
        _, width, height, start = _HEAD.unpack_from(head)
        believable = all(0 < side <= LARGEST_SIDE for side in (width, height))
        return believable and bool(start >= _HEAD.size)

    def open(self, path: Path) -> ParsedFile:
        """Read the head; how many patterns there are follows from the size of the file."""
        with path.open("rb") as file:
            head = file.read(_HEAD.size + _GRID.size)
        release, width, height, start = _HEAD.unpack_from(head)
        dtype = "uint8" if path.suffix.lower() == ".up1" else "uint16"
        each = width * height * (1 if dtype == "uint8" else 2)
        count, rest = divmod(max(0, path.stat().st_size - start), each)
        if not count:
            raise UnreadableFileError("the file ends before its first pattern")
        grid = _grid(head) if release >= _WITH_GRID else None
        problem = "the file ends within a pattern" if rest else ""
        if grid and grid.rows * grid.columns != count:
            problem = f"the file holds {count} of its {grid.rows * grid.columns} patterns"
            grid = None
        shape = (*(grid.shape if grid else (count,)), height, width)

        def open_pixels() -> "np.ndarray":
            import numpy as np  # noqa: PLC0415 - previews only

            order = np.dtype(dtype).newbyteorder("<")
            return np.memmap(path, dtype=order, mode="r", offset=start, shape=shape)

        return pattern_file(path, shape, dtype, open_pixels, grid=grid, problem=problem)


def _grid(head: bytes) -> Grid | None:
    """Return the grid of a head; None where it is hexagonal, or not told."""
    if len(head) < _HEAD.size + _GRID.size:
        return None
    columns, rows, hexagonal, step_x, step_y = _GRID.unpack_from(head, _HEAD.size)
    return Grid(rows, columns, step_y, step_x) if rows and columns and not hexagonal else None
