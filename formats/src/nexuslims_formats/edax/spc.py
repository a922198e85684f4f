"""EDAX ``.spc``: an X-ray spectrum behind a header of fixed places.

References
----------
EDAX's own description of SPECTRUM-V70, as HyperSpy publishes it. Numbers are little-endian; date
and time are the bytes that DOS gave a program: day and month, minute, hour, hundredths, second.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nexuslims_contracts.datasets import Axis
from nexuslims_formats.energy import calibration, energy_axis, microscope_kind
from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.locales.encodings import decode
from nexuslims_formats.model import Moment, ParsedFile, Signal, Value

if TYPE_CHECKING:
    import numpy as np

_HEADER: Final = 736
_VERSIONS: Final = (0.1, 1.5)
_MOST_CHANNELS: Final = 1 << 14
_PLACES: Final = {
    "data_start": ("i", 28), "channels": ("h", 32), "intersecting_distance": ("h", 34),
    "working_distance": ("h", 36), "ev_per_channel": ("i", 384), "start_energy": ("f", 448),
    "end_energy": ("f", 452), "live_time": ("f", 456), "tilt": ("f", 460), "takeoff": ("f", 464),
    "detector_resolution": ("f", 472), "detector_type": ("I", 476), "azimuth": ("f", 508),
    "elevation": ("f", 512), "kv": ("f", 532), "elements": ("h", 638),
}  # fmt: skip
"""Name, type and first byte."""
_DATE: Final = struct.Struct("<h6b")
_DATE_PLACE: Final = 16
_LABEL: Final = slice(64, 320)
_FIELDS: Final = (
    ("acceleration_voltage", "kv", "kV"),
    ("stage_alpha", "tilt", "degree"),
    ("live_time", "live_time", "s"),
    ("detector_energy_resolution", "detector_resolution", "eV"),
    ("azimuthal_angle", "azimuth", "degree"),
    ("elevation_angle", "elevation", "degree"),
    ("takeoff_angle", "takeoff", "degree"),
)


@dataclass(frozen=True, slots=True)
class SpcHeader:
    """What the header of a spectrum tells."""

    values: dict[str, float]
    label: str
    acquired: Moment | None

    @property
    def axis(self) -> Axis:
        """Return the axis of its channels."""
        width = self.values["ev_per_channel"] / 1000
        start = self.values["start_energy"]
        return energy_axis(int(self.values["channels"]), width, start, "keV")

    def metadata(self) -> dict[str, Value]:
        """Return the core fields."""
        found: dict[str, Value] = {
            field: (self.values[name], unit)
            if math.isfinite(self.values[name])
            else str(self.values[name])  # which is reported
            for field, name, unit in _FIELDS
        }
        return found | calibration([self.axis])

    def extensions(self) -> dict[str, Any]:
        """Return the values of the header; the distances are those of the detector's geometry."""
        return {f"edax_{name}": value for name, value in self.values.items()}


class EdaxSpectrumExtractor:
    """Reads the header; the counts for a preview only."""

    name = "edax_spc"
    version = "1.0"
    priority = 60
    extensions = ("spc",)

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the version, a number between, and by a header that is one."""
        return path.suffix.lower() == ".spc" and _is_header(head)

    def open(self, path: Path) -> ParsedFile:
        """Read the header."""
        header = read_spc(path)
        voltage = header.metadata().get("acceleration_voltage")
        size = header.axis.size
        start = int(header.values["data_start"])
        held = max(0, path.stat().st_size - start) // 4
        problem = f"the file ends after {held} of its {size} channels" if held < size else ""
        signal = Signal(
            name=header.label or "EDS Spectrum",
            dataset_type="Spectrum",
            data_type=f"{microscope_kind(voltage)}_EDS",
            shape=(size,),
            dtype="uint32",
            axes=(header.axis,),
            metadata=header.metadata(),
            extensions=header.extensions(),
            acquired=header.acquired,
            pixels=None if problem else lambda: _counts(path, start, size),
            problems=(problem,) if problem else (),
        )
        return ParsedFile(signals=[signal], native=header.values, reader=f"spc {self.version}")


def read_spc(path: Path) -> SpcHeader:
    """Read the header of a spectrum.

    Raises
    ------
    UnreadableFileError
        It is none, or damaged.
    """
    with path.open("rb") as file:
        raw = file.read(_HEADER)
    if len(raw) < _HEADER:
        raise UnreadableFileError("the file ends within its SPC header")
    values = dict(_values(raw))
    if not values["data_start"] >= _HEADER or not 0 < values["channels"] <= _MOST_CHANNELS:
        raise UnreadableFileError(
            f"the SPC header places {values['channels']} channels at byte {values['data_start']}"
        )
    label = decode(raw[_LABEL].split(b"\0", 1)[0])[0].strip()
    return SpcHeader(values, label, _acquired(raw))


def _is_header(head: bytes) -> bool:
    if len(head) < _HEADER:
        return False
    (version,) = struct.unpack_from("<f", head)
    return bool(_VERSIONS[0] <= version <= _VERSIONS[1])


def _values(raw: bytes) -> Iterator[tuple[str, Any]]:
    """Yield the numbers; those of single precision as their shortest decimal form."""
    for name, (kind, place) in _PLACES.items():
        (value,) = struct.unpack_from(f"<{kind}", raw, place)
        yield name, float(f"{value:.7g}") if kind == "f" else value


def _acquired(raw: bytes) -> Moment | None:
    year, day, month, minute, hour, _, second = _DATE.unpack_from(raw, _DATE_PLACE)
    if not any((year, day, month)):
        return None
    try:
        when = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - local
    except ValueError:
        text = f"{year}-{month}-{day} {hour}:{minute}:{second}"
        return Moment(None, "SPC header", problem=f"the time {text} (SPC header) cannot be read")
    return Moment(when, "SPC header")


def _counts(path: Path, start: int, size: int) -> "np.ndarray":
    import numpy as np  # noqa: PLC0415 - previews only

    return np.fromfile(path, "<u4", size, offset=start)
