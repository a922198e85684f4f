"""The text of Hitachi's SEM and TEM software: one section of ``name=value unit`` lines.

References
----------
Names and units as in sidecars of S-4800, SU8000 and TM3000: pixel sizes and stage positions are
bare numbers in nm, other values tell their unit. The unit of the stage's rotation and tilt is not
known: they are kept as they are.
"""

import re

from nexuslims_formats.quantities import Row, mapped
from nexuslims_formats.tiff.sidecar_text import SemText, metres
from nexuslims_formats.trees import ini_sections

_HEAD = re.compile(r"\ufeff?\s*\[(SemImageFile|TemImageFile)\]")
_SIZE = re.compile(r"\s*(\d+)\s*[xX*]\s*(\d+)")
_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "AcceleratingVoltage", "V"),
    ("stage_bias", "DecelerationVoltage", "V"),
    ("emission_current", "EmissionCurrent", "nA"),
    ("filament_current", "FilamentCurrent", "mA"),
    ("magnification", "Magnification", "x"),
    ("working_distance", "WorkingDistance", "um"),
    ("stage_x", "StagePositionX", "nm"),
    ("stage_y", "StagePositionY", "nm"),
    ("stage_z", "StagePositionZ", "nm"),
    ("detector_type", "SignalName", "text"),
    ("microscope", "InstructName", "text"),
    ("specimen", "SampleName", "text"),
)


def read_hitachi(text: str) -> SemText | None:
    """Return what a text of Hitachi's tells; None for another text."""
    head = _HEAD.match(text)
    if head is None:
        return None
    entries = ini_sections(text[head.start(1) - 1 :]).get(head[1], {})
    size = _SIZE.match(entries.get("DataSize", ""))
    pixel = metres(entries.get("PixelSize", ""), "nm")
    return SemText(
        vendor="hitachi",
        data_type=f"{head[1][:3].upper()}_Imaging",
        entries=entries,
        metadata=dict(mapped(entries.get, _FIELDS)),
        date=entries.get("Date", ""),
        clock=entries.get("Time", ""),
        size=(int(size[1]), int(size[2])) if size else None,
        pixel_size=(pixel, pixel) if pixel else None,
    )
