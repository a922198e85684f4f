"""Arrays that NumPy saved (``.npy``): numbers of a shape and a type, and nothing that says of what.

References
----------
https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. What was pickled is never
loaded.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nexuslims_contracts.datasets import Axis
from nexuslims_formats.errors import UnreadableFileError, UnsupportedFileError
from nexuslims_formats.model import ParsedFile, Signal

if TYPE_CHECKING:
    import numpy as np

_MAGIC: Final = b"\x93NUMPY"
_UNDRAWN: Final = "nothing says what its numbers are of"


class NumpyExtractor:
    """Reads the header."""

    name = "numpy"
    version = "1.0"
    priority = 20
    extensions = ("npy",)
    endings: tuple[str, ...] = ()
    """Any software writes arrays, beside what they were made of."""

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the first bytes."""
        del path
        return head.startswith(_MAGIC)

    def open(self, path: Path) -> ParsedFile:
        """Read the header, and look at the length of the file."""
        shape, dtype, start = _read_header(path)
        if dtype.hasobject or dtype.names:
            raise UnsupportedFileError("an array of objects or records, not of numbers")
        if not all(side >= 0 for side in shape):
            raise UnreadableFileError(f"its header tells the shape {shape}")
        end, size = start + math.prod(shape) * dtype.itemsize, path.stat().st_size
        problem = f"the values end at byte {end}, but the file at {size}" if end > size else ""
        signal = Signal(
            name=path.stem,
            dataset_type="Misc",
            data_type="Array",
            shape=shape,
            dtype=dtype.name,
            axes=tuple(Axis(size=side) for side in shape),
            undrawn=_UNDRAWN,
            problems=(problem,) if problem else (),
        )
        return ParsedFile(signals=[signal], reader=f"npy {self.version}")


def _read_header(path: Path) -> tuple[tuple[int, ...], "np.dtype", int]:
    """Return shape, type, and where the values begin."""
    from numpy.lib import format as npy  # noqa: PLC0415 - files of this kind only

    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    with path.open("rb") as file:
        try:
            read = readers.get(npy.read_magic(file))
            shape, _, dtype = read(file) if read else ((), False, None)
        except Exception as error:  # noqa: BLE001 - a literal of Python: it raises anything
            raise UnreadableFileError(f"its header cannot be read: {error}") from None
        if dtype is None:
            raise UnsupportedFileError("an array of records, whose names are not in Latin letters")
        return shape, dtype, file.tell()
