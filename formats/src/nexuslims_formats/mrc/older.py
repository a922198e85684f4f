"""What MRC files tell that name no kind of extended header: FEI's of old, and SerialEM's titles.

References
----------
IMOD, https://bio3d.colorado.edu/imod/doc/mrc_format.txt: FEI's software wrote 1024 blocks of 32
reals, in metres, degrees and seconds (older ones in um, told by values above 1). SerialEM's first
title ends with the local time at which the file was made.
"""

import re
import struct
from typing import Any, Final

from nexuslims_formats.model import Value
from nexuslims_formats.mrc.extended import Acquisition
from nexuslims_formats.quantities import NUMBER, Row, mapped
from nexuslims_formats.times import moment

OLD_FEI_BYTES: Final = 128
_BLOCKS: Final = 1024
OLD_FEI_NAMES: Final = (
    "alpha_tilt", "beta_tilt", "stage_x", "stage_y", "stage_z", "shift_x", "shift_y", "defocus",
    "exposure_time", "mean_intensity", "tilt_axis_angle", "pixel_size", "magnification",
    "high_tension", "binning", "applied_defocus",
)  # fmt: skip
_FIELDS: tuple[Row, ...] = (
    ("stage_alpha", "alpha_tilt", "degree"),
    ("stage_beta", "beta_tilt", "degree"),
    ("exposure_time", "exposure_time", "s"),
    ("magnification", "magnification", "x"),
    ("acceleration_voltage", "high_tension", "V"),
)
_LENGTHS: Final = ("stage_x", "stage_y", "stage_z", "defocus")
"""In metres, unless a value is above 1: then they are um."""
_ZERO_COUNTS: Final = ("stage_alpha", "stage_beta")
_PER_KILOVOLT: Final = 1000
_SERIALEM: Final = re.compile(r"SerialEM:.*?(\d{1,2}-\w{3}-\d{2,4})\s+(\d{1,2}:\d\d:\d\d)\s*$")
_TITLES: tuple[tuple[str, str, str], ...] = (
    ("spot_size", r"\bspot = (\d+)", NUMBER),
    ("binning", r"\bbinning = ([\d.]+)", NUMBER),
)


def is_old_fei(extended: bytes, kind: str, labels: tuple[str, ...]) -> bool:
    """Tell whether an extended header is the one of FEI's software before its kind was named.

    Parameters
    ----------
    extended
        The extended header.
    kind
        What the header names it.
    labels
        The titles of the file.
    """
    named = any(label.lower().startswith("fei") for label in labels)
    whole = len(extended) == OLD_FEI_BYTES * _BLOCKS
    return not kind and (whole or (named and len(extended) >= OLD_FEI_BYTES))


def read_old_fei(extended: bytes, order: str, sections: int) -> Acquisition:
    """Read the blocks of FEI's software of old, one for each section.

    Parameters
    ----------
    extended
        The extended header.
    order
        Its byte order, ``<`` or ``>``.
    sections
        How many there are.
    """
    count = min(sections, len(extended) // OLD_FEI_BYTES)
    code = struct.Struct(f"{order}{len(OLD_FEI_NAMES)}f")
    blocks = [
        dict(zip(OLD_FEI_NAMES, code.unpack_from(extended, index * OLD_FEI_BYTES), strict=True))
        for index in range(count)
    ]
    first: dict[str, Any] = blocks[0]
    if not first["magnification"] and not first["pixel_size"]:
        return Acquisition()
    if 0 < first["high_tension"] < _PER_KILOVOLT:  # some write it in kV
        first["high_tension"] *= _PER_KILOVOLT
    rows = [row for row in _FIELDS if first[row[1]] or row[0] in _ZERO_COUNTS]
    metadata: dict[str, Value] = dict(mapped(first.get, rows))
    unit = "um" if any(abs(first[name]) > 1 for name in _LENGTHS) else "m"
    metadata |= {name: (first[name], unit) for name in _LENGTHS}
    if first["binning"] >= 1:
        metadata["binning"] = f"{first['binning']:g} x {first['binning']:g}"
    tilts = tuple(float(block["alpha_tilt"]) for block in blocks)
    return Acquisition(
        metadata=metadata,
        extensions={f"fei_{name}": value for name, value in first.items()},
        tilts=tilts if len(tilts) == sections > 1 else (),
    )


def read_titles(labels: tuple[str, ...]) -> Acquisition:
    """Read what SerialEM puts into the titles of a file.

    Parameters
    ----------
    labels
        The titles.
    """
    made = next(filter(None, map(_SERIALEM.match, labels)), None)
    if made is None:
        return Acquisition()
    text = " ".join(labels)
    matches = {field: re.search(pattern, text) for field, pattern, _ in _TITLES}
    found = {field: match[1] for field, match in matches.items() if match}
    metadata = dict(mapped(found.get, ((field, field, unit) for field, _, unit in _TITLES)))
    if "binning" in metadata:
        metadata["binning"] = f"{metadata['binning']:g} x {metadata['binning']:g}"
    return Acquisition(metadata=metadata, acquired=moment("title of SerialEM", made[1], made[2]))
