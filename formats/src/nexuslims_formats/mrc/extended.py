"""What EPU and SerialEM write into the extended header of an MRC file, and into the ``.mdoc``.

References
----------
FEI1 and FEI2: "MRC2014 extended header" of Thermo Fisher, as the documentation of mrcfile lists it:
volts, metres, degrees and seconds; the time in days since 1899-12-30, UTC. SERI: IMOD,
https://bio3d.colorado.edu/imod/doc/mrc_format.txt. The ``.mdoc``: SerialEM,
https://bio3d.colorado.edu/SerialEM/hlp/html/about_formats.htm: kV, um, degrees, seconds; local
times.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from nexuslims_formats.model import Moment, Value
from nexuslims_formats.quantities import NUMBER, TEXT, Row, mapped, number
from nexuslims_formats.times import moment
from nexuslims_formats.values import lines_of

_EPOCH: Final = datetime(1899, 12, 30, tzinfo=UTC)
FEI_BLOCK: Final[tuple[tuple[str, int, str], ...]] = (
    ("timestamp", 12, "d"), ("microscope", 20, "16s"), ("d_number", 36, "16s"),
    ("application", 52, "16s"), ("application_version", 68, "16s"), ("high_tension", 84, "d"),
    ("dose", 92, "d"), ("alpha_tilt", 100, "d"), ("beta_tilt", 108, "d"), ("stage_x", 116, "d"),
    ("stage_y", 124, "d"), ("stage_z", 132, "d"), ("tilt_axis_angle", 140, "d"),
    ("pixel_size_x", 156, "d"), ("pixel_size_y", 164, "d"), ("defocus", 220, "d"),
    ("stem_defocus", 228, "d"), ("applied_defocus", 236, "d"), ("instrument_mode", 244, "i"),
    ("projection_mode", 248, "i"), ("probe_mode", 284, "i"), ("magnification", 289, "d"),
    ("camera_length", 301, "d"), ("spot_index", 309, "i"), ("illuminated_area", 313, "d"),
    ("convergence_angle", 329, "d"), ("illumination_mode", 337, "16s"), ("slit_width", 355, "d"),
    ("integration_time", 419, "d"), ("binning_width", 427, "i"), ("binning_height", 431, "i"),
    ("camera_name", 435, "16s"),
)  # fmt: skip
"""Name, offset, and code of what is read of a section's block."""
_FEI_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "high_tension", "V"),
    ("magnification", "magnification", "x"),
    ("stage_alpha", "alpha_tilt", "degree"),
    ("stage_beta", "beta_tilt", "degree"),
    ("stage_x", "stage_x", "m"),
    ("stage_y", "stage_y", "m"),
    ("stage_z", "stage_z", "m"),
    ("defocus", "defocus", "m"),
    ("exposure_time", "integration_time", "s"),
    ("spot_size", "spot_index", NUMBER),
    ("camera_length", "camera_length", "m"),
    ("slit_width", "slit_width", "eV"),
    ("convergence_angle", "convergence_angle", "rad"),
    ("microscope", "microscope", TEXT),
    ("acquisition_device", "camera_name", TEXT),
)
_SCANNING, _DIFFRACTING = 2, 1
"""Values of the instrument's mode and of the projector's."""
_ZERO_COUNTS: Final = {"stage_alpha", "stage_beta", "stage_x", "stage_y", "stage_z", "defocus"}
_MDOC_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "Voltage", "kV"),
    ("magnification", "Magnification", "x"),
    ("camera_length", "CameraLength", "mm"),
    ("stage_x", "StageX", "um"),
    ("stage_y", "StageY", "um"),
    ("stage_z", "StageZ", "um"),
    ("defocus", "Defocus", "um"),
    ("exposure_time", "ExposureTime", "s"),
    ("spot_size", "SpotSize", NUMBER),
)


@dataclass(frozen=True, slots=True)
class Acquisition:
    """What is known of how the sections were acquired."""

    metadata: Mapping[str, Value] = field(default_factory=dict)
    extensions: Mapping[str, Any] = field(default_factory=dict)
    acquired: Moment | None = None
    tilts: tuple[float, ...] = ()
    """Tilt of each section, in degrees."""
    diffraction: bool = False
    scanning: bool = False
    """Whether the beam was scanned."""


