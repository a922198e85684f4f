"""Cameras of Direct Electron: movies as MRC files, with ``..._info.txt`` beside ``..._movie.mrc``.

References
----------
Properties of DE-Server as it writes them, each with its unit in its name; -1 where the server does
not know. Of the pixel in the MRC header the server writes the same -1.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from nexuslims_contracts.datasets import Axis
from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.locales.encodings import decode
from nexuslims_formats.model import Moment, Value
from nexuslims_formats.mrc.extended import Acquisition
from nexuslims_formats.quantities import TEXT, Row, mapped, number
from nexuslims_formats.sidecars import is_usable
from nexuslims_formats.times import from_unix, moment, reveal_offset

_LARGEST: Final = 4 << 20
_NO_NAME: Final = re.compile(r"[^a-z0-9]+")
_SERVER: Final = "Server Software Version"
_ON: Final = "Enable"
_ACQUISITION: Final = re.compile(r"\d{8}_\d+(?=_)")
_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "Instrument Accelerating Voltage (V)", "V"),
    ("magnification", "Instrument Project Magnification", "x"),
    ("camera_length", "Instrument Project Camera Length (centimeters)", "cm"),
    ("exposure_time", "Frame Exposure Time (nanoseconds)", "ns"),
    ("frame_time", "Frame Time (nanoseconds)", "ns"),
    ("detector_type", "Camera Name", TEXT),
)
_DWELL: tuple[Row, ...] = (("dwell_time", "Scan - Dwell Time (microseconds)", "us"),)


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """What the server wrote about an acquisition, by its own names; empty without such a file."""

    properties: Mapping[str, str] = field(default_factory=dict)

    def number(self, name: str) -> float:
        """Return a positive number; 0 where there is none."""
        value = number(self.properties.get(name))
        return value if value and value > 0 else 0.0

    @property
    def is_scan(self) -> bool:
        """Whether the beam was scanned line by line."""
        raster = self.properties.get("Scan - Type", "Raster") == "Raster"
        return raster and self.properties.get("Scan - Enable") == _ON

    def scan(self, frames: int) -> tuple[int, ...]:
        """Return repeats, rows and columns of a scan that gave so many frames; else nothing."""
        if not self.is_scan:
            return ()
        region = "ROI Size" if self.properties.get("Scan - ROI Enable") == _ON else "Size"
        rows, columns = (int(self.number(f"Scan - {region} {one}")) for one in "YX")
        if not rows * columns or frames % (rows * columns):
            return ()
        repeats = frames // (rows * columns)
        return (repeats, rows, columns) if repeats > 1 else (rows, columns)

    def acquisition(self) -> Acquisition:
        """Return the server's properties as fields."""
        rows = _FIELDS + (_DWELL if self.properties.get("Scan - Enable") == _ON else ())
        known = [row for row in rows if row[2] == TEXT or self.number(row[1])]
        metadata: dict[str, Value] = dict(mapped(self.properties.get, known))
        kept = {f"de_{_snake(name)}": text for name, text in self.properties.items() if text}
        return Acquisition(metadata=metadata, extensions=kept, acquired=self._acquired())

    def _acquired(self) -> Moment | None:
        local = moment("Local time", self.properties.get("Local time"))
        utc = from_unix(self.number("Timestamp (seconds since Epoch)"))
        if utc is None:
            return local if local.when else None
        return Moment(reveal_offset(local.when, utc), "Timestamp (seconds since Epoch)")

    def axes(self, shape: tuple[int, ...], scan: tuple[int, ...]) -> tuple[Axis, ...]:
        """Return the axes of frames, those of the scan first.

        Parameters
        ----------
        shape
            Of the whole array; the last two are the rows and columns of a frame.
        scan
            Of the scan, as :meth:`scan` gives it.
        """
        axes = [Axis(name="repeat", size=shape[0], navigate=True)] if len(scan) > 2 else []  # noqa: PLR2004
        for name, size, which in zip("yx", scan[-2:], "YX", strict=True):
            step = self.number(f"Specimen Pixel Size {which} (nanometers)")
            axes.append(_axis(name, size, step, "nm", navigate=True))
        for name, size, which in zip(("ky", "kx"), shape[-2:], "YX", strict=True):
            axes.append(_axis(name, size, self.number(f"Diffraction Pixel Size {which}"), "1/nm"))
        return tuple(axes)


def _axis(name: str, size: int, step: float, unit: str, *, navigate: bool = False) -> Axis:
    return Axis(
        name=name, size=size, scale=step or 1.0, unit=unit if step else "", navigate=navigate
    )


def _snake(name: str) -> str:
    return _NO_NAME.sub("_", name.lower()).strip("_")


def info_beside(path: Path) -> Path | None:
    """Return the file that describes a movie, or an image made of one, if it may be read.

    They begin with the day and the number of the acquisition, which may have a suffix, too.

    Raises
    ------
    UnsafeFileError
        It is a link that leads outside its folder.
    """
    name, _, kind = path.stem.rpartition("_")
    numbered = _ACQUISITION.match(path.stem)
    for begin in (name if kind else "", numbered[0] if numbered else ""):
        beside = path.with_name(f"{begin}_info.txt")
        if begin and is_usable(beside):
            return beside
    return None


def read_info(path: Path) -> CameraInfo:
    """Read what the server wrote beside a movie; nothing where there is no such file.

    Raises
    ------
    UnreadableFileError
        It is too long to be one.
    UnsafeFileError
        It is a link that leads outside its folder.
    """
    beside = info_beside(path)
    if beside is None:
        return CameraInfo()
    if beside.stat().st_size > _LARGEST:
        raise UnreadableFileError(f"{beside.name} has more than {_LARGEST >> 20} MiB")
    lines = (line.partition("=") for line in decode(beside.read_bytes())[0].splitlines())
    found: dict[str, Any] = {name.strip(): text.strip() for name, sign, text in lines if sign}
    return CameraInfo(found if _SERVER in found else {})
