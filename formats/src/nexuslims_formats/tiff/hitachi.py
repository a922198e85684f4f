"""The text of Hitachi's SEM and TEM software: one section of ``name=value unit`` lines.

References
----------
Names and units as in sidecars of S-4800, SU8000 and TM3000: pixel sizes and stage positions are
bare numbers in nm, other values tell their unit. The unit of the stage's rotation and tilt is not
known: they are kept as they are. S-4700 writes no pixel size: its magnification is that of a
picture 127 mm wide, and ``Condition`` has voltage and distance (``Vacc=10kV   WD=8.1mm``).
"""

import re

from nexuslims_formats.locales.numbers import has_decimal_commas
from nexuslims_formats.quantities import TEXT, Row, converted, mapped
from nexuslims_formats.tiff.sidecar_text import SemText, contradiction, metres, unread_length
from nexuslims_formats.trees import ini_sections

_HEAD = re.compile(r"\ufeff?\s*\[(SemImageFile|TemImageFile)\]")
_SIZE = re.compile(r"\s*(\d+)\s*[xX*]\s*(\d+)")
_CONDITION = re.compile(r"(\w+)=(\S+)")
_PICTURE_WIDTH_M = 0.127
_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "AcceleratingVoltage", "V"),
    ("acceleration_voltage", "Condition/Vacc", "kV"),
    ("stage_bias", "DecelerationVoltage", "V"),
    ("emission_current", "EmissionCurrent", "nA"),
    ("filament_current", "FilamentCurrent", "mA"),
    ("magnification", "Magnification", "x"),
    ("working_distance", "WorkingDistance", "um"),
    ("working_distance", "Condition/WD", "mm"),
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
    condition = entries.get("Condition", "")
    size = _SIZE.match(entries.get("DataSize", ""))
    columns, rows = (int(size[1]), int(size[2])) if size else (0, 0)
    conditions = {f"Condition/{name}": value for name, value in _CONDITION.findall(condition)}
    metadata = dict(mapped({**conditions, **entries}.get, _FIELDS))
    numbers = ("PixelSize", *(name for _, name, unit in _FIELDS if unit != TEXT))
    comma = has_decimal_commas(entries[name] for name in numbers if name in entries)
    written = entries.get("PixelSize", "").strip()
    stated = metres(written, "nm", comma=comma)
    times = converted(metadata.get("magnification"), "x") or 0.0
    derived = _PICTURE_WIDTH_M / times / columns if times > 0 and columns else None
    pixel = stated or derived
    unread = unread_length("PixelSize", written, "nm", comma=comma)
    doubt = unread or contradiction(stated, derived)
    return SemText(
        vendor="hitachi",
        data_type=f"{head[1][:3].upper()}_Imaging",
        entries=entries,
        metadata=metadata,
        date=entries.get("Date", ""),
        clock=entries.get("Time", ""),
        size=(columns, rows) if size else None,
        pixel_size=(pixel, pixel) if pixel else None,
        derived=stated is None,
        doubts=(doubt,) if doubt else (),
    )