def read_fei(extended: bytes, order: str, sections: int) -> Acquisition:
    """Read the blocks of EPU and of FEI's tomography, one for each section.

    Parameters
    ----------
    extended
        The extended header.
    order
        Its byte order, ``<`` or ``>``.
    sections
        How many there are.
    """
    (size,) = struct.unpack_from(f"{order}i", extended) if len(extended) >= 4 else (0,)  # noqa: PLR2004
    last, at, code = FEI_BLOCK[-1][0], FEI_BLOCK[-1][1], FEI_BLOCK[-1][2]
    if size < at + struct.calcsize(code) or size > len(extended):
        return Acquisition(extensions={"mrc_extended_header": f"no block of {last}"})
    first = _fei_block(extended, 0, order)
    blocks = [_fei_block(extended, at, order) for at in range(0, len(extended) - size + 1, size)]
    tilts = [block["alpha_tilt"] for block in blocks[:sections]]
    counted = [row for row in _FEI_FIELDS if row[0] in _ZERO_COUNTS or first.get(row[1])]
    metadata = dict(mapped(first.get, counted))
    application = f"{first['application']} {first['application_version']}".strip()
    if application:
        metadata["software"] = application
    scanning = first["instrument_mode"] == _SCANNING
    if scanning and not first["integration_time"]:  # the camera named was not used
        metadata.pop("acquisition_device", None)
    elif first["binning_width"] > 0 and first["binning_height"] > 0:
        metadata["binning"] = f"{first['binning_width']} x {first['binning_height']}"
    days = first["timestamp"]
    known = math.isfinite(days) and 29_000 < days < 110_000  # noqa: PLR2004 - 1979 to 2201
    when = _EPOCH + timedelta(days=days) if known else None
    return Acquisition(
        metadata=metadata,
        extensions={f"fei_{name}": value for name, value in first.items() if value != ""},
        acquired=Moment(when, "extended MRC header") if when else None,
        diffraction=not scanning and first["projection_mode"] == _DIFFRACTING,
        scanning=scanning,
        tilts=tuple(tilts) if len(tilts) == sections > 1 else (),
    )


def _fei_block(extended: bytes, at: int, order: str) -> dict[str, Any]:
    block: dict[str, Any] = {}
    for name, offset, code in FEI_BLOCK:
        (value,) = struct.unpack_from(order + code, extended, at + offset)
        if isinstance(value, bytes):
            value = value.split(b"\0", 1)[0].decode("ascii", "replace").strip()
        block[name] = value
    return block


def read_serialem(
    extended: bytes, order: str, counts: tuple[int, int], sections: int
) -> Acquisition:
    """Read the short numbers that SerialEM keeps for each section.

    Parameters
    ----------
    extended
        The extended header.
    order
        Its byte order, ``<`` or ``>``.
    counts
        Bytes a section, and flags that say which numbers are there.
    sections
        How many there are.
    """
    size, flags = counts
    if size <= 0 or size * sections > len(extended):
        return Acquisition()
    tilts: list[float] = []
    metadata: dict[str, Value] = {}
    for section in range(sections):
        at = section * size
        if flags & 1:
            tilts.append(struct.unpack_from(f"{order}h", extended, at)[0] / 100)
            at += 2
        at += 6 if flags & 2 else 0
        if flags & 4 and section == 0:
            x, y = struct.unpack_from(f"{order}2h", extended, at)
            metadata |= {"stage_x": (x / 25, "um"), "stage_y": (y / 25, "um")}
        at += 4 if flags & 4 else 0
        if flags & 8 and section == 0:
            metadata["magnification"] = (
                struct.unpack_from(f"{order}h", extended, at)[0] * 100.0,
                "x",
            )
    if tilts and sections == 1:
        metadata["stage_alpha"] = (tilts[0], "degree")
    return Acquisition(metadata=metadata, tilts=tuple(tilts) if len(tilts) > 1 else ())


def read_mdoc(text: str, sections: int) -> Acquisition:
    """Read SerialEM's ``.mdoc``: entries of the file, then those of each section.

    Parameters
    ----------
    text
        Of the file.
    sections
        How many the image has.
    """
    general: dict[str, str] = {}
    parts: list[dict[str, str]] = []
    current = general
    for line in lines_of(text):
        entry = line.strip()
        if entry.startswith("[ZValue"):
            current = {}
            parts.append(current)
        elif entry.startswith("["):
            general.setdefault("Titles", entry.strip("[] "))
        elif "=" in entry:
            name, _, value = entry.partition("=")
            current.setdefault(name.strip(), value.strip())
    first = general | (parts[0] if parts else {})
    if place := first.get("StagePosition", "").split():
        first |= dict(zip(("StageX", "StageY"), place, strict=False))
    metadata = dict(mapped(first.get, _MDOC_FIELDS))
    if version := first.get("Version", ""):
        metadata["software"] = version
    tilts = [found for part in parts if (found := number(part.get("TiltAngle"))) is not None]
    if len(tilts) == 1:
        metadata["stage_alpha"] = (tilts[0], "degree")
    return Acquisition(
        metadata=metadata,
        extensions={f"serialem_{name.lower()}": value for name, value in first.items()},
        acquired=moment("mdoc DateTime", first.get("DateTime")),
        tilts=tuple(tilts) if len(tilts) == sections > 1 else (),
        diffraction="CameraLength" in first,
    )
