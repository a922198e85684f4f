"""Reads the files of ACME microscopes: an example of an extractor, complete and small."""

from pathlib import Path
from typing import TYPE_CHECKING

from nexuslims_contracts.datasets import Axis
from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.model import ParsedFile, Signal, Value
from nexuslims_formats.quantities import number
from nexuslims_formats.times import moment

if TYPE_CHECKING:
    import numpy as np

MAGIC = b"ACME1\n"
MAX_HEADER = 64 * 1024
MAX_PIXELS = 1 << 28

# core field of the schema, the vendor's key, the vendor's unit: units are converted for you
FIELDS = (
    ("acceleration_voltage", "HighTension", "V"),
    ("working_distance", "WD", "mm"),
    ("dwell_time", "DwellTime", "us"),
)


class AcmeExtractor:
    """What the entry point in ``pyproject.toml`` names."""

    name = "acme"
    version = "1.0"  # raise it when the outcome for a file changes
    priority = 150  # the highest that supports a file reads it; ours have at most 150
    extensions = ("acm",)  # lower case, without dot; these are asked first

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the first 4096 bytes: names lie, and nothing is opened here."""
        del path
        return head.startswith(MAGIC)

    def open(self, path: Path) -> ParsedFile:
        """Read the header, and never the pixels: these are mapped when a preview wants them."""
        header, data_at = read_header(path)
        rows, columns = (int(number(header.get(key)) or 0) for key in ("Rows", "Columns"))
        if not 0 < rows * columns <= MAX_PIXELS:
            raise UnreadableFileError(f"the header claims {rows} x {columns} pixels")
        missing = data_at + 2 * rows * columns - path.stat().st_size
        metadata: dict[str, Value] = {
            field: (value, unit)
            for field, key, unit in FIELDS
            if (value := number(header.get(key))) is not None
        }
        pixel = number(header.get("PixelSize"))
        signal = Signal(
            name=path.stem,
            dataset_type="Image",
            data_type="SEM_Imaging",
            shape=(rows, columns),
            dtype="uint16",
            axes=tuple(
                Axis(name=name, size=size, scale=pixel or 1.0, unit="nm" if pixel else "")
                for name, size in (("y", rows), ("x", columns))
            ),
            metadata=metadata,
            extensions={f"acme_{key.lower()}": value for key, value in header.items()},
            acquired=moment("ACME Time", header.get("Time")),
            pixels=None if missing > 0 else lambda: map_pixels(path, data_at, (rows, columns)),
            problems=(f"the file lacks its last {missing} bytes",) if missing > 0 else (),
        )
        return ParsedFile(signals=[signal], native=header, reader=f"acme {self.version}")


def read_header(path: Path) -> tuple[dict[str, str], int]:
    """Return the header's keys and values, and where the pixels begin.

    Raises
    ------
    UnreadableFileError
        With a reason that a person understands: it is shown as it is.
    """
    with path.open("rb") as file:
        raw = file.read(MAX_HEADER)
    end = raw.find(b"\n\n")
    if end < 0:
        raise UnreadableFileError("the file ends within its header")
    lines = raw[len(MAGIC) : end].decode("utf-8", "replace").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line), end + 2


def map_pixels(path: Path, offset: int, shape: tuple[int, int]) -> "np.ndarray":
    """Map the pixels: a preview of a file larger than memory reads only what it shows."""
    import numpy as np  # noqa: PLC0415 - only when a preview is drawn

    return np.memmap(path, dtype="<u2", mode="r", offset=offset, shape=shape)
