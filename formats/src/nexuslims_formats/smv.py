"""SMV, the diffraction images of crystallographers and microED: a header of text, then pixels.

References
----------
https://wiki.uni-konstanz.de/ccp4/index.php/SMV_file_format: ``NAME=value;`` between braces, in the
first ``HEADER_BYTES``; lengths in mm, the wavelength in angstrom, ``TIME`` is the exposure in s.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nexuslims_contracts.datasets import Axis
from nexuslims_formats.errors import LimitExceededError, UnreadableFileError
from nexuslims_formats.model import ParsedFile, Signal, Value
from nexuslims_formats.quantities import Row, mapped, number
from nexuslims_formats.times import moment
from nexuslims_formats.values import leaves

if TYPE_CHECKING:
    import numpy as np

_BEGINS: Final = re.compile(rb"\{\s*HEADER_BYTES=\s*(\d{1,6})\s*;")
_ENTRY: Final = re.compile(r"\s*([A-Z][A-Z0-9_]*)=\s*(.*?)\s*;", re.IGNORECASE)
_TYPES: Final = {
    "unsigned_byte": "uint8", "unsigned_short": "uint16", "signed_short": "int16",
    "unsigned_long": "uint32", "signed_long": "int32", "long": "int32", "float": "float32",
}  # fmt: skip
_LARGEST_SIDE: Final = 1 << 16
_FIELDS: tuple[Row, ...] = (
    ("exposure_time", "TIME", "s"),
    ("camera_length", "DISTANCE", "mm"),
    ("acquisition_device", "DETECTOR_SN", "text"),
)
_UNKNOWN: Final = ("", "unknown")


class SmvExtractor:
    """Reads the header; pixels are mapped for previews only."""

    name = "smv"
    version = "1.0"
    priority = 90
    extensions = ("img",)

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the first entry of the header."""
        del path
        return _BEGINS.match(head) is not None

    def open(self, path: Path) -> ParsedFile:
        """Read the header, and look at the length of the file."""
        entries, start = _read_header(path)
        rows, columns = (_side(entries.get(name)) for name in ("SIZE2", "SIZE1"))
        dtype = _TYPES.get(entries.get("TYPE", "").lower())
        if dtype is None:
            raise UnreadableFileError(f"its pixels are of the unknown type {entries.get('TYPE')!r}")
        is_big = entries.get("BYTE_ORDER", "").lower().startswith("big")
        shape, end = (rows, columns), start + rows * columns * _bytes(dtype)
        size = path.stat().st_size
        problem = f"the image ends at byte {end}, but the file at {size}" if end > size else ""
        step = _step(entries)
        metadata: dict[str, Value] = {
            name: value
            for name, value in mapped(entries.get, _FIELDS)
            if str(value).lower() not in _UNKNOWN
        }
        signal = Signal(
            name=path.stem,
            dataset_type="Diffraction",
            data_type="TEM_Diffraction",
            shape=shape,
            dtype=dtype,
            axes=tuple(
                Axis(name=name, size=side, scale=step or 1.0, unit="1/nm" if step else "")
                for name, side in zip("yx", shape, strict=True)
            ),
            metadata=metadata,
            extensions=dict(leaves(entries, "smv")),
            acquired=moment("DATE", entries.get("DATE")),
            pixels=None if problem else lambda: _map(path, dtype, start, shape, is_big=is_big),
            problems=(problem,) if problem else (),
        )
        return ParsedFile(signals=[signal], native=entries, reader=f"smv {self.version}")


def _read_header(path: Path) -> tuple[dict[str, str], int]:
    """Return the entries of the header, and where it ends."""
    with path.open("rb") as file:
        match = _BEGINS.match(file.read(64))
        length = int(match[1]) if match else 0
        file.seek(0)
        raw = file.read(length)
    if not length or len(raw) < length:
        raise UnreadableFileError("the file ends within its header")
    text = raw.split(b"}", 1)[0].decode("latin-1")
    return {name.upper(): value for name, value in _ENTRY.findall(text.lstrip("{"))}, length


def _side(text: str | None) -> int:
    found = number(text) or 0
    if not 0 < found <= _LARGEST_SIDE:
        raise LimitExceededError(f"the header claims a side of {text} pixels")
    return int(found)


def _bytes(dtype: str) -> int:
    return int(re.sub(r"\D", "", dtype)) // 8


def _step(entries: Mapping[str, str]) -> float:
    """Return the step of the pattern in 1/nm; 0 where the geometry is not told."""
    pixel, distance, wavelength = (
        number(entries.get(name)) or 0.0 for name in ("PIXEL_SIZE", "DISTANCE", "WAVELENGTH")
    )
    known = all(math.isfinite(one) and one > 0 for one in (pixel, distance, wavelength))
    return pixel / distance / wavelength * 10 if known else 0.0


def _map(
    path: Path, dtype: str, start: int, shape: tuple[int, int], *, is_big: bool
) -> "np.ndarray":
    import numpy as np  # noqa: PLC0415 - previews only

    kind = np.dtype(dtype).newbyteorder(">" if is_big else "<")
    return np.memmap(path, kind, "r", offset=start, shape=shape)
