"""NanoMEGAS blockfiles: a diffraction pattern for each point of a scan, behind a fixed header.

References
----------
Fields, their units and the six bytes before each pattern as in HyperSpy's
https://hyperspy.org/rosettasciio/file_specification/ and measured on ASTAR's own files: pixel
sizes in nm, the camera length in tenths of a mm, angles in hundredths of a degree, the voltage in
V, pixels of the camera in hundredths per cm, the time in days since 1899-12-30, local.
"""

import math
import struct
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nexuslims_contracts.datasets import Axis
from nexuslims_contracts.text import clean_text
from nexuslims_formats.errors import LimitExceededError, UnreadableFileError
from nexuslims_formats.model import Moment, ParsedFile, Signal, Value

if TYPE_CHECKING:
    import numpy as np

MAGIC: Final = b"IMGBLO"
_HEADER: Final = struct.Struct("<6sHIIIHHHHHddIHId")
_NAMES: Final = (
    "id", "magic", "offset_navigator", "offset_patterns", "flags", "pattern_size",
    "pattern_rotation", "columns", "rows", "scan_rotation", "pixel_width", "pixel_height",
    "beam_energy", "camera_pixels_per_cm", "camera_length", "acquisition_time",
)  # fmt: skip
_FRAME_HEAD: Final = 6
_NOTE_BYTES: Final = 1 << 16
_MOST_VALUES: Final = 1 << 40
_EPOCH: Final = datetime(1899, 12, 30)  # noqa: DTZ001 - local time, as the file has it


class BlockfileExtractor:
    """Reads the header; patterns are mapped for previews only."""

    name = "blockfile"
    version = "1.0"
    priority = 100
    extensions = ("blo",)

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the magic word."""
        del path
        return head.startswith(MAGIC)

    def open(self, path: Path) -> ParsedFile:
        """Read the header and the note behind it."""
        header, note = _read_header(path)
        rows, columns, side = header["rows"], header["columns"], header["pattern_size"]
        shape = (rows, columns, side, side)
        if math.prod(shape) > _MOST_VALUES:
            raise LimitExceededError(f"the blockfile claims {rows} x {columns} x {side} x {side}")
        missing = _missing(path, header)
        when = _acquired(header["acquisition_time"])
        signal = Signal(
            name=path.stem,
            dataset_type="Diffraction",
            data_type="TEM_Diffraction",
            shape=shape,
            dtype="uint8",
            axes=_axes(header),
            metadata=dict(_metadata(header)),
            extensions={f"blockfile_{name}": value for name, value in header.items()},
            acquired=Moment(when, "blockfile header") if when else None,
            pixels=None if missing else lambda: _map_patterns(path, header),
            problems=(missing,) if missing else (),
        )
        native = {**header, "note": note}
        return ParsedFile(signals=[signal], native=native, reader=f"blockfile {self.version}")


def _read_header(path: Path) -> tuple[dict[str, Any], str]:
    with path.open("rb") as file:
        raw = file.read(_HEADER.size)
        if len(raw) < _HEADER.size:
            raise UnreadableFileError("the file ends within its blockfile header")
        header = dict(zip(_NAMES, _HEADER.unpack(raw), strict=True))
        file.seek(_HEADER.size + 22 * 8)  # centring and distortion of the patterns
        length = header["offset_navigator"] - file.tell()
        note = file.read(min(max(length, 0), _NOTE_BYTES)).decode("latin-1").strip("\0")
    del header["id"], header["magic"]
    return header, clean_text(note)


def _missing(path: Path, header: dict[str, Any]) -> str:
    """Return in words what of the patterns is not in the file; empty where all are."""
    frame = header["pattern_size"] ** 2 + _FRAME_HEAD
    expected = header["rows"] * header["columns"]
    held = max(0, path.stat().st_size - header["offset_patterns"]) // max(frame, 1)
    if held >= expected:
        return ""
    return f"the file ends after {held} of its {expected} diffraction patterns"


def _axes(header: dict[str, Any]) -> tuple[Axis, ...]:
    axes = []
    for name, size, scale in (
        ("y", header["rows"], header["pixel_height"]),
        ("x", header["columns"], header["pixel_width"]),
    ):
        known = math.isfinite(scale) and scale > 0
        axes.append(
            Axis(
                name=name,
                size=size,
                scale=scale if known else 1.0,
                unit="nm" if known else "",
                navigate=True,
            )
        )
    density = header["camera_pixels_per_cm"]
    pitch = 100.0 / density if density else 1.0
    for name in ("dy", "dx"):
        unit = "cm" if density else ""
        axes.append(Axis(name=name, size=header["pattern_size"], scale=pitch, unit=unit))
    return tuple(axes)


def _metadata(header: dict[str, Any]) -> "dict[str, Value]":
    found: dict[str, Value] = {}
    if header["beam_energy"]:
        found["acceleration_voltage"] = (float(header["beam_energy"]), "V")
    if header["camera_length"]:
        found["camera_length"] = (header["camera_length"] / 10, "mm")
    found["scan_rotation"] = (header["scan_rotation"] / 100, "degree")
    return found


def _acquired(days: float) -> datetime | None:
    if not 1 < days < 110_000:  # noqa: PLR2004 - until the year 2201
        return None
    return _EPOCH + timedelta(seconds=round(days * 86400))


def _map_patterns(path: Path, header: dict[str, Any]) -> "np.ndarray":
    import numpy as np  # noqa: PLC0415 - previews only

    side = header["pattern_size"]
    frame = np.dtype([("head", np.uint8, _FRAME_HEAD), ("pattern", np.uint8, (side, side))])
    frames = np.memmap(
        path,
        dtype=frame,
        mode="r",
        offset=header["offset_patterns"],
        shape=(header["rows"], header["columns"]),
    )
    patterns: np.ndarray = frames["pattern"]
    return patterns
